"""Lists of customers: pages that miss and repeat nothing, in the same order on both databases, each by an index."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from orderhouse.customers import reads
from orderhouse.customers.errors import CustomerNotFound
from orderhouse.customers.reads import Page
from orderhouse.customers.schemas import AddCustomer, ListCustomers, Seen
from orderhouse.customers.wiring import Customers
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.pages import COUNTED_TO, LARGEST_OFFSET, CursorInvalid, PagesDoNotCombine, cursor_of
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.database.postgres import PostgresPlace
from orderhouse.runtime.database.sql import Row, for_postgresql, for_sqlite
from orderhouse.runtime.database.transaction import Reading
from tests.integration.customers_world import CLERK, added, added_all, asked, opened

pytestmark = [pytest.mark.anyio, pytest.mark.context("customers")]

NAMES = ["Zoë", "ada", "Ada", "ÅSE", "åse", "Ben", "ben 2", "Ωmega", "élan", "Eve", "_x", "Ada", "10 Downing", "茶房"]
SORTS = ["created_at", "-created_at", "name", "-name"]


async def listed(customers: Customers, caller: Principal = CLERK, **wanted: Any) -> Page:
    return await customers.database.read(reads.page, ListCustomers.model_validate(wanted), caller)


async def followed(customers: Customers, between: Callable[[], Any] | None = None, **wanted: Any) -> list[UUID]:
    """Return the ids on all pages, following the cursors; `between` is awaited after each."""
    seen: list[UUID] = []
    page = await listed(customers, **wanted)
    while True:
        seen += [customer.id for customer in page.customers]
        if page.next is None:
            return seen
        if between is not None:
            await between()
        page = await listed(customers, **wanted, cursor=page.next)


async def named(customers: Customers) -> list[UUID]:
    """Add a customer of each name; return them in the order of names."""
    outcomes = await added_all(customers, [AddCustomer(name=name) for name in NAMES])
    assert len({outcome.id for outcome in outcomes if not isinstance(outcome, Exception)}) == len(NAMES)
    kept = [(outcome.name, outcome.id) for outcome in outcomes if not isinstance(outcome, Exception)]
    return [customer_id for _, customer_id in sorted((name.casefold(), customer_id) for name, customer_id in kept)]


async def test_names_come_in_the_same_order_on_every_database(place: Place) -> None:
    async with opened(place) as customers:
        in_order = await named(customers)
        assert await followed(customers, sort="name", limit=3) == in_order
        assert await followed(customers, sort="-name", limit=3) == in_order[::-1]


async def test_the_latest_come_first_unless_asked_otherwise(place: Place) -> None:
    async with opened(place) as customers:
        made = sorted(await named(customers))
        assert await followed(customers, limit=4) == made[::-1]
        assert await followed(customers, limit=4, sort="created_at") == made


@pytest.mark.parametrize("sort", SORTS)
async def test_pages_miss_and_repeat_nobody_while_others_are_added(place: Place, sort: str) -> None:
    async with opened(place) as customers:
        there = set(await named(customers))

        async def meanwhile() -> None:
            await added(customers, "Dora")
            await added(customers, "zzz")

        seen = await followed(customers, meanwhile, sort=sort, limit=5)
        assert len(set(seen)) == len(seen)
        assert there <= set(seen)


@pytest.mark.parametrize("sort", SORTS)
async def test_pages_by_offset_are_the_pages_by_cursor(place: Place, sort: str) -> None:
    async with opened(place) as customers:
        await named(customers)
        by_cursor = await followed(customers, sort=sort, limit=5)
        pages = [await listed(customers, sort=sort, limit=5, offset=offset) for offset in range(0, 20, 5)]
        assert [customer.id for page in pages for customer in page.customers] == by_cursor
        assert [page.total for page in pages] == [len(NAMES)] * 4
        behind_first = await listed(customers, sort=sort, limit=200, cursor=pages[0].next)
        assert [customer.id for customer in behind_first.customers] == by_cursor[5:]


async def test_those_who_may_order_and_those_who_may_not(place: Place) -> None:
    async with opened(place) as customers:
        everybody = await named(customers)
        for customer_id in everybody[:4]:
            await customers.database.write(customers.service.deactivate, asked(Seen(customer_id, None)))
        for sort in ("name", "-name"):
            inactive = await followed(customers, active="false", sort=sort, limit=3)
            assert inactive == (everybody[:4] if sort == "name" else everybody[3::-1])
            active = await followed(customers, active="true", sort=sort, limit=3)
            assert sorted(active + inactive) == sorted(everybody)
        assert (await listed(customers, active="false", offset=0)).total == 4


async def test_a_customer_is_found_by_what_a_source_calls_it(place: Place) -> None:
    async with opened(place) as customers:
        await named(customers)
        seven = await added(customers, "Seven", external_id="7")
        assert await followed(customers, external_id="7") == [seven.id]
        assert await followed(customers, external_id="7", active="true") == [seven.id]
        assert await followed(customers, external_id="7", active="false") == []
        assert await followed(customers, external_id="77") == []


async def test_a_customer_sees_itself_alone(place: Place) -> None:
    async with opened(place) as customers:
        ada, ben = await added(customers, external_id="7"), await added(customers, "Ben")
        me = Principal("ada", "customer", ada.id)
        page = await listed(customers, me, offset=0)
        assert (page.customers, page.next, page.total) == ([ada], None, 1)
        assert (await listed(customers, Principal("ben", "customer", ben.id), external_id="7")).customers == []
        assert (await listed(customers, me, external_id="7", active="true")).customers == [ada]
        with pytest.raises(CustomerNotFound):
            await customers.database.read(reads.one, ben.id, me)
        assert await customers.database.read(reads.one, ada.id, me) == ada
        assert await customers.database.read(reads.one, new_id(), CLERK) is None


async def test_a_cursor_belongs_to_its_list_and_goes_without_an_offset(place: Place) -> None:
    async with opened(place) as customers:
        await named(customers)
        cursor = (await listed(customers, limit=1)).next
        with pytest.raises(PagesDoNotCombine):
            await listed(customers, cursor=cursor, offset=0)
        forged = [cursor_of("customers name", text, new_id()) for text in ("a\0", "\ud800")]
        for broken in (cursor, "", "x", "W10", *forged):
            with pytest.raises(CursorInvalid):
                await listed(customers, cursor=broken, sort="name")


async def test_the_longest_name_still_makes_a_cursor_that_is_taken(place: Place) -> None:
    async with opened(place) as customers:
        for _ in range(2):
            await added(customers, "\U0001f375" * 200)
        assert len(await followed(customers, sort="name", limit=1)) == 2


QUESTIONS: list[tuple[dict[str, Any], str]] = [
    ({"sort": "created_at"}, "customers_pkey"),
    ({"sort": "-created_at"}, "customers_pkey"),
    ({"sort": "name"}, "customers_name"),
    ({"sort": "-name"}, "customers_name"),
    ({"active": "true"}, "customers_active"),
    ({"active": "false", "sort": "created_at"}, "customers_active"),
    ({"active": "true", "sort": "name"}, "customers_active_name"),
    ({"active": "false", "sort": "-name"}, "customers_active_name"),
    *(({"external_id": "7", "sort": sort}, "customers_external_id") for sort in SORTS),
    *(({"external_id": "7", "active": "false", "sort": sort}, "customers_external_id") for sort in SORTS),
]


async def test_every_page_of_every_list_is_read_by_its_index_and_nothing_scans(place: Place) -> None:
    fill(place)
    async with opened(place) as customers:
        for wanted, index in QUESTIONS:
            first = await customers.database.read(planned, place, wanted)
            assert_by(index, first)
            if "external_id" not in wanted:
                cursor = (await listed(customers, **wanted, limit=1)).next
                assert_by(index, await customers.database.read(planned, place, {**wanted, "cursor": cursor}))
            *_, page = deep = await customers.database.read(planned, place, {**wanted, "offset": LARGEST_OFFSET})
            assert_by(index, [page])
            assert not any(scans(step) for plan in deep for step in plan)
        mine = Principal("ada", "customer", new_id())
        assert_by("customers_pkey", await customers.database.read(planned, place, {}, mine))


async def test_one_customer_and_cards_are_found_by_their_key(place: Place) -> None:
    fill(place)
    async with opened(place) as customers:

        def asked_of(reading: Reading) -> list[list[str]]:
            spy = Spy(reading)
            reads.one(spy, new_id(), CLERK)
            reads.cards(spy, [new_id(), new_id()])
            return [plan_of(place, *question) for question in spy.asked]

        assert_by("customers_pkey", await customers.database.read(asked_of))


async def test_a_total_is_counted_no_further_than_anybody_pages(place: Place) -> None:
    fill(place)
    async with opened(place) as customers:
        assert (await listed(customers, offset=0)).total == COUNTED_TO
        assert (await listed(customers, offset=LARGEST_OFFSET, limit=200)).next is not None


class Spy(Reading):
    """Remembers every question it passes on."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self.dialect = reading.dialect
        self.asked: list[tuple[str, dict[str, object]]] = []

    def rows(self, sql: str, **values: object) -> Sequence[Row]:
        self.asked.append((sql, values))
        return self._reading.rows(sql, **values)


def planned(reading: Reading, place: Place, wanted: dict[str, Any], caller: Principal = CLERK) -> list[list[str]]:
    """Return the plan of each question a page asks."""
    spy = Spy(reading)
    reads.page(spy, ListCustomers.model_validate(wanted), caller)
    return [plan_of(place, *question) for question in spy.asked]


def plan_of(place: Place, sql: str, values: dict[str, object]) -> list[str]:
    """Return the steps of a plan: on PostgreSQL the generic one, which is what our connections use."""
    if isinstance(place, Path):
        text, named_values = for_sqlite(sql, values)
        with closing(sqlite3.connect(place)) as file:
            return [row[3] for row in file.execute(f"EXPLAIN QUERY PLAN {text}", dict(named_values))]
    text, _ = for_postgresql(sql, values)
    with psycopg.connect(place.url, options=f"-csearch_path={place.schema}") as connection:
        return [row[0] for row in connection.execute(f"EXPLAIN (GENERIC_PLAN) {text}".encode())]


def assert_by(index: str, plans: list[list[str]]) -> None:
    for plan in plans:
        said = [step.replace("sqlite_autoindex_customers_1", "customers_pkey") for step in plan]
        used = [step for step in said if f"{index} " in f"{step} ".replace(":", " ")]
        assert used, said
        assert not any(scans(step) for step in said), said
        # The few that share an external id are sorted; any other list comes from its index in its order.
        assert index == "customers_external_id" or not any(sorts(step) for step in said), said


def scans(step: str) -> bool:
    """Whether a step reads a whole table: walking an index in its order, for as far as a page goes, is none."""
    return "Seq Scan on customers" in step or (step.startswith("SCAN customers") and "USING" not in step)


def sorts(step: str) -> bool:
    """Whether a step puts rows in order that do not come so."""
    return "Sort Key" in step or "TEMP B-TREE" in step


def fill(place: Place, count: int = 30_000) -> None:
    """Put that many customers straight into the table, a few of them inactive."""
    columns = "id, name, name_key, source, external_id, active, version, created_at, updated_at"
    if isinstance(place, PostgresPlace):
        with psycopg.connect(place.url, options=f"-csearch_path={place.schema}", autocommit=True) as connection:
            connection.execute(
                f"INSERT INTO customers ({columns}) SELECT gen_random_uuid(), 'Customer ' || n, 'customer ' || n, "
                f"'shop', n::text, n % 40 <> 0, 1, 0, 0 FROM generate_series(1, {count}) AS n".encode()
            )
            connection.execute("VACUUM ANALYZE customers")
        return
    with closing(sqlite3.connect(place)) as file, file:
        file.execute(
            f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) "
            f"INSERT INTO customers ({columns}) SELECT randomblob(16), 'Customer ' || n, 'customer ' || n, "
            "'shop', cast(n AS text), n % 40 <> 0, 1, 0, 0 FROM numbers"
        )
