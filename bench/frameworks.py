"""The same kind of route on both edges: one user (Flask) beside one customer (FastAPI), and pages of fifty of each.

Both are in one process of the product, on SQLite, which costs least: so what is left is the edge, the framework and the
way to the row. They take turns under the same load.
"""

import asyncio
import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from uuid import UUID

from bench import servers, wrk
from bench.reads import Figure, load
from bench.servers import Server
from bench.talk import call
from orderhouse.assembly import places
from orderhouse.assembly.contexts import Contexts
from orderhouse.customers.schemas import AddCustomer
from orderhouse.kernel import clock
from orderhouse.kernel.errors import Refusal
from orderhouse.kernel.events import Origin
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.once import Asked
from orderhouse.runtime.settings import Settings
from orderhouse.users.schemas import AddUser

ROUNDS = int(os.environ.get("ORDERHOUSE_BENCH_ROUNDS", "3"))
SECONDS = int(os.environ.get("ORDERHOUSE_BENCH_SECONDS", "5"))
THINGS = 2_000
_MAKER = Principal("bench", "owner")
_SIDES = {"fastapi": "/v1/customers", "flask": "/v1/users"}


def measure() -> dict[str, object]:
    """Return the figures of each kind of route, round by round."""
    wrk.required("frameworks")
    with servers.folder() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        ids = asyncio.run(_fill(data))
        with servers.product(data) as product:
            server = product.server
            token = product.token()
            for path, made in ids.items():
                if call(product.url, "GET", f"{path}/{made[0]}", token)["id"] != str(made[0]):
                    raise SystemExit(f"{path} is not served")
            one = {path: [f"{path}/{each}" for each in made] for path, made in ids.items()}
            pages = {path: [f"{path}?limit=50"] for path in ids}
            return {
                "things": THINGS,
                "get one": _turns(server, token, one, Path(folder)),
                "list of 50": _turns(server, token, pages, Path(folder)),
            }


async def _fill(data: Path) -> dict[str, list[UUID]]:
    settings = Settings(data_dir=data, _env_file=None)
    places.migrate_all(settings)
    contexts = Contexts.opened(settings)
    now = clock.now()
    customers = [AddCustomer(name=f"Person {n}", email=f"c{n}@example.com") for n in range(THINGS)]
    users = [AddUser(name=f"Person {n}", email=f"u{n}@example.com", role="clerk") for n in range(THINGS)]
    try:
        made_customers = await contexts.customers.database.write_many(
            contexts.customers.service.add, [Asked(one, _MAKER, now, Origin("bench")) for one in customers]
        )
        made_users = await contexts.users.database.write_many(
            contexts.users.service.add, [Asked(one, _MAKER, now, Origin("bench")) for one in users]
        )
    finally:
        await contexts.close()
    return {"/v1/customers": _ids(made_customers), "/v1/users": _ids(made_users)}


def _ids(made: Sequence[object]) -> list[UUID]:
    if refused := [one for one in made if isinstance(one, Refusal)]:
        raise SystemExit(f"not made: {refused[0]!r}")
    return [one.id for one in made]  # type: ignore[attr-defined]  # both states have one


def _turns(server: Server, token: str, paths: dict[str, list[str]], folder: Path) -> dict[str, object]:
    files = {side: folder / side for side in _SIDES}
    for side, file in files.items():
        file.write_text("\n".join(paths[_SIDES[side]]) + "\n")
        load(server, token, file, 1)
    rounds: dict[str, list[Figure]] = {side: [] for side in _SIDES}
    for _ in range(ROUNDS):
        for side, file in files.items():
            rounds[side].append(load(server, token, file, SECONDS))
    more = [flask.cpu_us - fastapi.cpu_us for fastapi, flask in zip(rounds["fastapi"], rounds["flask"], strict=True)]
    return {
        "rounds": {side: [asdict(figure) for figure in figures] for side, figures in rounds.items()},
        "more_us": {"rounds": [round(one) for one in more], "median": round(statistics.median(more))},
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
