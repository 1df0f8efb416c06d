"""An order, the rules that hold for it whoever asks, and the tables it is kept in."""

from collections.abc import Sequence
from functools import partial
from itertools import count
from operator import attrgetter, mul
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
)

from orderhouse.kernel import ids, money
from orderhouse.kernel.clock import Instant
from orderhouse.kernel.principal import Principal
from orderhouse.orders.contract import Kind, Status
from orderhouse.orders.errors import AmountTooLarge, MoveNotAllowed
from orderhouse.orders.schemas import ImportedLine, ImportOrder, PlaceOrder, WantedLine
from orderhouse.runtime.database.tables import Id, Json, partial_index, tables_of

MOVES: dict[Status, tuple[Status, ...]] = {
    "placed": ("confirmed", "on_hold", "cancelled"),
    "on_hold": ("placed", "confirmed", "cancelled"),
    "confirmed": ("packed", "on_hold", "cancelled"),
    "packed": ("shipped", "cancelled"),
    "shipped": ("delivered", "returned"),
    "delivered": ("returned",),
    "cancelled": (),
    "returned": (),
}
"""The status machine: where an order may go from where it stands."""


def moves_of(kind: Kind, status: Status) -> tuple[Status, ...]:
    """Return where a document may go. A credit or an adjustment goes nowhere: it is booked, and undone by another."""
    return MOVES[status] if kind == "sale" else ()


ANSWERABLE_ROLES = frozenset({"clerk", "manager", "owner"})
"""Who places an order in one of these roles is answerable for it until it is assigned to somebody else."""


class OrderLine(NamedTuple):
    """So many of one thing. `unit_price` and `amount` are exact millionths."""

    line: int
    sku: str
    description: str | None
    quantity: int
    unit_price: int
    amount: int


class Order(NamedTuple):
    """A document: a sale, a credit or an adjustment. `amount` is in exact millionths, `total` in minor units."""

    id: UUID
    kind: Kind
    status: Status
    currency: str
    customer_id: UUID | None
    country: str | None
    placed_at: Instant
    placed_by: str
    owner_id: str | None
    source: str
    external_reference: str | None
    note: str | None
    amount: int
    total: int
    line_count: int
    version: int
    updated_at: Instant
    fingerprint: bytes | None
    lines: tuple[OrderLine, ...] = ()

    @classmethod
    def place(
        cls, wanted: PlaceOrder | ImportOrder, *, by: Principal, at: Instant, country: str | None
    ) -> "Order | AmountTooLarge":
        """Return a new order of what is wanted, exact to the last digit, or why it cannot be that exact."""
        lines, amounts = _lines(wanted.lines)
        amount = sum(amounts)
        if max(map(abs, (amount, *amounts))) > money.LIMIT:
            return AmountTooLarge()
        order = cls(
            id=ids.new_id(),
            kind="sale",
            status="placed",
            currency=wanted.currency,
            customer_id=wanted.customer_id,
            country=country,
            placed_at=at,
            placed_by=by.subject,
            owner_id=by.subject if by.role in ANSWERABLE_ROLES else None,
            source="api",
            external_reference=wanted.external_reference,
            note=wanted.note,
            amount=amount,
            total=money.minor(amount, wanted.currency),
            line_count=len(lines),
            version=1,
            updated_at=at,
            fingerprint=None,
            lines=lines,
        )
        return order if isinstance(wanted, PlaceOrder) else order._as_said_by_its_source(wanted)

    def _as_said_by_its_source(self, document: ImportOrder) -> "Order":
        return self._replace(
            kind=document.kind,
            status=document.status,
            country=document.country,
            placed_at=document.placed_at,
            owner_id=None,
            source=document.source,
            fingerprint=document.fingerprint,
        )

    def in_place_of(self, before: "Order") -> "Order":
        """Return it as the next version of `before`: what its source says is new, what was done with it here stays."""
        return self._replace(
            id=before.id,
            # A source names the first status only. Of another kind it is another document, and starts anew.
            status=before.status if before.kind == self.kind else self.status,
            owner_id=before.owner_id,
            note=before.note if self.note is None else self.note,
            version=before.version + 1,
        )

    def visible_to(self, caller: Principal) -> bool:
        """Whether `caller` may know of it by itself: a customer its own, a clerk what it placed or is answerable for.

        What somebody of a clerk's team is answerable for is that clerk's to know too: `repository.of_a_team_mate` asks.
        """
        if caller.role == "customer":
            return self.customer_id is not None and self.customer_id == caller.customer_id
        if caller.role == "clerk":
            return caller.subject == self.owner_id or (caller.subject == self.placed_by and self.owner_id is not None)
        return True

    @property
    def moves(self) -> tuple[Status, ...]:
        """Where it may go from here."""
        return moves_of(self.kind, self.status)

    def move(self, to: Status, *, at: Instant) -> "Order":
        """Return it as it is after going to `to`; MoveNotAllowed names where it may go instead."""
        if to not in self.moves:
            raise MoveNotAllowed(
                f"It is {self.status}, and may go {_told(self.moves)}.", current=self.status, allowed=list(self.moves)
            )
        return self.changed(at, status=to)

    def changed(self, at: Instant, **what: object) -> "Order":
        """Return it with `what` changed, one version on."""
        return self._replace(version=self.version + 1, updated_at=at, **what)  # type: ignore[arg-type]  # names of its own


def _told(moves: tuple[Status, ...]) -> str:
    return f"to {', '.join(moves)}" if moves else "nowhere"


# An import makes half a million lines: what a named tuple's own constructor costs is most of what making one costs.
_line = partial(tuple.__new__, OrderLine)


def _lines(wanted: Sequence[WantedLine | ImportedLine]) -> tuple[tuple[OrderLine, ...], Sequence[int]]:
    """Return the lines with their numbers, and their exact amounts."""
    skus, descriptions, quantities, prices = zip(*map(_said, wanted), strict=True)
    amounts = [*map(mul, quantities, prices)]
    return tuple(map(_line, zip(count(1), skus, descriptions, quantities, prices, amounts, strict=False))), amounts


_said = attrgetter("sku", "description", "quantity", "unit_price")


class CustomerCard(NamedTuple):
    """What orders keeps of a customer: its own small copy, fed by facts."""

    customer_id: UUID
    active: bool
    country: str | None
    version: int


tables = tables_of("orders")

orders = Table(
    "orders",
    tables,
    Column("id", Id, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("customer_id", Id),
    Column("country", Text),
    Column("placed_at", BigInteger, nullable=False),
    Column("placed_by", Text, nullable=False),
    Column("owner_id", Text),
    Column("source", Text, nullable=False),
    Column("external_reference", Text),
    Column("note", Text),
    Column("amount", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("line_count", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("fingerprint", LargeBinary(16)),
    # An order is one row. Its lines come and go with it and are never looked for without it: kept as JSON beside it,
    # none can be without its order, and nobody pays for a row, an index and a foreign key each.
    Column("lines", Json, nullable=False, server_default="[]"),
    # Every list goes by time of placing; the id decides between orders of one instant.
    Index("orders_placed", "placed_at", "id"),
    Index("orders_status", "status", "placed_at", "id"),
    Index("orders_customer", "customer_id", "placed_at", "id"),
    # What a clerk is answerable for.
    Index("orders_owner", "owner_id", "placed_at", "id"),
    Index("orders_country", "country", "placed_at", "id"),
    # Nearly everything is a sale: the few others have an index that a sale costs nothing.
    partial_index("orders_kind", "kind", "placed_at", "id", where="kind <> 'sale'"),
    # What a clerk placed and somebody else is answerable for now: the clerk still sees it.
    partial_index("orders_handed_over", "placed_by", "placed_at", "id", where="placed_by <> owner_id"),
    # A source's document is there once: (source, reference) cannot appear twice.
    partial_index(
        "orders_reference", "source", "external_reference", unique=True, where="external_reference IS NOT NULL"
    ),
)

# Why an order was moved, in somebody's words: free text may name persons, and facts never do.
order_reasons = Table(
    "order_reasons",
    tables,
    Column("order_id", Id, ForeignKey("orders.id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("reason", Text, nullable=False),
    sqlite_with_rowid=False,
)

# Who is in which team, or was: a clerk sees what somebody of the same team is answerable for. The team's version says
# which fact told it last, so that an earlier one that is told again lets nobody in.
team_members = Table(
    "team_members",
    tables,
    Column("team_id", Id, primary_key=True),
    # As tokens and orders name them.
    Column("user_id", Text, primary_key=True),
    Column("present", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    # Somebody's teams, and through them all who are in one of them.
    Index("team_members_user", "user_id", "team_id"),
    sqlite_with_rowid=False,
)

customer_cards = Table(
    "customer_cards",
    tables,
    Column("customer_id", Id, primary_key=True),
    Column("active", Boolean, nullable=False),
    Column("country", Text),
    Column("version", Integer, nullable=False),
    sqlite_with_rowid=False,
)
