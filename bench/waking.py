"""From fact to effect, with nothing else to do; and what telling other processes of facts costs those who commit.

The reader is the product's own: orders follows customers, and its card of one is the effect. The time is from the
moment who told the fact knew that it is durable to the moment its effect was.
"""

import asyncio
import json
import os
import random
import statistics
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from bench import servers
from bench.placing import database_of_its_own
from orderhouse.assembly import places, subscribers
from orderhouse.assembly.contexts import Contexts
from orderhouse.customers.contract import SourceCustomer
from orderhouse.kernel import clock
from orderhouse.kernel.clock import Instant
from orderhouse.kernel.events import Fact, NewFact, Origin
from orderhouse.kernel.ids import new_id
from orderhouse.runtime.database.database import Database, open_database
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.database.wakes import PostgresWakes
from orderhouse.runtime.readers import Follower, Sink
from orderhouse.runtime.settings import Settings, loaded
from orderhouse.runtime.transports.direct import DirectSource

FACTS = int(os.environ.get("ORDERHOUSE_BENCH_FACTS", "200"))
ROUNDS = int(os.environ.get("ORDERHOUSE_BENCH_ROUNDS", "3"))
SECONDS = int(os.environ.get("ORDERHOUSE_BENCH_SECONDS", "8"))
READER = "orders.customers"
PAUSE_S = (0.01, 0.05)
DEAF = "postgresql://127.0.0.1:1/nowhere"
"""Nothing listens here: what cannot be heard is seen at the next look."""

CONTEXTS = ("customers", "jobs", "orders", "users")
WRITERS = 8


def measure() -> dict[str, object]:
    """Return the figures, round by round."""
    with servers.postgres() as url:
        latencies: dict[str, list[dict[str, float]]] = {}
        for _ in range(ROUNDS):
            for name, database_url, direct_url, elsewhere in (
                ("SQLite, told by the same process", "", "", False),
                ("SQLite, told by another process", "", "", True),
                ("PostgreSQL, told by the same process", url, "", False),
                ("PostgreSQL, told by another process", url, "", True),
                ("PostgreSQL, told by another process, nothing heard", url, DEAF, True),
            ):
                latencies.setdefault(name, []).append(_latency(database_url, direct_url, elsewhere=elsewhere))
        commits: dict[str, list[int]] = {}
        for _ in range(ROUNDS):
            for how in ("not at all", "apart, together", "in each commit"):
                commits.setdefault(how, []).append(asyncio.run(_commits(database_of_its_own(url), how)))
    return {"facts": FACTS, "latencies": latencies, "contexts": len(CONTEXTS), "commits": commits}


def _latency(url: str, direct_url: str, *, elsewhere: bool) -> dict[str, float]:
    with servers.folder() as folder:
        given = {
            "ORDERHOUSE_DATABASE_URL": database_of_its_own(url) if url else "",
            "ORDERHOUSE_DATABASE_DIRECT_URL": direct_url,
        }
        environment = servers.environment(Path(folder), **{name: value for name, value in given.items() if value})
        settings = Settings(
            data_dir=Path(folder),
            database_url=given["ORDERHOUSE_DATABASE_URL"],
            database_direct_url=direct_url,
            _env_file=None,
        )
        places.migrate_all(settings)
        told, done = asyncio.run(_followed(settings, environment if elsewhere else None))
        taken = sorted((effect - fact) / 1000 for fact, effect in zip(told, done, strict=True))
    return {
        "p50_ms": round(statistics.median(taken), 1),
        "p99_ms": round(taken[int(len(taken) * 0.99)], 1),
    }


async def _followed(
    settings: Settings, elsewhere: dict[str, str] | None
) -> tuple[Sequence[Instant], Sequence[Instant]]:
    """Return when each fact was told, and when it had its effect; told here, or in a process with that environment."""
    contexts = Contexts.opened(settings)
    reader = subscribers.named(contexts, READER)
    sink = _Timed(reader.sink)
    running = asyncio.create_task(Follower(DirectSource(reader.log), sink).run())
    try:
        if elsewhere is None:
            told = await _tell(contexts)
        else:
            teller = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "bench.waking", env=elsewhere, stdout=asyncio.subprocess.PIPE
            )
            told = json.loads((await teller.communicate())[0].splitlines()[-1])
        async with asyncio.timeout(30):
            await sink.enough.wait()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await contexts.close()
    return told, sink.done


class _Timed:
    """A sink that notes when each fact had its effect."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.name = sink.name
        self.done: list[Instant] = []
        self.enough = asyncio.Event()

    async def position(self) -> int:
        return await self._sink.position()

    async def take(self, facts: Sequence[Fact]) -> None:
        await self._sink.take(facts)
        self.done += [clock.now()] * len(facts)
        if len(self.done) >= FACTS:
            self.enough.set()

    async def idle(self) -> bool:
        return await self._sink.idle()


async def _tell(contexts: Contexts) -> list[Instant]:
    """Add customers, each after a pause of its own, and return when each was there."""
    told = []
    for n in range(FACTS):
        await asyncio.sleep(random.uniform(*PAUSE_S))
        await contexts.customers.directory.admit("bench", [SourceCustomer(f"c{n}", f"Customer {n}", "France")])
        told.append(clock.now())
    return told


async def _commits(url: str, how: str) -> int:
    """Return how many transactions a second, each with one fact, several contexts in one PostgreSQL commit."""
    settings = Settings(database_url=url, _env_file=None)
    places.migrate_all(settings)
    tell = PostgresWakes.tell
    if how != "apart, together":
        PostgresWakes.tell = lambda self: None  # type: ignore[method-assign]
    try:
        async with AsyncExitStack() as stack:
            databases = [await stack.enter_async_context(_opened(name, settings)) for name in CONTEXTS]
            until = asyncio.get_running_loop().time() + SECONDS
            counts = await asyncio.gather(
                *(_committing(one, until, aloud=how == "in each commit") for one in databases for _ in range(WRITERS))
            )
    finally:
        PostgresWakes.tell = tell  # type: ignore[method-assign]
    return round(sum(counts) / SECONDS)


@asynccontextmanager
async def _opened(context: str, settings: Settings) -> AsyncIterator[Database]:
    schema = places.SCHEMAS[context]
    database = open_database(context, places.place_of(context, settings), schema.tables, refusals={})
    try:
        yield database
    finally:
        await database.close()


async def _committing(database: Database, until: float, *, aloud: bool) -> int:
    def work(tx: Transaction, asked: Sequence[NewFact]) -> Sequence[None]:
        tx.tell(asked)
        if aloud:
            tx.run(f"NOTIFY bench_{database.name}")
        return [None for _ in asked]

    done = 0
    loop = asyncio.get_running_loop()
    while loop.time() < until:
        await database.write_many(work, [NewFact("Told", new_id(), 1, {}, clock.now(), Origin("bench"))])
        done += 1
    return done


async def _other_process() -> None:
    contexts = Contexts.opened(loaded())
    try:
        print(json.dumps(await _tell(contexts)))
    finally:
        await contexts.close()


if __name__ == "__main__":
    asyncio.run(_other_process())
