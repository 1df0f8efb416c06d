"""Orders without a database: a store in memory, a transaction that only listens, and orders valid unless told."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from orderhouse.kernel.errors import Refusal
from orderhouse.kernel.events import NewFact, Origin
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import Principal, Role
from orderhouse.orders.models import CustomerCard, Order
from orderhouse.orders.repository import Reference
from orderhouse.orders.schemas import Change, ChangeOrder, ImportedLine, ImportOrder, Move, MoveOrder, PlaceOrder
from orderhouse.orders.service import OrderService
from orderhouse.runtime.database.sql import Row
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked

W = TypeVar("W")

NOW = 1_763_000_000_000_000
ADA = UUID("0197f0e2-7b7a-7c3a-9f52-6f1d2b3c4d5e")
LINE = {"sku": "TEA", "description": "Tea, loose", "quantity": 2, "unit_price": "3.50"}


def caller(role: Role = "manager", subject: str = "boss", customer: UUID | None = None) -> Principal:
    return Principal(subject, role, customer)


CLERK = caller("clerk", "clerk-1")
BOSS = caller()


def asked(wanted: W, by: Principal = BOSS, *, at: int = NOW) -> Asked[W]:
    return Asked(wanted, by, at, Origin(by.subject, "request-1", "trace-1"))


def wanted(customer: UUID = ADA, **more: Any) -> PlaceOrder:
    return PlaceOrder.model_validate({"customer_id": str(customer), "currency": "GBP", "lines": [LINE], **more})


def document(reference: str = "536365", **more: Any) -> ImportOrder:
    said = {
        "customer_id": None,
        "currency": "GBP",
        "lines": [ImportedLine("TEA", None, 2, 3_500_000)],
        "external_reference": reference,
        "note": None,
        "source": "shop",
        "kind": "sale",
        "status": "delivered",
        "placed_at": NOW - 10**12,
        "country": "France",
        "fingerprint": b"one",
    }
    return ImportOrder(**{**said, **more})


class Listening(Transaction):
    """A transaction that remembers what is told, and does nothing else."""

    for_update = ""

    @property
    def told(self) -> list[NewFact]:
        return self._facts

    @property
    def session(self) -> None:  # type: ignore[override]  # there is no database
        raise AssertionError("no database")

    def rows(self, sql: str, **values: object) -> Sequence[Row]:
        raise AssertionError("no database")

    def run(self, sql: str, **values: object) -> int:
        raise AssertionError("no database")


class Remembering:
    """Orders in memory. It counts the questions it is asked."""

    def __init__(self) -> None:
        self.kept: dict[UUID, Order] = {}
        self.cards: dict[UUID, CustomerCard] = {}
        self.reasons: dict[tuple[UUID, int], str] = {}
        self.questions = 0
        self.team: set[str | None] = set()

    def cards_of(self, customers: Collection[UUID]) -> dict[UUID, CustomerCard]:
        self.questions += 1
        return {one: self.cards[one] for one in customers if one in self.cards}

    def known(self, references: Collection[Reference]) -> dict[Reference, Order]:
        self.questions += 1
        there = {(one.source, one.external_reference or ""): one for one in self.kept.values()}
        return {reference: there[reference] for reference in references if reference in there}

    def to_change(self, ids: Collection[UUID]) -> dict[UUID, Order]:
        self.questions += 1
        return {one: self.kept[one] for one in ids if one in self.kept}

    def of_a_team_mate(self, order: Order, caller: Principal) -> bool:
        self.questions += 1
        return caller.role == "clerk" and {caller.subject, order.owner_id} <= self.team

    def add(self, orders: Collection[Order]) -> None:
        assert not self.kept.keys() & {order.id for order in orders}
        self.kept.update((order.id, order) for order in orders)

    def replace(self, orders: Iterable[Order]) -> None:
        for order in orders:
            assert order.id in self.kept
            self.kept[order.id] = order

    def save(self, orders: Iterable[Order]) -> None:
        self.replace(orders)

    def add_reasons(self, reasons: Iterable[tuple[UUID, int, str]]) -> None:
        self.reasons.update(((order, version), reason) for order, version, reason in reasons)


class World:
    """A service over a store in memory that knows Ada."""

    def __init__(self) -> None:
        self.tx = Listening()
        self.store = Remembering()
        self.service = OrderService(lambda _tx: self.store)  # type: ignore[arg-type,return-value]  # a fake of it
        self.knows(ADA)

    def knows(self, customer: UUID | None = None, *, active: bool = True, country: str | None = "France") -> UUID:
        card = CustomerCard(customer or new_id(), active, country, 1)
        self.store.cards[card.customer_id] = card
        return card.customer_id

    def place(self, *orders: PlaceOrder | ImportOrder, by: Principal = BOSS) -> list[Order | Refusal]:
        return list(self.service.place(self.tx, [asked(one, by) for one in orders]))

    def placed(self, one: PlaceOrder | ImportOrder | None = None, by: Principal = BOSS) -> Order:
        """Return an order that is there; what was told of it is forgotten."""
        [order] = self.place(one or wanted(), by=by)
        assert isinstance(order, Order), order
        self.tx.told.clear()
        return order

    def told(self) -> list[tuple[str, int, dict[str, object]]]:
        return [(fact.name, fact.sequence, dict(fact.data)) for fact in self.tx.told]


def move(order: Order | UUID, to: str, reason: str | None = None, version: int | None = None) -> Move:
    return Move(_id(order), MoveOrder.model_validate({"to": to, "reason": reason}), version)


def change(order: Order | UUID, version: int | None = None, **more: str | None) -> Change:
    seen = order.version if version is None and isinstance(order, Order) else version or 1
    return Change(_id(order), ChangeOrder.model_validate(more), seen)


def _id(order: Order | UUID) -> UUID:
    return order.id if isinstance(order, Order) else order
