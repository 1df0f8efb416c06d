"""Analytics: the real projection beside a live, index-backed GROUP BY and beside daily rollups, on made orders."""

import json
import os
import random
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import psycopg

from bench import servers
from bench.importing import _fresh
from orderhouse.analytics.projection import Projection
from orderhouse.analytics.schemas import SalesQuery
from orderhouse.analytics.service import SalesService
from orderhouse.kernel.events import Fact
from orderhouse.kernel.ids import new_id

DOCUMENTS = int(os.environ.get("ORDERHOUSE_BENCH_DOCUMENTS", "1000000"))
DAY = 86_400_000_000
FIRST = 1_672_531_200_000_000  # 2023-01-01, three years of orders from there
YEARS = 3
TIMES = 5

_TABLE = (
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, kind TEXT, status TEXT, currency TEXT, customer_id INTEGER, "
    "placed_at BIGINT, amount BIGINT)"
)
_INDEX = "CREATE INDEX live ON orders (placed_at, status, kind, currency, customer_id, amount)"
_ROLLUP = (
    "CREATE TABLE rollup AS SELECT placed_at / 86400000000 AS day, status, count(*) AS n, sum(amount) AS amount "
    "FROM orders GROUP BY 1, 2"
)
_WHERE = "FROM orders WHERE placed_at >= {begin} AND placed_at < {end} AND status <> 'cancelled' AND currency = 'EUR'"
LIVE = {
    "a year by day": "SELECT placed_at / 86400000000, count(*), sum(amount) " + _WHERE + " GROUP BY 1 ORDER BY 1",
    "top 20 customers, three years": "SELECT customer_id, count(*), sum(amount) AS net "
    + _WHERE
    + " GROUP BY 1 ORDER BY net DESC LIMIT 20",
}
ROLLED = {
    "a year by day": "SELECT day, sum(n), sum(amount) FROM rollup WHERE day >= {first} AND day < {last} GROUP BY 1"
}


def measure() -> dict[str, object]:
    """Return milliseconds, medians of some runs, and how many facts the projection takes in a second."""
    with servers.folder() as folder:
        return {
            "documents": DOCUMENTS,
            "projection": _projection(Path(folder)),
            "sqlite": _sqlite(Path(folder)),
            "postgresql": _postgres(),
        }


def _median_ms(run: Callable[[], object]) -> float:
    run()
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        run()
        taken.append((time.perf_counter() - began) * 1e3)
    return round(statistics.median(taken), 1)


def _projection(folder: Path) -> dict[str, Any]:
    projection = Projection(folder / "analytics.duckdb", memory_mb=256)
    facts = list(_facts(100_000))
    began = time.perf_counter()
    for batch in _batches(facts, 2000):
        projection.apply(batch)
    per_s = round(len(facts) / (time.perf_counter() - began))
    projection._connection.execute(_made())
    service = SalesService(projection, "Europe/London")
    questions = {
        "a year by day": SalesQuery(**{"by": "day", "from": date(2024, 1, 1), "to": date(2024, 12, 31)}),
        "top 20 customers, three years": SalesQuery(
            **{"by": "customer", "from": date(2023, 1, 1), "to": date(2025, 12, 31), "limit": 20}
        ),
        "a year by status": SalesQuery(**{"by": "status", "from": date(2024, 1, 1), "to": date(2024, 12, 31)}),
    }
    # The route's own function, to the bytes of the answer.
    told = {
        name: _median_ms(lambda query=query: orjson.dumps(service.sales(query)))  # type: ignore[misc]  # bound now
        for name, query in questions.items()
    }
    projection.close()
    return {"facts_per_s": per_s, **told}


def _made() -> str:
    step = YEARS * 365 * DAY // DOCUMENTS
    return (
        "INSERT INTO documents SELECT gen_random_uuid(), 'sale', "
        "CASE WHEN n % 20 = 0 THEN 'cancelled' ELSE 'placed' END, 'EUR', "
        "md5((hash(n) % 20000)::VARCHAR)::UUID, 'me', 'FR', "
        f"{FIRST} + n * {step}, 1000000 + n % 90000000 FROM range({DOCUMENTS}) AS t(n)"
    )


def _facts(count: int) -> Iterator[Fact]:
    customers = [str(new_id()) for _ in range(1000)]
    for position in range(1, count + 1):
        data = {
            "kind": "sale",
            "status": "placed",
            "currency": "EUR",
            "customer_id": random.choice(customers),
            "country": "FR",
            "owner_id": "me",
            "placed_at": FIRST + position,
            "amount": "19.99",
        }
        yield Fact(position, UUID(int=position), "OrderPlaced", 1, new_id(), 1, data, FIRST)


def _batches(facts: Iterable[Fact], size: int) -> Iterator[list[Fact]]:
    left = iter(facts)
    while batch := list(islice(left, size)):
        yield batch


def _rows() -> Iterator[tuple[object, ...]]:
    step = YEARS * 365 * DAY // DOCUMENTS
    for n in range(DOCUMENTS):
        status = "cancelled" if n % 20 == 0 else "placed"
        yield (n, "sale", status, "EUR", (n * 7919) % 20_000, FIRST + n * step, 1_000_000 + n % 90_000_000)


def _questions() -> Iterator[tuple[str, str]]:
    year = {
        "begin": FIRST + 365 * DAY,
        "end": FIRST + 731 * DAY,
        "first": FIRST // DAY + 365,
        "last": FIRST // DAY + 731,
    }
    all_of_it = {"begin": FIRST, "end": FIRST + 1100 * DAY}
    for kind, questions in (("live", LIVE), ("rollup", ROLLED)):
        for name, sql in questions.items():
            yield f"{kind}: {name}", sql.format(**(year if "year by day" in name else all_of_it))


def _sqlite(folder: Path) -> dict[str, float]:
    connection = sqlite3.connect(folder / "live.sqlite3")
    connection.execute(_TABLE)
    connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?)", _rows())
    for sql in (_INDEX, _ROLLUP, "ANALYZE"):
        connection.execute(sql)
    connection.commit()
    told = {name: _median_ms(lambda sql=sql: connection.execute(sql).fetchall()) for name, sql in _questions()}  # type: ignore[misc]
    connection.close()
    return told


def _postgres() -> dict[str, float]:
    with servers.postgres() as server, psycopg.connect(_fresh(server), autocommit=True) as connection:
        connection.execute(_TABLE.replace("INTEGER", "BIGINT"))
        with connection.cursor().copy("COPY orders FROM STDIN") as copy:
            for row in _rows():
                copy.write_row(row)
        connection.execute(_INDEX)
        connection.execute(_ROLLUP.replace("sum(amount) AS", "sum(amount)::bigint AS"))
        connection.execute("VACUUM ANALYZE")
        return {
            name: _median_ms(lambda sql=sql: connection.execute(sql).fetchall())  # type: ignore[misc]
            for name, sql in _questions()
        }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
