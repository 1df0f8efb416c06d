"""Every list of orders reads by the index that is meant for it: nothing scans, nothing sorts, nothing counts."""

import json
import random
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql

from orderhouse.kernel import clock
from orderhouse.kernel.events import Origin
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.pages import cursor_of
from orderhouse.kernel.principal import Principal
from orderhouse.orders import reads
from orderhouse.orders.contract import Status
from orderhouse.orders.models import customer_cards
from orderhouse.orders.schemas import ImportedLine, ImportOrder, ListHistory, ListOrders
from orderhouse.orders.wiring import SCHEMA, Orders
from orderhouse.runtime import migrate
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.database.fused import fused
from orderhouse.runtime.database.postgres import PostgresPlace
from orderhouse.runtime.database.sql import Row
from orderhouse.runtime.database.transaction import Reading
from orderhouse.runtime.once import Asked

pytestmark = [pytest.mark.anyio, pytest.mark.context("orders")]

CUSTOMERS = [new_id() for _ in range(50)]
BOSS = Principal("boss", "manager")
CLERK = Principal("clerk-1", "clerk")
TEAMED = Principal("clerk-2", "clerk")
TEAM = ["clerk-1", "clerk-3"]
CUSTOMER = Principal("ada", "customer", CUSTOMERS[0])
AFTER = cursor_of("orders -placed_at", 1_300_000_000_000_000, CUSTOMERS[0])
RANGE = "2011-01-01T00:00:00Z"

PLANS: list[tuple[dict[str, Any], Principal, set[str]]] = [
    ({}, BOSS, {"orders_placed"}),
    ({"sort": "placed_at"}, BOSS, {"orders_placed"}),
    ({"cursor": AFTER}, BOSS, {"orders_placed"}),
    ({"placed_from": RANGE}, BOSS, {"orders_placed"}),
    ({"currency": "GBP", "counted": "true"}, BOSS, {"orders_placed"}),
    ({"status": "on_hold"}, BOSS, {"orders_status"}),
    ({"status": "on_hold", "cursor": AFTER}, BOSS, {"orders_status"}),
    ({"customer": str(CUSTOMERS[1])}, BOSS, {"orders_customer"}),
    ({"customer": str(CUSTOMERS[1]), "status": "placed", "cursor": AFTER}, BOSS, {"orders_customer"}),
    ({"customer": "none"}, BOSS, {"orders_customer"}),
    ({"assigned_to": "clerk-1", "placed_to": RANGE}, BOSS, {"orders_owner"}),
    ({"assigned_to": "none"}, BOSS, {"orders_owner"}),
    ({"country": "Malta"}, BOSS, {"orders_country"}),
    ({"kind": "adjustment"}, BOSS, {"orders_kind"}),
    ({"kind": "credit", "cursor": AFTER}, BOSS, {"orders_kind"}),
    ({"external_reference": "R-77", "source": "test"}, BOSS, {"orders_reference"}),
    ({}, CLERK, {"orders_owner", "orders_handed_over"}),
    # A clerk's own in a rare status: either index bounds it, and PostgreSQL knows which is rarer.
    ({"status": "on_hold", "cursor": AFTER}, CLERK, {"orders_owner", "orders_handed_over", "orders_status"}),
    ({"customer": str(CUSTOMERS[1])}, CLERK, {"orders_customer"}),
    ({}, TEAMED, {"orders_owner", "orders_handed_over"}),
    ({"cursor": AFTER}, TEAMED, {"orders_owner", "orders_handed_over"}),
    ({"assigned_to": "clerk-1"}, TEAMED, {"orders_owner"}),
    ({}, CUSTOMER, {"orders_customer"}),
    ({"status": "placed"}, CUSTOMER, {"orders_customer"}),
]


STATUSES: list[Status] = ["placed", "on_hold", "delivered", "cancelled"]


class Explaining(Reading):
    """Asks the database how it would answer, besides answering."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self.dialect = reading.dialect
        self.plans: list[Sequence[Row]] = []

    def rows(self, sql: str, **values: object) -> Sequence[Row]:
        how = "EXPLAIN QUERY PLAN " if self.dialect == "sqlite" else "EXPLAIN (FORMAT JSON) "
        self.plans.append(self._reading.rows(how + sql, **values))
        return self._reading.rows(sql, **values)


def document(n: int, draw: random.Random) -> ImportOrder:
    return ImportOrder(
        customer_id=draw.choice(CUSTOMERS) if n % 9 else None,
        currency="GBP",
        lines=[ImportedLine("A", None, 1, 1_000_000)],
        external_reference=f"R-{n}",
        note=None,
        source="test",
        kind="sale" if n % 20 else draw.choice(["credit", "adjustment"]),
        status=draw.choices(STATUSES, [30, 1, 1, 1])[0],
        placed_at=1_280_000_000_000_000 + draw.randrange(10**14),
        country=draw.choice(["France", "Japan", "Peru", "Malta"]),
        fingerprint=b"x",
    )


@pytest.fixture
async def orders(place: Place) -> AsyncIterator[Orders]:
    opened = Orders.opened(place, bound=100)
    draw = random.Random(3)
    for begin in range(0, 20_000, 2_000):
        asked = [Asked(document(n, draw), BOSS, clock.now(), Origin("boss")) for n in range(begin, begin + 2_000)]
        await opened.database.write_many(opened.service.place, asked)
    await opened.database.write(
        lambda tx, _: [tx.run("UPDATE orders SET owner_id = 'clerk-1' WHERE external_reference LIKE '%7'")], None
    )
    if isinstance(place, PostgresPlace):
        with psycopg.connect(place.url, autocommit=True) as connection:
            connection.execute(f"VACUUM ANALYZE {place.schema}.orders")
    yield opened
    await opened.database.close()


def nodes(plan: Any) -> list[dict[str, Any]]:
    inner = [node for child in plan.get("Plans", ()) for node in nodes(child)]
    return [plan, *inner]


def used(plans: list[Sequence[Row]], dialect: str) -> tuple[set[str], list[str]]:
    """Return the indexes a question reads by, and whatever it does that a list must not do."""
    indexes: set[str] = set()
    wrong: list[str] = []
    for plan in plans:
        if dialect == "sqlite":
            for *_, step in plan:
                if step.startswith("SEARCH") or ("USING" in step and "INDEX" in step):
                    indexes.add(step.split("INDEX ")[1].split(" ")[0] if "INDEX " in step else step.split(" ")[1])
                elif step.startswith("SCAN") and not step.startswith(("SCAN part", "SCAN (subquery")):
                    wrong.append(step)
        else:
            for node in nodes(json.loads(plan[0][0])[0]["Plan"]):
                if "Index Name" in node:
                    indexes.add(node["Index Name"])
                if node["Node Type"] in ("Seq Scan", "Bitmap Heap Scan", "Aggregate"):
                    wrong.append(node["Node Type"])
                if node["Node Type"] == "Sort" and node["Plan Rows"] > 1000:
                    wrong.append("a sort of many rows")
    return indexes, wrong


async def test_every_list_reads_by_its_index(orders: Orders) -> None:
    for query, caller, indexes in PLANS:

        def explained(reading: Reading, query: dict[str, Any] = query, caller: Principal = caller) -> Explaining:
            explaining = Explaining(reading)
            team = TEAM if caller is TEAMED else []
            reads.page(explaining, ListOrders.model_validate_strings(query), caller, team)
            return explaining

        explaining = await orders.database.scan(explained)
        found, wrong = used(explaining.plans, explaining.dialect)
        assert wrong == [], (query, caller.role, explaining.plans)
        assert found, query
        assert found <= indexes, (query, caller.role, explaining.plans)


async def test_one_order_and_the_log_are_read_by_key(orders: Orders) -> None:
    def explained(reading: Reading) -> Explaining:
        explaining = Explaining(reading)
        found = UUID(reads.page(reading, ListOrders(), BOSS)[0][0]["id"])
        assert reads.whole(explaining, found, BOSS) is not None
        assert reads.history_page(explaining, found, ListHistory(), BOSS) is not None
        return explaining

    explaining = await orders.database.scan(explained)
    indexes, wrong = used(explaining.plans, explaining.dialect)
    assert wrong == []
    assert len(indexes) >= 3


async def test_cards_that_were_seen_are_checked_by_their_key(postgres_url: str) -> None:
    place = PostgresPlace(postgres_url, f"orders_{uuid4().hex[:12]}")
    migrate.migrate(SCHEMA, place)
    statement, arguments = fused({customer_cards: [(customer, 1) for customer in CUSTOMERS]}, {}, {}, [])
    with psycopg.connect(place.url, autocommit=True) as connection:
        connection.execute(f"SET search_path = {place.schema}")
        connection.execute(
            "INSERT INTO customer_cards SELECT gen_random_uuid(), true, 'Peru', 1 FROM generate_series(1, 20000)"
        )
        connection.execute("ANALYZE customer_cards")
        connection.execute("SET plan_cache_mode = force_generic_plan")
        connection.execute(f"PREPARE checked AS {statement}")
        values = sql.SQL(", ").join(map(sql.Literal, arguments))
        plan = connection.execute(sql.SQL("EXPLAIN (FORMAT JSON) EXECUTE checked({})").format(values)).fetchone()
    assert plan
    read = [node for node in nodes(plan[0][0]["Plan"]) if node.get("Relation Name") == "customer_cards"]
    assert [node.get("Index Name") for node in read] == ["customer_cards_pkey"]


async def test_control_a_filter_without_an_index_is_noticed(orders: Orders) -> None:
    def explained(reading: Reading) -> Explaining:
        explaining = Explaining(reading)
        explaining.rows("SELECT id FROM orders WHERE note = :note ORDER BY updated_at LIMIT 50", note="x")
        return explaining

    explaining = await orders.database.scan(explained)
    assert used(explaining.plans, explaining.dialect)[1] != []


async def test_the_migrated_schema_is_the_one_the_code_knows_and_can_be_taken_back(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    for place in (
        tmp_path / "orders.sqlite3",
        PostgresPlace(request.getfixturevalue("postgres_url"), f"orders_{uuid4().hex[:12]}"),
    ):
        migrate.migrate(SCHEMA, place)
        assert migrate.drift(SCHEMA, place) == []
        migrate.migrate(SCHEMA, place, "base")
        assert migrate.current(SCHEMA, place) is None
        assert migrate.drift(SCHEMA, place) != []
        migrate.migrate(SCHEMA, place)
        assert migrate.drift(SCHEMA, place) == []
