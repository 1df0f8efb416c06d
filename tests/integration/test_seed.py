"""The seed: a lifelike shop, the same whenever it is sown, and completed when it was interrupted."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from orderhouse.assembly import seed
from orderhouse.assembly.contexts import Contexts
from orderhouse.assembly.places import SCHEMAS
from orderhouse.assembly.seed import DAYS, INACTIVE, ORDERS
from orderhouse.auth.wiring import opened_database as opened_auth
from orderhouse.customers.wiring import Customers
from orderhouse.jobs.wiring import Jobs
from orderhouse.kernel import clock
from orderhouse.orders.wiring import Orders
from orderhouse.runtime import facts
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.database.sql import Row
from orderhouse.runtime.database.transaction import Reading
from orderhouse.tasks.wiring import Tasks
from orderhouse.users.wiring import Users
from tests.installation import Installation

pytestmark = pytest.mark.anyio

NOW = clock.from_text("2026-11-20T15:30:00Z")
DAY = 86_400_000_000


@pytest.fixture
def places(installation: Installation) -> dict[str, Place]:
    return {context: installation.place(context) for context in SCHEMAS}


@asynccontextmanager
async def opened(places: dict[str, Place]) -> AsyncIterator[Contexts]:
    contexts = Contexts(
        Customers.opened(places["customers"], bound=100),
        Jobs.opened(places["jobs"], bound=100),
        Orders.opened(places["orders"], bound=100),
        Users.opened(places["users"], bound=100),
        Tasks.opened(places["tasks"], bound=100),
        opened_auth(places["auth"], bound=100),
    )
    try:
        yield contexts
    finally:
        await contexts.close()


def rows_of(reading: Reading, table: str) -> Sequence[Row]:
    return reading.rows(f"SELECT * FROM {table}")


async def everything(contexts: Contexts) -> list[list[Row]]:
    tables = {
        contexts.customers.database: ("customers", "facts"),
        contexts.orders.database: ("orders", "order_reasons", "facts"),
    }
    return [
        sorted(map(tuple, await database.read(rows_of, table)), key=repr)
        for database, names in tables.items()
        for table in names
    ]


async def test_it_looks_like_a_shop(places: dict[str, Place]) -> None:
    async with opened(places) as contexts:
        report = await seed.seed(contexts, now=NOW)
        people = await contexts.customers.database.read(
            lambda r: r.rows("SELECT external_id, email, country, active FROM customers")
        )
        assert report.customers == len(people) == 40
        assert len({row[2] for row in people}) >= 8
        assert all(row[1].endswith("@example.com") for row in people)
        assert {row[0] for row in people if not row[3]} == INACTIVE

        orders = await contexts.orders.database.read(
            lambda r: r.rows("SELECT kind, status, placed_at, currency, owner_id, customer_id FROM orders")
        )
        sales = [row for row in orders if row[0] == "sale"]
        assert len(sales) == ORDERS
        assert report.orders == len(orders)
        statuses = Counter(row[1] for row in sales)
        assert set(statuses) == {
            "placed", "on_hold", "confirmed", "packed", "shipped", "delivered", "cancelled", "returned",
        }  # fmt: skip
        assert statuses["delivered"] > ORDERS / 2
        assert sum(row[0] == "credit" for row in orders) == statuses["returned"]
        assert all(NOW - (DAYS + 1) * DAY < row[2] <= NOW for row in orders)
        assert {row[3] for row in orders} == {"GBP"}
        assert len({row[4] for row in orders}) == 4
        assert None not in {row[5] for row in orders}


async def test_each_order_has_a_history_that_only_goes_forward_and_ends_before_now(places: dict[str, Place]) -> None:
    async with opened(places) as contexts:
        await seed.seed(contexts, now=NOW)
        told = await contexts.orders.database.scan(facts.read, 0, 10_000)
        at: dict[object, int] = {}
        for fact in told:
            assert at.get(fact.aggregate, 0) <= fact.at <= NOW
            at[fact.aggregate] = fact.at
        assert {fact.name for fact in told} == {"OrderPlaced", "OrderMoved", "OrderAssigned"}


async def test_sown_again_at_any_time_it_changes_nothing(places: dict[str, Place]) -> None:
    async with opened(places) as contexts:
        await seed.seed(contexts, now=NOW)
        before = await everything(contexts)
        report = await seed.seed(contexts, now=NOW + 9 * DAY)
        assert (report.customers, report.orders, report.steps) == (0, 0, 0)
        assert await everything(contexts) == before


@pytest.mark.parametrize("written", range(0, 24, 5))
async def test_interrupted_and_sown_again_it_is_whole(
    places: dict[str, Place], written: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(places) as contexts:
        write_many = type(contexts.orders.database).write_many
        calls = 0

        async def interrupted(*args: object) -> object:
            nonlocal calls
            calls += 1
            if calls > written:
                raise KeyboardInterrupt
            return await write_many(*args)  # type: ignore[arg-type]  # passed on as it came

        with monkeypatch.context() as patched:
            patched.setattr(type(contexts.orders.database), "write_many", interrupted)
            with pytest.raises(KeyboardInterrupt):
                await seed.seed(contexts, now=NOW)
        await seed.seed(contexts, now=NOW)
        whole = seed.sown_orders(list(range(40)), NOW)  # type: ignore[arg-type]  # any will do
        versions = await contexts.orders.database.read(
            lambda r: r.rows("SELECT external_reference, version FROM orders")
        )
        assert {row[0]: row[1] for row in versions} == {
            one.order.external_reference: 1 + len(one.steps) for one in whole
        }
        assert (await seed.seed(contexts, now=NOW)).steps == 0
