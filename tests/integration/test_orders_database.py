"""What the database makes certain of, on SQLite and on PostgreSQL: one order per reference, no change lost."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest

from orderhouse.customers.contract import CustomerCard as NeighboursCard
from orderhouse.customers.contract import SourceCustomer
from orderhouse.kernel import clock
from orderhouse.kernel.errors import Refusal
from orderhouse.kernel.events import Fact, Origin
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import Principal
from orderhouse.orders import readers, reads
from orderhouse.orders.errors import (
    AlreadyImported,
    CustomerInactive,
    CustomerUnknown,
    MoveNotAllowed,
    OrderChanged,
    ReferenceTaken,
)
from orderhouse.orders.models import CustomerCard, Order, OrderLine
from orderhouse.orders.repository import OrderRepository, lines_of
from orderhouse.orders.schemas import ImportedLine, ImportOrder, ListOrders, PlaceOrder
from orderhouse.orders.service import Moved, Newcomers
from orderhouse.orders.wiring import SCHEMA, Orders
from orderhouse.runtime import facts, migrate
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.database.postgres import PostgresTransaction
from orderhouse.runtime.database.sql import Row
from orderhouse.runtime.database.sqlite import SqliteTransaction
from orderhouse.runtime.database.transaction import Reading, Transaction
from tests.unit.orders_world import ADA, BOSS, CLERK, asked, caller, change, document, move, wanted

pytestmark = [pytest.mark.anyio, pytest.mark.context("orders")]


@pytest.fixture
async def orders(place: Place) -> AsyncIterator[Orders]:
    """Orders that know Ada."""
    opened = Orders.opened(place, bound=100)
    await known(opened, ADA)
    yield opened
    await opened.database.close()


async def known(orders: Orders, customer: UUID, *, active: bool = True, version: int = 1) -> None:
    cards = [CustomerCard(customer, active, "France", version)]

    def keep(tx: Transaction, _asked: Sequence[None]) -> list[None]:
        OrderRepository(tx).keep_cards(cards)
        return [None]

    await orders.database.write(keep, None)


async def placed(orders: Orders, *many: PlaceOrder | ImportOrder, by: Principal = BOSS) -> list[Order | Refusal]:
    return await orders.database.write_many(orders.service.place, [asked(one, by) for one in many])


async def one(orders: Orders, what: PlaceOrder | ImportOrder | None = None, by: Principal = BOSS) -> Order:
    order: Order = await orders.database.write(orders.service.place, asked(what or wanted(), by))
    return order


async def read(orders: Orders, order: Order) -> Order | None:
    return await orders.database.read(reads.one, order.id, BOSS)


async def told(orders: Orders) -> list[Fact]:
    return await orders.database.read(facts.read, 0, 10_000)


def count(reading: Reading, table: str) -> int:
    found = reading.row(f"SELECT count(*) FROM {table}")
    assert found is not None
    return int(found[0])


def kept_lines(reading: Reading) -> int:
    return sum(len(lines_of(kept)) for (kept,) in reading.rows("SELECT lines FROM orders"))


async def test_an_order_is_read_back_as_it_was_placed(orders: Orders) -> None:
    for what in (
        wanted(note="first\n\tsecond", external_reference="☃ 茶房"),
        document(customer_id=uuid4(), fingerprint=bytes(range(256))),
        document("2", kind="credit", country=None, lines=[ImportedLine("A", " x ", -3, -1)] * 1_200),
    ):
        order = await one(orders, what)
        assert await read(orders, order) == order


class Asking(Reading):
    """Keeps every answer; the first questions are answered as they were `before`."""

    def __init__(self, reading: Reading, *before: Sequence[Row]) -> None:
        self.dialect = reading.dialect
        self._reading = reading
        self._before = iter(before)
        self.answers: list[Sequence[Row]] = []

    def rows(self, sql: str, **values: object) -> Sequence[Row]:
        answer = next(self._before, None)
        self.answers.append(self._reading.rows(sql, **values) if answer is None else answer)
        return self.answers[-1]


async def test_an_order_that_changes_while_it_is_read_is_shown_as_one_version(orders: Orders) -> None:
    """PostgreSQL answers each question as of its own moment: the second may know of what the first did not."""
    order = await one(orders, wanted(note="n"))

    def shown(reading: Reading, *before: Sequence[Row]) -> tuple[Order, list[dict[str, Any]], list[Sequence[Row]]]:
        asking = Asking(reading, *before)
        found = reads.whole(asking, order.id, BOSS)
        assert found is not None
        return *found, asking.answers

    *_, answers = await orders.database.read(shown)
    assert len(answers) == 2
    await orders.database.write(orders.service.move, asked(move(order, "confirmed", "Paid.")))
    again, history, _ = await orders.database.read(shown, answers[0])
    assert again == order
    assert [(one["name"], one["sequence"]) for one in history] == [("OrderPlaced", 1)]


async def test_a_batch_of_a_request_and_documents_is_one_transaction(orders: Orders) -> None:
    outcomes = await placed(
        orders,
        wanted(external_reference="PO-1"),
        wanted(uuid4()),
        document("1"),
        document("1"),
        document("2"),
        wanted(external_reference="PO-1"),
    )
    assert [type(outcome) for outcome in outcomes] == [
        *(Order, CustomerUnknown, Order, AlreadyImported, Order, ReferenceTaken)
    ]
    log = await told(orders)
    kept = [outcome.id for outcome in outcomes if isinstance(outcome, Order)]
    assert [fact.aggregate for fact in log] == kept
    assert [fact.position for fact in log] == [1, 2, 3]


async def test_what_is_found_out_only_by_the_database_refuses_one_and_keeps_the_rest(
    orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may place between our question and our commit: the unique index then decides."""
    await one(orders, wanted(external_reference="PO-1"))
    monkeypatch.setattr(OrderRepository, "known", lambda _self, _references: {})
    outcomes = await placed(orders, wanted(), wanted(external_reference="PO-1"), wanted(external_reference="PO-2"))
    assert [type(outcome) for outcome in outcomes] == [Order, ReferenceTaken, Order]
    assert [fact.position for fact in await told(orders)] == [1, 2, 3]
    assert await orders.database.read(count, "orders") == await orders.database.read(kept_lines) == 3


async def test_a_document_taken_anew_has_its_new_lines_and_no_other(orders: Orders) -> None:
    lines = [ImportedLine("A", None, n, 1_000_000) for n in range(1, 6)]
    before = await one(orders, document(lines=lines))
    await orders.database.write(orders.service.move, asked(move(before, "returned", "Broken.")))
    await orders.database.write(orders.service.change, asked(change(before, 2, assigned_to="clerk-1", note="n")))
    new = document(lines=lines[3:], fingerprint=b"two", country="Japan", replace=True)
    other = document("2")
    [after, _] = await placed(orders, new, other)
    assert isinstance(after, Order)
    assert await read(orders, before) == after
    assert after.lines == (OrderLine(1, "A", None, 4, 10**6, 4 * 10**6), OrderLine(2, "A", None, 5, 10**6, 5 * 10**6))
    assert (after.status, after.owner_id, after.note, after.version) == ("returned", "clerk-1", "n", 5)
    found = await orders.database.read(reads.whole, before.id, BOSS)
    assert found is not None
    assert [(one["name"], one["sequence"], one["reason"]) for one in found[1]] == [
        ("OrderPlaced", 1, None),
        ("OrderMoved", 2, "Broken."),
        ("OrderAssigned", 3, None),
        ("OrderNoteChanged", 4, None),
        ("OrderReplaced", 5, None),
    ]


async def test_a_document_that_comes_twice_in_a_batch_ends_as_its_last(orders: Orders) -> None:
    versions = [
        document(lines=[ImportedLine("A", None, n, 1)], fingerprint=bytes([n]), replace=True) for n in (1, 2, 3)
    ]
    outcomes = await placed(orders, *versions, document("2"))
    assert [outcome.version for outcome in outcomes if isinstance(outcome, Order)] == [1, 2, 3, 1]
    last = outcomes[2]
    assert isinstance(last, Order)
    assert await read(orders, last) == last
    assert await orders.database.read(count, "orders") == await orders.database.read(kept_lines) == 2


async def test_two_processes_that_import_the_same_end_with_one_of_each(place: Place, orders: Orders) -> None:
    other = Orders.opened(place, bound=100)
    try:
        documents = [document(str(n)) for n in range(30)]
        outcomes = await asyncio.gather(
            *(placed(house, *documents[start : start + 10]) for house in (orders, other) for start in (0, 10, 20)),
        )
    finally:
        await other.database.close()
    # Who lost the race hears that the document is there: from the question, or from the index.
    counted = Counter(type(outcome) for batch in outcomes for outcome in batch)
    assert counted[Order] == 30
    assert counted[AlreadyImported] + counted[ReferenceTaken] == 30
    assert [fact.position for fact in await told(orders)] == list(range(1, 31))


async def test_two_processes_that_move_many_never_deadlock_and_each_order_goes_once(
    place: Place, orders: Orders
) -> None:
    made = [await one(orders) for _ in range(20)]
    other = Orders.opened(place, bound=100)
    try:
        outcomes = await asyncio.gather(
            *(
                house.database.write_many(house.service.move, [asked(move(order, "confirmed")) for order in batch])
                for batch in (made, made[::-1], made[5:])
                for house in (orders, other)
            )
        )
    finally:
        await other.database.close()
    kinds = Counter(type(outcome) for batch in outcomes for outcome in batch)
    assert kinds == {Moved: 20, MoveNotAllowed: 90}
    assert Counter(fact.name for fact in await told(orders)) == {"OrderPlaced": 20, "OrderMoved": 20}


async def test_what_was_changed_after_it_was_read_is_decided_anew_and_the_rest_is_kept(
    orders: Orders, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders are read without a lock: who was quicker made the next version, and nobody makes it twice."""
    before, other = await one(orders), await one(orders)
    await orders.database.write(orders.service.move, asked(move(before, "confirmed")))
    wary: list[bool] = []

    def to_change(self: OrderRepository, ids: Collection[UUID]) -> dict[UUID, Order]:
        wary.append(self._tx.wary)
        return really_to_change(self, ids) if self._tx.wary else {order.id: order for order in (before, other)}

    really_to_change = OrderRepository.to_change
    monkeypatch.setattr(OrderRepository, "to_change", to_change)
    moves = [asked(move(order, "confirmed")) for order in (before, other)]
    outcomes = await orders.database.write_many(orders.service.move, moves)
    assert [type(outcome) for outcome in outcomes] == [MoveNotAllowed, Moved]
    assert wary == [False, True]
    assert [fact.aggregate for fact in await told(orders) if fact.name == "OrderMoved"] == [before.id, other.id]


async def test_of_changes_in_two_processes_to_one_version_one_is_kept(place: Place, orders: Orders) -> None:
    order = await one(orders)
    other = Orders.opened(place, bound=100)
    try:
        outcomes = await asyncio.gather(
            *(
                house.database.write(house.service.change, asked(change(order, note=f"n{n}")))
                for n in range(10)
                for house in (orders, other)
            ),
            return_exceptions=True,
        )
    finally:
        await other.database.close()
    assert Counter(map(type, outcomes)) == {Order: 1, OrderChanged: 19}
    [winner] = [outcome for outcome in outcomes if isinstance(outcome, Order)]
    after = await read(orders, order)
    assert after is not None
    assert (after.note, after.version) == (winner.note, 2)


class Directory:
    """The customers, as a neighbour asks for them. It counts how often."""

    def __init__(self, *cards: NeighboursCard) -> None:
        self._cards = {card.id: card for card in cards}
        self.asked = 0

    async def cards(self, ids: Collection[UUID]) -> Mapping[UUID, NeighboursCard]:
        self.asked += 1
        return {one: self._cards[one] for one in ids if one in self._cards}

    async def with_email(self, email: str) -> NeighboursCard | None:
        raise AssertionError("nobody is looked for by an address here")

    async def admit(self, source: str, wanted: Sequence[SourceCustomer]) -> Mapping[str, UUID]:
        raise AssertionError("nobody is admitted here")


async def test_a_customer_nobody_told_of_yet_is_asked_about_before_it_is_refused(orders: Orders) -> None:
    new, gone, nobody = new_id(), new_id(), new_id()
    directory = Directory(
        NeighboursCard(new, None, "New", "Peru", active=True, version=1),
        NeighboursCard(gone, None, "Gone", None, active=False, version=2),
    )
    newcomers = Newcomers(orders.database, directory)
    for customer, worth_another_try in ((new, True), (gone, True), (nobody, False)):
        [refusal] = await placed(orders, wanted(customer))
        assert isinstance(refusal, CustomerUnknown)
        assert await newcomers.learn(refusal) is worth_another_try
    outcomes = await placed(orders, wanted(new), wanted(gone), wanted(nobody))
    assert [type(outcome) for outcome in outcomes] == [Order, CustomerInactive, CustomerUnknown]
    assert isinstance(outcomes[0], Order)
    assert outcomes[0].country == "Peru"
    assert directory.asked == 3
    assert await newcomers.learn(CustomerInactive()) is False
    assert directory.asked == 3


async def test_who_ordered_lately_is_not_looked_up_again(orders: Orders, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[list[UUID]] = []

    def spied(kind: type[Transaction]) -> None:
        really = kind.rows

        def rows(tx: Transaction, sql: str, **values: Any) -> Sequence[Row]:
            if sql.startswith("SELECT customer_id, active"):
                looked_up.append(values["ids"])
            return really(tx, sql, **values)

        monkeypatch.setattr(kind, "rows", rows)

    spied(PostgresTransaction)
    spied(SqliteTransaction)
    other = new_id()
    await known(orders, other)
    for customers in ([ADA], [ADA, ADA], [ADA, other], [other, ADA]):
        assert [type(order) for order in await placed(orders, *map(wanted, customers))] == [Order] * len(customers)
    assert looked_up == [[ADA], [other]]


async def test_a_card_that_was_seen_decides_nothing_once_it_is_another(place: Place, orders: Orders) -> None:
    """Another process follows the customers: this one has no word of it, and the database has the last."""
    elsewhere = Orders.opened(place, bound=100)
    other = new_id()
    await known(orders, other)
    try:
        assert [type(one) for one in await placed(orders, wanted(ADA), wanted(other))] == [Order, Order]
        await known(elsewhere, ADA, active=False, version=2)
        outcomes = await placed(orders, wanted(ADA), wanted(other))
        assert [type(outcome) for outcome in outcomes] == [CustomerInactive, Order]
        assert [type(outcome) for outcome in await placed(orders, wanted(ADA))] == [CustomerInactive]
        await known(elsewhere, ADA, version=3)
        assert [type(outcome) for outcome in await placed(orders, wanted(ADA))] == [Order]
    finally:
        await elsewhere.database.close()
    assert [fact.position for fact in await told(orders)] == [1, 2, 3, 4]


async def test_cards_follow_the_customers_facts_and_never_go_back(orders: Orders) -> None:
    customer = new_id()

    def fact(sequence: int, name: str, **data: Any) -> Fact:
        return Fact(sequence, new_id(), name, 1, customer, sequence, data, 0, Origin("x"))

    async def take(*told: Fact) -> CustomerCard:
        def keep(tx: Transaction, _asked: Sequence[None]) -> list[CustomerCard]:
            readers.keep_cards(tx, told)
            return [OrderRepository(tx).cards_of([customer])[customer]]

        card: CustomerCard = await orders.database.write(keep, None)
        return card

    added = fact(1, "CustomerAdded", country="Peru", active=True)
    gone, back = fact(2, "CustomerDeactivated"), fact(3, "CustomerReactivated")
    moved = fact(4, "CustomerChanged", country="Chile", active=True)
    assert await take(added) == CustomerCard(customer, active=True, country="Peru", version=1)
    assert await take(gone) == CustomerCard(customer, active=False, country="Peru", version=2)
    assert await take(back, moved) == CustomerCard(customer, active=True, country="Chile", version=4)
    # What was learnt by asking is ahead of the log: the facts that come late change nothing.
    assert await take(added, gone, back) == CustomerCard(customer, active=True, country="Chile", version=4)


FIRST = 1_300_000_000_000_000
RANGE = {"placed_from": clock.as_text(FIRST + 3), "placed_to": clock.as_text(FIRST + 7)}

LISTS: list[tuple[dict[str, str], Any]] = [
    ({}, lambda _: True),
    (RANGE, lambda o: FIRST + 3 <= o.placed_at < FIRST + 7),
    ({**RANGE, "country": "France"}, lambda o: o.country == "France" and FIRST + 3 <= o.placed_at < FIRST + 7),
    ({"status": "placed"}, lambda o: o.status == "placed"),
    ({"customer": "none"}, lambda o: o.customer_id is None),
    ({"customer": str(ADA)}, lambda o: o.customer_id == ADA),
    ({"customer": str(ADA), "status": "delivered"}, lambda o: o.customer_id == ADA and o.status == "delivered"),
    ({"assigned_to": "clerk-1"}, lambda o: o.owner_id == "clerk-1"),
    ({"assigned_to": "none", "status": "placed"}, lambda o: o.owner_id is None and o.status == "placed"),
    ({"country": "Japan"}, lambda o: o.country == "Japan"),
    ({"country": "none"}, lambda o: o.country is None),
    ({"kind": "credit"}, lambda o: o.kind == "credit"),
    ({"currency": "EUR"}, lambda o: o.currency == "EUR"),
    ({"counted": "true"}, lambda o: o.kind != "adjustment" and o.status != "cancelled"),
    ({"external_reference": "7", "source": "shop"}, lambda o: o.external_reference == "7"),
    ({"external_reference": "7"}, lambda o: o.external_reference == "7" and o.source == "api"),
]


async def test_every_list_shows_each_caller_all_of_its_own_once_and_in_order(orders: Orders) -> None:
    """The pages by their indexes, beside the same thing said plainly over all orders."""
    everything = await a_mixture(orders)
    callers = (
        BOSS,
        CLERK,
        caller("clerk", "clerk-2"),
        caller("customer", "ada", ADA),
        caller("customer", "x", new_id()),
    )
    for by in callers:
        for said, holds in LISTS:
            for sort in ("-placed_at", "placed_at"):
                found = await walked(orders, by, limit="4", sort=sort, **said)
                expected = sorted(
                    (order for order in everything if order.visible_to(by) and holds(order)),
                    key=lambda order: (order.placed_at, order.id.bytes),
                    reverse=sort == "-placed_at",
                )
                may_change = by.may("orders:change")
                assert found == [reads.summary(order, may_change=may_change) for order in expected], (by, said, sort)


async def a_mixture(orders: Orders) -> list[Order]:
    """Place orders of all sorts, many at one instant, some handed over; return them as they are then."""
    ben = new_id()
    await known(orders, ben)
    documents = [
        document(
            str(n),
            customer_id=(None, ADA, ben)[n % 3],
            country=(None, "Japan", "France", "France")[n % 4],
            kind=("sale", "sale", "credit", "sale", "adjustment")[n % 5],
            status=("placed", "delivered", "cancelled")[n % 7 % 3],
            currency=("GBP", "EUR")[n % 6 == 0],
            placed_at=FIRST + n // 5,
        )
        for n in range(60)
    ]
    made = [outcome for outcome in await placed(orders, *documents) if isinstance(outcome, Order)]
    for n, by in enumerate([CLERK, caller("clerk", "clerk-2"), BOSS] * 4):
        made.append(await one(orders, wanted((ADA, ben)[n % 2]), by))
    for n, order in enumerate(made[50:]):
        assigned = ("clerk-1", "clerk-2", None)[n % 3]
        await orders.database.write(orders.service.change, asked(change(order, assigned_to=assigned)))
    found = [await read(orders, order) for order in made]
    return [order for order in found if order is not None]


async def walked(orders: Orders, by: Principal, **said: str) -> list[dict[str, Any]]:
    """Return what is on all pages, following the cursors."""
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        wanted = ListOrders.model_validate_strings({**said, **({"cursor": cursor} if cursor else {})})
        page, cursor = await orders.database.read(reads.page, wanted, by)
        found += page
        assert len(page) <= wanted.limit
        if cursor is None:
            return found


async def test_lines_come_along_into_their_orders_row_and_out_of_it_again(place: Place) -> None:
    names = ["\\ \" ' \n\t", "☃ 茶房 🫖 \u2028", "{1,2}", "", *(f"{n}" for n in range(8)), None]
    lines = [ImportedLine(f"S-{n}", name, n + 1, 10**12 - n) for n, name in enumerate(names)]
    opened = Orders.opened(place, bound=100)
    before = [await one(opened, document(str(n), lines=lines[: n * 4 + 1])) for n in range(4)]
    await opened.database.close()
    migrate.migrate(SCHEMA, place, "0003")
    migrate.migrate(SCHEMA, place)
    opened = Orders.opened(place, bound=100)
    try:
        assert [await read(opened, order) for order in before] == before
    finally:
        await opened.database.close()
