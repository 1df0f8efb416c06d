"""Analytics: the real projection beside a live, index-backed GROUP BY and beside daily rollups, on made orders.

The projection is the product's own with its default settings: every document comes as a fact and is applied as the
follower applies it, and a question is the route's own function, to the bytes of its answer. The three ways are asked
the same things of the same documents, and their answers are compared before their times are.
"""

import asyncio
import json
import os
import random
import sqlite3
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import psutil
import psycopg

from bench import servers
from bench.importing import _fresh
from orderhouse.analytics.projection import Projection
from orderhouse.analytics.readers import ProjectionSink
from orderhouse.analytics.schemas import SalesQuery
from orderhouse.analytics.service import SalesService
from orderhouse.analytics.wiring import BATCH, REST_S
from orderhouse.kernel import clock
from orderhouse.kernel.events import Fact
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.money import minor_text
from orderhouse.orders import contract
from orderhouse.runtime.readers import Follower
from orderhouse.runtime.settings import Settings

DOCUMENTS = int(os.environ.get("ORDERHOUSE_BENCH_DOCUMENTS", "10000000"))
SECONDS = int(os.environ.get("ORDERHOUSE_BENCH_SECONDS", "8"))
CUSTOMERS = 20_000
DAY = 86_400_000_000
FIRST = 1_672_531_200_000_000  # 2023-01-01, three years of orders from there
YEARS = 3
STEP = YEARS * 365 * DAY // DOCUMENTS
TIMES = 9
PATIENCE_S = 20.0
"""What takes this long in all is not asked again."""

A_SECOND = 3000
"""Orders placed in a second while it is watched whether the projection keeps up."""

_TABLE = (
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, kind TEXT, status TEXT, currency TEXT, customer_id INTEGER, "
    "placed_at BIGINT, amount BIGINT)"
)
_INDEX = "CREATE INDEX live ON orders (placed_at, status, kind, currency, customer_id, amount)"
_ROLLUP = (
    "CREATE TABLE rollup AS SELECT placed_at / 86400000000 AS day, status, count(*) AS n, "
    "sum(CASE WHEN kind <> 'adjustment' THEN amount ELSE 0 END) AS amount "
    "FROM orders GROUP BY 1, 2"
)
_WHERE = "FROM orders WHERE placed_at >= {begin} AND placed_at < {end} AND status <> 'cancelled' AND currency = 'EUR'"
_NET = "sum(CASE WHEN kind <> 'adjustment' THEN amount ELSE 0 END)"
LIVE = {
    "a year by day": f"SELECT placed_at / 86400000000, count(*), {_NET} {_WHERE} GROUP BY 1 ORDER BY 1",
    "a year by status": f"SELECT status, count(*), {_NET} {_WHERE} GROUP BY 1",
    "top 20 customers, three years": f"SELECT customer_id, count(*), {_NET} AS net {_WHERE} "
    "GROUP BY 1 ORDER BY net DESC, 1 LIMIT 20",
}
ROLLED = {
    "a year by day": "SELECT day, sum(n), sum(amount) FROM rollup WHERE day >= {first} AND day < {last} "
    "AND status <> 'cancelled' GROUP BY 1",
    "a year by status": "SELECT status, sum(n), sum(amount) FROM rollup WHERE day >= {first} AND day < {last} "
    "AND status <> 'cancelled' GROUP BY 1",
}
# UTC, whose days a rollup by days can tell; the projection is also asked for London's, whose clock is changed.
_YEAR = {"from": date(2024, 1, 1), "to": date(2024, 12, 31)}
QUESTIONS = {
    name: SalesQuery.model_validate(query)
    for name, query in {
        "a year by day": {"by": "day", **_YEAR},
        "a year by day, in London": {"by": "day", **_YEAR, "time_zone": "Europe/London"},
        "a year by status": {"by": "status", **_YEAR},
        "top 20 customers, three years": {
            "by": "customer",
            "from": date(2023, 1, 1),
            "to": date(2025, 12, 31),
            "limit": 20,
        },
    }.items()
}


def measure() -> dict[str, object]:
    """Return milliseconds, their medians and extremes, and how the projection takes facts."""
    # First, while this process holds nothing else: its memory is one of the figures.
    with servers.folder() as folder:
        projection, sums = _projection(Path(folder))
    with servers.folder() as folder:
        sqlite = _sqlite(Path(folder), sums)
    return {"documents": DOCUMENTS, "projection": projection, "sqlite": sqlite, "postgresql": _postgres(sums)}


Milliseconds = dict[str, float]


def _timed(run: Callable[[], object]) -> Milliseconds:
    """Return how long `run` takes, the first time left out unless that is already long."""
    taken: list[float] = []
    until = time.perf_counter() + PATIENCE_S
    for _ in range(TIMES + 1):
        began = time.perf_counter()
        run()
        taken.append((time.perf_counter() - began) * 1e3)
        if time.perf_counter() > until:
            break
    counted = taken[1:] or taken
    return {
        "median": round(statistics.median(counted), 1),
        "min": round(min(counted), 1),
        "max": round(max(counted), 1),
        "runs": len(counted),
    }


Sums = dict[str, tuple[int, int]]
"""What each question's cells add up to: how many documents, and their net."""


def _projection(folder: Path) -> tuple[dict[str, Any], Sums]:
    usual = Settings.model_fields
    projection = Projection(
        folder / "analytics.duckdb",
        memory_mb=usual["analytics_memory_mb"].default,
        threads=usual["analytics_threads"].default,
    )
    began = time.perf_counter()
    for batch in _batches(_facts(), BATCH):
        projection.apply(batch)
    per_s = round(DOCUMENTS / (time.perf_counter() - began))
    service = SalesService(projection, "UTC")
    told = {name: service.sales(query) for name, query in QUESTIONS.items()}
    sums = {
        name: (
            sum(item["orders"] + item["credits"] for item in answer["items"]),
            sum(_cents(item["net"]) for item in answer["items"]),
        )
        for name, answer in told.items()
    }
    figures = {
        # The route's own function, to the bytes of the answer.
        name: _timed(lambda query=query: orjson.dumps(service.sales(query)))  # type: ignore[misc]  # bound now
        for name, query in QUESTIONS.items()
    }
    asked = threading.Thread(target=_ask_meanwhile, args=(service, stop := threading.Event()))
    asked.start()
    try:
        kept_up = asyncio.run(_kept_up(projection))
    finally:
        stop.set()
        asked.join()
        projection.close()
    megabytes = round(psutil.Process().memory_info().rss / 2**20)
    return {"facts_per_s": per_s, "ms": figures, "keeps_up": kept_up, "process_mb": megabytes}, sums


def _cents(amount: str) -> int:
    return int(amount.replace(".", ""))


def _ask_meanwhile(service: SalesService, stop: threading.Event) -> None:
    """Ask for figures once a second, as somebody at a console would."""
    while not stop.wait(1.0):
        service.sales(QUESTIONS["a year by day"])


class _Paced:
    """A log to which so many orders a second are told from now on, and a tenth as many of them are moved."""

    name = "orders"

    def __init__(self, after: int) -> None:
        self._told = after
        self._began = clock.now()
        self._left = _facts_from(after, self._began)
        self.until = self._began + SECONDS * 1_000_000

    async def read(self, after: int, limit: int) -> Sequence[Fact]:
        """Return up to `limit` facts of those whose moment has come."""
        assert after == self._told
        due = (min(clock.now(), self.until) - self._began) * A_SECOND * 11 // 10_000_000
        ready = list(islice(self._left, max(0, min(limit, due - (self._told - DOCUMENTS)))))
        self._told += len(ready)
        return ready

    async def wait(self, seconds: float) -> None:
        """Go on at once: there is always more."""


class _Watched(ProjectionSink):
    """The projection's own sink, with a look at how late it is."""

    def __init__(self, projection: Projection) -> None:
        super().__init__(projection)
        self.lags: list[float] = []
        self.took: list[float] = []

    async def take(self, facts: Sequence[Fact]) -> None:
        """Take `facts`, and note how old the oldest of them has become by then."""
        began = time.perf_counter()
        await super().take(facts)
        self.took.append(time.perf_counter() - began)
        self.lags.append((clock.now() - facts[0].at) / 1e6)


async def _kept_up(projection: Projection) -> dict[str, float]:
    source, sink = _Paced(projection.position()), _Watched(projection)
    follower = Follower(source, sink, batch=BATCH, rest_s=REST_S)
    running = asyncio.create_task(follower.run())
    while clock.now() < source.until or follower.fresh_as_of < source.until:
        await asyncio.sleep(0.05)
        if follower.trouble or clock.now() > source.until + 60_000_000:
            raise SystemExit(f"the projection does not keep up: {follower.trouble}")
    running.cancel()
    taken = projection.position() - DOCUMENTS
    return {
        "orders_per_s": A_SECOND,
        "facts": taken,
        "median_lag_s": round(statistics.median(sink.lags), 2),
        "max_lag_s": round(max(sink.lags), 2),
        "busy": round(sum(sink.took) / SECONDS, 2),
    }


class _Made(NamedTuple):
    """A document as every way of counting gets it; `customer` is a number from 0."""

    kind: str
    status: str
    customer: int
    placed_at: int
    amount: int


_STATUSES = ("delivered",) * 16 + ("placed", "shipped", "returned", "cancelled")


def _made(n: int) -> _Made:
    kind = "sale" if n % 33 else "credit"
    cents = 100 + n * 7919 % 90_000
    return _Made(
        kind, _STATUSES[n % 20], n * 7919 % CUSTOMERS, FIRST + n * STEP, (cents if n % 33 else -cents) * 10_000
    )


_CUSTOMER_IDS = [str(new_id()) for _ in range(CUSTOMERS)]


def _placed(position: int, n: int, made: _Made, at: int) -> Fact:
    data = {
        "kind": made.kind,
        "status": made.status,
        "currency": "EUR",
        "customer_id": _CUSTOMER_IDS[made.customer],
        "country": f"Country {n % 30}",
        "owner_id": f"clerk-{n % 10}",
        "placed_at": made.placed_at,
        "amount": minor_text(made.amount // 10_000, "EUR"),
    }
    return Fact(position, _order_id(n), contract.PLACED, 1, _order_id(n), 1, data, at)


def _order_id(n: int) -> UUID:
    """Return an id that begins with the order's time, as a UUID of version 7 does."""
    return UUID(int=(FIRST + n * STEP) // 1000 << 80 | 7 << 76 | 2 << 62 | n)


def _facts() -> Iterator[Fact]:
    for n in range(DOCUMENTS):
        yield _placed(n + 1, n, _made(n), FIRST)


def _facts_from(position: int, began: int) -> Iterator[Fact]:
    """Yield further facts, ten orders and then a move of one of the latest hundred thousand, and when each is told."""
    n = DOCUMENTS
    while True:
        for _ in range(10):
            position += 1
            at = began + (position - DOCUMENTS) * 10_000_000 // (A_SECOND * 11)
            yield _placed(position, n, _made(n), at)
            n += 1
        position += 1
        at = began + (position - DOCUMENTS) * 10_000_000 // (A_SECOND * 11)
        order = _order_id(random.randrange(max(0, n - 100_000), n))
        yield Fact(position, new_id(), contract.MOVED, 1, order, 2, {"from": "placed", "to": "shipped"}, at)


def _batches(facts: Iterable[Fact], size: int) -> Iterator[list[Fact]]:
    left = iter(facts)
    while batch := list(islice(left, size)):
        yield batch


def _rows() -> Iterator[tuple[object, ...]]:
    for n in range(DOCUMENTS):
        kind, status, customer, placed_at, amount = _made(n)
        yield n, kind, status, "EUR", customer, placed_at, amount


def _asked() -> Iterator[tuple[str, str, str]]:
    """Yield the name of each way of asking, of each question, and its SQL."""
    year = {
        "begin": FIRST + 365 * DAY,
        "end": FIRST + 731 * DAY,
        "first": FIRST // DAY + 365,
        "last": FIRST // DAY + 731,
    }
    all_of_it = {"begin": FIRST, "end": FIRST + 1096 * DAY}
    for way, questions in (("live", LIVE), ("rollup", ROLLED)):
        for name, sql in questions.items():
            yield way, name, sql.format(**(year if name.startswith("a year") else all_of_it))


def _answered(rows: Callable[[str], Sequence[Sequence[Any]]], sums: Sums) -> dict[str, Milliseconds]:
    """Return how long every way takes; SystemExit where one tells another sum than the projection."""
    told = {}
    for way, name, sql in _asked():
        found = rows(sql)
        sum_ = (int(sum(row[1] for row in found)), sum(int(row[2]) // 10_000 for row in found))
        if sum_ != sums[name]:
            raise SystemExit(f"{way}: {name}: {sum_}; the projection says {sums[name]}")
        told[f"{way}: {name}"] = _timed(lambda sql=sql: rows(sql))  # type: ignore[misc]  # bound now
    return told


def _sqlite(folder: Path, sums: Sums) -> dict[str, Milliseconds]:
    connection = sqlite3.connect(folder / "live.sqlite3")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute(_TABLE)
    connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?)", _rows())
    for sql in (_INDEX, _ROLLUP, "ANALYZE"):
        connection.execute(sql)
    connection.commit()
    told = _answered(lambda sql: connection.execute(sql).fetchall(), sums)
    connection.close()
    return told


def _postgres(sums: Sums) -> dict[str, Milliseconds]:
    with servers.postgres() as server, psycopg.connect(_fresh(server), autocommit=True) as connection:
        connection.execute(_TABLE.replace("INTEGER", "BIGINT"))
        with connection.cursor().copy("COPY orders FROM STDIN") as copy:
            for row in _rows():
                copy.write_row(row)
        connection.execute(_INDEX)
        connection.execute(_ROLLUP.replace(") AS amount", ")::bigint AS amount"))
        connection.execute("VACUUM ANALYZE")
        return _answered(lambda sql: connection.execute(sql).fetchall(), sums)


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
