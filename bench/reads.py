"""Reading orders beside the same routes as most write them, and a page deep in ten million orders.

Product and rival read the very same rows by the same indexes, check the same token, and answer the same JSON, which is
compared first; they take turns under the same load. The rival is in `bench/rivals`.
"""

import asyncio
import json
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy.engine import make_url

from bench import limits, servers, shop, wrk
from bench.importing import _fresh
from bench.servers import Server
from bench.talk import call
from orderhouse.kernel.pages import cursor_of
from orderhouse.kernel.principal import Principal
from orderhouse.orders import models, reads
from orderhouse.orders.schemas import ListOrders
from orderhouse.orders.wiring import SCHEMA, Orders
from orderhouse.runtime import migrate
from orderhouse.runtime.database import sqlite
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.database.postgres import PostgresPlace
from orderhouse.runtime.database.sql import Row
from orderhouse.runtime.database.transaction import Reading

ROUNDS = int(os.environ.get("ORDERHOUSE_BENCH_ROUNDS", "3"))
SECONDS = int(os.environ.get("ORDERHOUSE_BENCH_SECONDS", "8"))
ORDERS = int(os.environ.get("ORDERHOUSE_BENCH_ORDERS", "1000000"))
DEEP = int(os.environ.get("ORDERHOUSE_BENCH_DOCUMENTS", "10000000"))
CONNECTIONS = 32
PAGES = 400
"""How many places of the list are read, and the orders on half of these pages one by one."""

_SPAN = shop.YEARS * 365 * 86_400_000_000


@dataclass(frozen=True)
class Figure:
    """One round: answers a second, the quantiles of their latency, and what the server used of a processor for each."""

    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


def measure() -> dict[str, object]:
    """Return the figures of both databases, round by round."""
    wrk.required("reads")
    told: dict[str, object] = {"orders": ORDERS, "deep_orders": DEEP, "sqlite": _database("")}
    with servers.postgres() as url:
        told["postgresql"] = _database(_fresh(url))
        told["deep"] = {"sqlite": _deep_sqlite(), "postgresql": _deep_postgres(_fresh(url))}
    return told


def _database(url: str) -> dict[str, object]:
    with servers.folder() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        asyncio.run(shop.fill(data, url, ORDERS))
        if url:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("VACUUM ANALYZE")
        with servers.product(data, url) as product, _rival(data, url) as rival:
            token = product.token()
            _wait_for_analytics(product.url, token)
            own = product.server
            paths = _paths(product.url, token)
            return {kind: _turns([own, rival], token, chosen, Path(folder)) for kind, chosen in paths.items()}


def _rival(data: Path, url: str) -> AbstractContextManager[Server]:
    """Run the rival, served as the product is: one process of uvicorn with uvloop and httptools."""
    port = servers.free_port()
    database = f"sqlite+aiosqlite:///{data}/orders.sqlite3"
    if url:
        database = make_url(url).set(drivername="postgresql+asyncpg").render_as_string(hide_password=False)
    command = ["uvicorn", "bench.rivals.app:app", "--port", str(port), "--no-access-log", "--loop", "uvloop"]
    command += ["--http", "httptools", "--no-server-header", "--no-date-header"]
    settings = {"RIVAL_DATABASE_URL": database, "RIVAL_KEYS": str(data / "keys")}
    return servers.rival("rival", command, port, data / "rival.log", **settings)


def _wait_for_analytics(url: str, token: str) -> None:
    """Wait until the projection has read every fact there is, so that it does not work while reads are measured."""
    path = "/v1/analytics/sales?by=status&from=2022-12-31&to=2026-12-31&currency=EUR"
    until = time.monotonic() + 300
    while call(url, "GET", path, token)["totals"]["orders"] < ORDERS * 95 // 100:
        if time.monotonic() > until:
            raise SystemExit("analytics did not read all facts")
        time.sleep(0.5)


def _paths(url: str, token: str) -> dict[str, list[str]]:
    """Return the addresses of orders and of pages, spread over all of them."""
    draw = random.Random(7)
    pages = [f"/v1/orders?limit=50&cursor={_cursor(draw.randrange(_SPAN // 50, _SPAN))}" for _ in range(PAGES)]
    found = [call(url, "GET", page, token)["items"] for page in pages[: PAGES // 2]]
    return {"get one": [item["links"]["self"] for page in found for item in page], "list of 50": pages}


def _cursor(after_first: int) -> str:
    return cursor_of("orders -placed_at", shop.FIRST + after_first, UUID(int=0))


def _turns(sides: Sequence[Server], token: str, paths: Sequence[str], folder: Path) -> dict[str, object]:
    for path in paths[:: max(1, len(paths) // 50)]:
        answers = [call(server.url, "GET", path, token) for server in sides]
        if answers[0] != answers[1]:
            raise SystemExit(f"{path} is answered differently:\n" + "\n".join(map(json.dumps, answers)))
    file = folder / "paths"
    file.write_text("\n".join(paths) + "\n")
    for server in sides:
        load(server, token, file, 2)
    rounds: dict[str, list[Figure]] = {server.name: [] for server in sides}
    for _ in range(ROUNDS):
        for server in sides:
            rounds[server.name].append(load(server, token, file, SECONDS))
    ratios = [mine.per_s / theirs.per_s for mine, theirs in zip(rounds["product"], rounds["rival"], strict=True)]
    return {
        "rounds": {name: [asdict(figure) for figure in figures] for name, figures in rounds.items()},
        "ratio": {"rounds": [round(ratio, 2) for ratio in ratios], "median": round(statistics.median(ratios), 2)},
    }


def load(server: Server, token: str, paths: Path, seconds: int) -> Figure:
    """Return the figure of one round of reads."""
    found, _ = limits.under_wrk(server, "reads.lua", token, str(paths), connections=CONNECTIONS, seconds=seconds)
    assert found.server_us is not None
    return Figure(found.per_s, found.p50_ms, found.p99_ms, round(found.server_us))


def _deep_sqlite() -> dict[str, object]:
    with servers.folder() as folder:
        file = Path(folder) / "orders.sqlite3"
        migrate.migrate(SCHEMA, file)
        with closing(sqlite.connect(file)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            _drop_other_indexes(connection.execute)
            connection.execute("BEGIN")
            marks = ", ".join("?" * len(_TYPES))
            connection.executemany(f"INSERT INTO orders VALUES ({marks})", _rows(json.dumps(_LINES)))
            connection.execute("COMMIT")
        return asyncio.run(_deep(file))


def _deep_postgres(url: str) -> dict[str, object]:
    place = PostgresPlace(url, "orders")
    migrate.migrate(SCHEMA, place)
    with psycopg.connect(url, autocommit=True, options="-c search_path=orders") as connection:
        _drop_other_indexes(connection.execute)
        with connection.cursor().copy("COPY orders FROM STDIN (FORMAT BINARY)") as copy:
            copy.set_types(_TYPES)
            for row in _rows(Jsonb(_LINES)):
                copy.write_row(row)
        connection.execute("VACUUM ANALYZE orders")
    return asyncio.run(_deep(place))


def _drop_other_indexes(execute: Callable[[str], object]) -> None:
    """Leave the index that the whole list is read by: the others cost an hour to fill, and are not looked at."""
    for index in models.orders.indexes:
        if index.name != "orders_placed":
            execute(f"DROP INDEX {index.name}")


_TYPES = [
    {"Id": "uuid", "BigInteger": "int8", "Integer": "int4", "LargeBinary": "bytea", "JSONB": "jsonb"}.get(
        type(column.type).__name__, "text"
    )
    for column in models.orders.columns
]
_STEP = _SPAN // DEEP
_LINES = [[n, f"SKU-{n}", "Tea, loose", n, 19_990_000, n * 19_990_000] for n in (1, 2, 3)]


def _rows(lines: object) -> Iterator[Row]:
    customers = [UUID(int=n << 64 | 7 << 76 | 2 << 62) for n in range(shop.CUSTOMERS)]
    for n in range(DEEP):
        placed_at = shop.FIRST + n * _STEP
        order_id = UUID(int=placed_at // 1000 << 80 | 7 << 76 | 2 << 62 | n)
        customer = customers[n * 7919 % shop.CUSTOMERS]
        cents = 1_000 + n * 7919 % 90_000
        yield (
            *(order_id, "sale", "delivered", "EUR", customer, "Country 7", placed_at, "clerk-1", "clerk-1", "bench"),
            *(f"B-{n}", None, cents * 10_000, cents, 3, 1, placed_at, None, lines),
        )


class _Timed(Reading):
    """Asks, and notes how long the database and its driver took."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self.dialect = reading.dialect
        self.ms = 0.0
        self.asked: tuple[str, dict[str, object]] = ("", {})

    def rows(self, sql: str, **values: object) -> Sequence[Row]:
        self.asked = (sql, values)
        began = time.perf_counter()
        found = self._reading.rows(sql, **values)
        self.ms = (time.perf_counter() - began) * 1e3
        return found


async def _deep(place: Place) -> dict[str, object]:
    """Return milliseconds of a page at nine tenths of the list, its statement and rows alone."""
    orders = Orders.opened(place, bound=1)
    boss, draw = Principal("boss", "manager"), random.Random(3)
    taken: list[float] = []
    within: list[float] = []

    def page(reading: Reading) -> None:
        timed = _Timed(reading)
        at = DEEP // 10 + draw.randrange(-DEEP // 200, DEEP // 200)
        wanted = ListOrders.model_validate_strings({"limit": "50", "cursor": _cursor(at * _STEP)})
        found, _ = reads.page(timed, wanted, boss)
        assert len(found) == 50, "a page of 50"
        taken.append(timed.ms)
        if reading.dialect == "postgresql":
            sql, values = timed.asked
            plan = json.loads(str(reading.rows(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", **values)[0][0]))
            within.append(plan[0]["Execution Time"])

    for _ in range(600):
        await orders.database.read(page)
    await orders.database.close()
    # The first few fetch their part of the index from the disk.
    return {"ms": _quantiles(taken[100:]), **({"within_ms": _quantiles(within[100:])} if within else {})}


def _quantiles(taken: Sequence[float]) -> dict[str, float]:
    ordered = sorted(taken)
    return {"p50": round(ordered[len(ordered) // 2], 3), "p99": round(ordered[len(ordered) * 99 // 100], 3)}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
