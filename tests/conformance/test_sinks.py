"""One suite for every reader of the product: whatever is delivered twice, late or in another order, effects are equal.

Each stands twice on stores of their own: one is given every fact once and in order, the other however it comes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderhouse.analytics.errors import FactsMissing
from orderhouse.analytics.projection import Projection
from orderhouse.analytics.readers import ProjectionSink
from orderhouse.analytics.schemas import SalesQuery
from orderhouse.analytics.service import SalesService
from orderhouse.assembly.facts import READS
from orderhouse.auth.readers import follow_users
from orderhouse.auth.wiring import SCHEMA as AUTH
from orderhouse.customers import contract as customers
from orderhouse.kernel.events import Fact
from orderhouse.kernel.ids import new_id
from orderhouse.orders import contract as orders
from orderhouse.orders.readers import keep_cards, keep_teams
from orderhouse.orders.wiring import SCHEMA as ORDERS
from orderhouse.runtime import migrate
from orderhouse.runtime.database.database import Database, Place, open_database
from orderhouse.runtime.database.postgres import PostgresPlace
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.migrate import Schema
from orderhouse.runtime.readers import DatabaseSink, FactsOutOfOrder, Sink
from orderhouse.runtime.registry import Kinds
from orderhouse.tasks.service.causes import CauseService
from orderhouse.tasks.service.tasks import TaskService
from orderhouse.tasks.wiring import SCHEMA as TASKS
from orderhouse.tasks.wiring import Tasks
from orderhouse.users import contract as users

Data = st.SearchStrategy[dict[str, Any]]
Kept = Callable[[], Awaitable[object]]

COUNTRIES = st.sampled_from(["France", "Japan", None])
PLACED_AT = 1_304_596_800_000_000

DOCUMENTS: Data = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(orders.KINDS),
        "status": st.sampled_from(orders.STATUSES),
        "currency": st.just("GBP"),
        "customer_id": st.none(),
        "country": COUNTRIES,
        "owner_id": st.sampled_from(["ada", "bob", None]),
        "placed_at": st.integers(PLACED_AT, PLACED_AT + 10**12),
        "amount": st.decimals("-999", "999", places=3).map(str),
        "total": st.just("1.00"),
        "lines": st.just(1),
        "source": st.just("api"),
        "external_reference": st.none(),
    }
)
CARDS: Data = st.fixed_dictionaries({"country": COUNTRIES, "active": st.booleans()})
NOTHING: Data = st.just({})

THE_USER = "the user of this history"
ROLES: Data = st.fixed_dictionaries({"role": st.sampled_from(["clerk", "owner"]), "customer_id": st.none()})
MEMBERS: Data = st.fixed_dictionaries({"user_id": st.sampled_from([THE_USER, str(UUID(int=1)), str(UUID(int=2))])})
PERMISSIONS = st.lists(st.sampled_from(["orders:read", "users:read"]), max_size=2)

Life = tuple[str, dict[str, Data]]
"""What is told of a thing first of all, and the data of that and of whatever else may be told of it."""

LIVES: dict[str, Sequence[Life]] = {
    "customers": [
        (
            customers.CustomerAdded.name,
            {
                customers.CustomerAdded.name: CARDS,
                customers.CustomerChanged.name: CARDS,
                customers.CustomerDeactivated.name: NOTHING,
                customers.CustomerReactivated.name: NOTHING,
            },
        )
    ],
    "orders": [
        (
            orders.PLACED,
            {
                orders.PLACED: DOCUMENTS,
                orders.REPLACED: DOCUMENTS,
                orders.MOVED: st.fixed_dictionaries(
                    {"from": st.sampled_from(orders.STATUSES), "to": st.sampled_from(orders.STATUSES)}
                ),
                orders.ASSIGNED: st.fixed_dictionaries({"owner_id": st.sampled_from(["ada", "bob", None])}),
                orders.NOTED: NOTHING,
            },
        )
    ],
    "users": [
        (
            users.UserInvited.name,
            {
                users.UserInvited.name: ROLES,
                users.UserJoined.name: ROLES,
                users.UserChanged.name: NOTHING,
                users.UserRoleChanged.name: ROLES,
                users.UserEmailVerified.name: ROLES,
                users.UserDeactivated.name: NOTHING,
                users.UserReactivated.name: NOTHING,
                users.UserErased.name: NOTHING,
            },
        ),
        (
            users.TeamAdded.name,
            {
                users.TeamAdded.name: NOTHING,
                users.TeamChanged.name: NOTHING,
                users.TeamJoined.name: MEMBERS,
                users.TeamLeft.name: MEMBERS,
                users.TeamRemoved.name: NOTHING,
            },
        ),
        (
            users.RoleAdded.name,
            {
                users.RoleAdded.name: st.fixed_dictionaries({"permissions": PERMISSIONS}),
                users.RoleChanged.name: st.fixed_dictionaries({"permissions": PERMISSIONS, "before": PERMISSIONS}),
                users.RoleRemoved.name: NOTHING,
            },
        ),
    ],
}
"""By log: the kinds of things that it tells of."""


@dataclass
class Reader:
    """A reader of a log, over a store in which each fact came once, and over one in which they came as they liked."""

    log: str
    once: Sink
    as_it_comes: Callable[[], Sink]
    """The other one, as it is after a start: nothing is remembered but what is stored."""
    kept: tuple[Kept, Kept]
    run: Callable[[Any], Any]


@st.composite
def histories(draw: st.DrawFn, log: str) -> list[Fact]:
    """Return what a log may hold of three things, from position 1 on."""
    told: dict[UUID, int] = {}
    about = [new_id() for _ in range(3)]
    facts = []
    for position in range(1, draw(st.integers(1, 12)) + 1):
        which = draw(st.integers(0, 2))
        thing, (first, others) = about[which], LIVES[log][which % len(LIVES[log])]
        told[thing] = told.get(thing, 0) + 1
        name = first if told[thing] == 1 else draw(st.sampled_from([one for one in others if one != first]))
        data = draw(others[name])
        if data.get("user_id") == THE_USER:
            data = {**data, "user_id": str(about[0])}
        facts.append(Fact(position, new_id(), name, 1, thing, told[thing], data, position))
    return facts


def deliveries(facts: Sequence[Fact]) -> st.SearchStrategy[list[list[Fact]]]:
    """Return ways to deliver `facts`: some of them, in any order, as often as you like; in the end all there are."""
    some = st.lists(st.sampled_from(facts), max_size=2 * len(facts))
    everything = st.permutations(facts).flatmap(lambda all_: some.map(lambda more: [*more, *all_]))
    return st.tuples(st.lists(some, max_size=4), everything).map(lambda parts: [*parts[0], parts[1]])


async def delivered(reader: Reader, facts: Sequence[Fact], packets: Sequence[Sequence[Fact]]) -> None:
    """Have one store take `facts` once and the other take `packets`; both go on where they are."""
    behind = await reader.once.position()
    assert await reader.as_it_comes().position() == behind

    def placed(some: Sequence[Fact]) -> list[Fact]:
        return [fact._replace(position=behind + fact.position) for fact in some]

    await reader.once.take(placed(facts))
    for packet in packets:
        try:
            await reader.as_it_comes().take(placed(packet))
        except (FactsOutOfOrder, FactsMissing):
            continue  # Whoever delivers comes again with what was missing.


async def equal(reader: Reader) -> bool:
    once, otherwise = reader.kept
    return await once() == await otherwise()


@dataclass(frozen=True)
class InDatabase:
    """A reader whose effects are rows: what makes it, and the questions that show what it left."""

    log: str
    schema: Schema
    made: Callable[[Database], DatabaseSink]
    shows: Sequence[str]


def _customer_reader(database: Database, kind: type[DatabaseSink] = DatabaseSink) -> DatabaseSink:
    return kind("customers", database, keep_cards, kinds=Kinds("customers", customers.FACT_KINDS))


def _user_reader(database: Database) -> DatabaseSink:
    return DatabaseSink("users", database, keep_teams, kinds=Kinds("users", users.FACT_KINDS))


def _auth_reader(database: Database) -> DatabaseSink:
    return DatabaseSink("users", database, follow_users, kinds=Kinds("users", users.FACT_KINDS))


def _order_reader(database: Database) -> DatabaseSink:
    return Tasks(database, TaskService("UTC"), CauseService("UTC"), database.bell()).order_reader()


CARDS_OF_ORDERS = InDatabase(
    "customers",
    ORDERS,
    _customer_reader,
    ["SELECT customer_id, active, country, version FROM customer_cards ORDER BY 1"],
)
IN_DATABASES = {
    "orders.customers": CARDS_OF_ORDERS,
    "orders.users": InDatabase("users", ORDERS, _user_reader, ["SELECT * FROM team_members ORDER BY 1, 2"]),
    "tasks.orders": InDatabase(
        "orders",
        TASKS,
        _order_reader,
        [
            "SELECT * FROM order_marks ORDER BY 1",
            # What ended before anything was to be done comes to nothing: it only waits to be swept up.
            "SELECT subject, since, ended FROM task_causes WHERE ended IS NULL OR task_id IS NOT NULL ORDER BY 1, 2, 3",
        ],
    ),
    "auth.users": InDatabase(
        "users",
        AUTH,
        _auth_reader,
        [
            "SELECT at, action, actor, user_id, before, after FROM audit ORDER BY 1, 2, 4, 5, 6",
            "SELECT kind, of, before FROM revocations ORDER BY 1, 2, 3",
        ],
    ),
}


async def rows(database: Database, questions: Sequence[str]) -> object:
    return await database.read(lambda reading: [reading.rows(question) for question in questions])


@contextmanager
def in_database(one: InDatabase, url: str, folder: Path) -> Iterator[Reader]:
    places: list[Place] = [folder / f"{one.schema.context}-{n}.sqlite3" for n in range(2)]
    if url:
        places = [PostgresPlace(url, f"{one.schema.context}_{uuid4().hex[:12]}") for _ in range(2)]
    for place in places:
        migrate.migrate(one.schema, place)
    databases = [open_database(one.schema.context, place, one.schema.tables, refusals={}) for place in places]
    with asyncio.Runner() as runner:
        yield Reader(
            one.log,
            one.made(databases[0]),
            lambda: one.made(databases[1]),
            (lambda: rows(databases[0], one.shows), lambda: rows(databases[1], one.shows)),
            runner.run,
        )
        for database in databases:
            runner.run(database.close())


async def figures(projection: Projection) -> object:
    service = SalesService(projection, "UTC")
    cuts = ("day", "status", "country", "user")
    days: dict[str, Any] = {"from": date(2011, 5, 1), "to": date(2011, 5, 31), "currency": "GBP"}
    return [service.sales(SalesQuery(by=by, **days)) for by in cuts]


@contextmanager
def of_analytics(folder: Path) -> Iterator[Reader]:
    once, otherwise = (Projection(folder / f"{name}.duckdb", memory_mb=64, threads=1) for name in ("once", "otherwise"))
    with asyncio.Runner() as runner:
        yield Reader(
            "orders",
            ProjectionSink(once),
            lambda: ProjectionSink(otherwise),
            (lambda: figures(once), lambda: figures(otherwise)),
            runner.run,
        )
    once.close()
    otherwise.close()


READERS = (*IN_DATABASES, "analytics.orders")


@pytest.fixture(params=[*READERS, "orders.customers on PostgreSQL"])
def reader(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reader]:
    if request.param == "analytics.orders":
        with of_analytics(tmp_path) as found:
            yield found
        return
    name, _, on = request.param.partition(" on ")
    url = request.getfixturevalue("postgres_url") if on else ""
    with in_database(IN_DATABASES[name], url, tmp_path) as found:
        yield found


def test_every_reader_of_the_product_is_here() -> None:
    assert set(READERS) == {f"{context}.{log}" for context, reads in READS.items() for log in reads}
    for reads in READS.values():
        for log, names in reads.items():
            assert set(names) <= {name for _, others in LIVES[log] for name in others}, "each fact may be delivered"


def test_whatever_comes_twice_late_or_in_another_order_leaves_the_same(reader: Reader) -> None:
    @settings(max_examples=25 if reader.log == "orders" else 50, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.data())
    def whatever(data: st.DataObject) -> None:
        facts = data.draw(histories(reader.log))
        reader.run(delivered(reader, facts, data.draw(deliveries(facts))))
        assert reader.run(equal(reader))

    whatever()


def test_a_range_that_is_replayed_leaves_the_same(tmp_path: Path) -> None:
    with in_database(CARDS_OF_ORDERS, "", tmp_path) as reader:
        sink = reader.as_it_comes()
        assert isinstance(sink, DatabaseSink)

        async def replayed(facts: Sequence[Fact], first: int, last: int) -> None:
            behind = await sink.position()
            await delivered(reader, facts, [facts])
            again = [fact._replace(position=behind + fact.position) for fact in facts[first:last]]
            await sink.again(again, "replayed")
            while await sink.idle():
                pass

        @settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
        @given(histories("customers"), st.integers(0, 12), st.integers(0, 12))
        def any_range(facts: list[Fact], one: int, other: int) -> None:
            reader.run(replayed(facts, *sorted((one, other))))
            assert reader.run(equal(reader))

        any_range()


class TakesThemAsTheyCome(DatabaseSink):
    """The control: a reader that keeps no place."""

    def _new(self, tx: Transaction, facts: Sequence[Fact]) -> list[Fact]:
        super()._new(tx, [])
        return list(facts)


def test_control_a_reader_that_takes_facts_as_they_come_is_caught(tmp_path: Path) -> None:
    about = new_id()
    added = Fact(1, new_id(), customers.CustomerAdded.name, 1, about, 1, {"country": "France", "active": True}, 1)
    gone = Fact(2, new_id(), customers.CustomerDeactivated.name, 1, about, 2, {}, 2)
    gullible = replace(CARDS_OF_ORDERS, made=lambda database: _customer_reader(database, TakesThemAsTheyCome))
    with in_database(gullible, "", tmp_path) as reader:
        reader.run(delivered(reader, [added, gone], [[gone], [added]]))
        assert not reader.run(equal(reader))


def test_facts_of_an_older_version_reach_analytics_in_the_present_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if what is now version 1 of OrderPlaced had come after one that called the amount a sum."""
    from orderhouse.analytics import readers

    kinds = [
        replace(kind, version=2, upcasts={1: lambda data: {**data, "amount": data["sum"]}})
        if kind.name == orders.PLACED
        else kind
        for kind in orders.FACT_KINDS
    ]
    monkeypatch.setattr(readers, "_KINDS", Kinds("orders", kinds))
    data: dict[str, object] = {"kind": "sale", "status": "placed", "currency": "GBP"}
    data |= {"customer_id": None, "country": None}
    data |= {"owner_id": None, "placed_at": PLACED_AT}
    old = Fact(1, new_id(), orders.PLACED, 1, new_id(), 1, {**data, "sum": "3"}, 1)
    new = Fact(1, new_id(), orders.PLACED, 2, new_id(), 1, {**data, "amount": "3"}, 1)
    with of_analytics(tmp_path) as reader:
        reader.run(reader.once.take([new]))
        reader.run(reader.as_it_comes().take([old]))
        assert reader.run(equal(reader))
