"""What may be done with orders, decided for one or for many."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from uuid import UUID

from orderhouse.customers.contract import CustomerDirectory
from orderhouse.kernel import money
from orderhouse.kernel.errors import Refusal
from orderhouse.kernel.events import NewFact, Origin
from orderhouse.orders import contract
from orderhouse.orders.cards import CardsSeen
from orderhouse.orders.errors import (
    AlreadyImported,
    AssignmentForbidden,
    CustomerInactive,
    CustomerUnknown,
    DocumentChanged,
    OrderChanged,
    OrderUnknown,
    ReferenceTaken,
)
from orderhouse.orders.models import CustomerCard, Order
from orderhouse.orders.repository import OrderRepository, Reference
from orderhouse.orders.schemas import Change, ImportOrder, Move, PlaceOrder, path_of
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked

Wanted = PlaceOrder | ImportOrder
"""A request's order, or the trusted variant an import makes."""


class OrderService:
    """Decides what becomes of what is asked; what it returns is kept when the transaction is."""

    def __init__(self, repository: Callable[[Transaction], OrderRepository] | None = None) -> None:
        """Work on what `repository` makes of a transaction."""
        self._repository = repository or partial(OrderRepository, seen=CardsSeen())

    def place(self, tx: Transaction, asked: Sequence[Asked[Wanted]]) -> Sequence[Order | Refusal]:
        """Place each order or say why not. A request, a batch and an import are this same call."""
        orders = self._repository(tx)
        cards = orders.cards_of({a.wanted.customer_id for a in asked if isinstance(a.wanted, PlaceOrder)})
        references = [_reference(a.wanted) for a in asked]
        known = orders.known([reference for reference in references if reference])
        outcomes = [self._decide(a, reference, cards, known) for a, reference in zip(asked, references, strict=True)]
        placed = [(o, a) for o, a in zip(outcomes, asked, strict=True) if isinstance(o, Order)]
        new, replaced = _to_keep([order for order, _ in placed])
        orders.add(new)
        orders.replace(replaced)
        tx.tell([_placed(order, a.origin) for order, a in placed])
        return outcomes

    def _decide(
        self,
        asked: Asked[Wanted],
        reference: Reference | None,
        cards: Mapping[UUID, CustomerCard],
        known: dict[Reference, Order],
    ) -> Order | Refusal:
        wanted, caller, at, _ = asked
        country = None
        if isinstance(wanted, PlaceOrder):
            card = cards.get(wanted.customer_id)
            if caller.role == "customer" and caller.customer_id != wanted.customer_id:
                return CustomerUnknown.of_anothers(customer_id=wanted.customer_id)
            if card is None:
                return CustomerUnknown(customer_id=wanted.customer_id)
            if not card.active:
                return CustomerInactive()
            country = card.country
        before = known.get(reference) if reference else None
        if before and (refusal := _already(asked, before)):
            return refusal
        order = Order.place(wanted, by=caller, at=at, country=country)
        if isinstance(order, Refusal):
            return order
        if before:
            order = order.in_place_of(before)
        if reference:
            known[reference] = order
        return order

    def move(self, tx: Transaction, asked: Sequence[Asked[Move]]) -> Sequence["Moved | Refusal"]:
        """Take each order where it is wanted, in the order of asking, or say why not."""
        orders = self._repository(tx)
        current = orders.to_change([a.wanted.order_id for a in asked])
        outcomes: list[Moved | Refusal] = []
        for a in asked:
            try:
                before = _seen(orders, current.get(a.wanted.order_id), a)
                after = before.move(a.wanted.wanted.to, at=a.at)
            except Refusal as refusal:
                outcomes.append(refusal)
                continue
            current[after.id] = after
            outcomes.append(Moved(before, after, a.wanted.wanted.reason, a.origin))
        moved = [outcome for outcome in outcomes if isinstance(outcome, Moved)]
        orders.save({m.after.id: m.after for m in moved}.values())
        orders.add_reasons((m.after.id, m.after.version, m.reason) for m in moved if m.reason)
        tx.tell(
            _fact(contract.MOVED, m.after, m.origin, {"from": m.before.status, "to": m.after.status}) for m in moved
        )
        return outcomes

    def change(self, tx: Transaction, asked: Sequence[Asked[Change]]) -> Sequence[Order | Refusal]:
        """Change each order as it is wanted, or say why not."""
        orders = self._repository(tx)
        current = orders.to_change([a.wanted.order_id for a in asked])
        outcomes: list[Order | Refusal] = []
        changed: dict[UUID, Order] = {}
        for a in asked:
            try:
                order = _seen(orders, current.get(a.wanted.order_id), a)
                facts = list(_changes(order, a))
            except Refusal as refusal:
                outcomes.append(refusal)
                continue
            tx.tell(fact for _, fact in facts)
            order = facts[-1][0] if facts else order
            current[order.id] = order
            if facts:
                changed[order.id] = order
            outcomes.append(order)
        orders.save(changed.values())
        return outcomes


class Moved:
    """An order before and after a move."""

    __slots__ = ("after", "before", "origin", "reason")

    def __init__(self, before: Order, after: Order, reason: str | None, origin: Origin) -> None:
        """Remember both, and why."""
        self.before = before
        self.after = after
        self.reason = reason
        self.origin = origin


class Newcomers:
    """Asks customers about somebody orders has not heard of yet: a fact takes a moment to get here."""

    def __init__(self, database: Database, directory: CustomerDirectory) -> None:
        """Ask `directory`, and keep what it says in `database`."""
        self._database = database
        self._directory = directory

    async def learn(self, refusal: Refusal) -> bool:
        """Return whether the customer that was refused as unknown is one after all."""
        customer = refusal.more.get("customer_id") if isinstance(refusal, CustomerUnknown) else None
        found = await self._directory.cards([customer]) if customer else {}  # type: ignore[list-item]  # an id, of ours
        for card in found.values():
            await self._database.write(_keep_card, CustomerCard(card.id, card.active, card.country, card.version))
        return bool(found)


def _keep_card(tx: Transaction, asked: Sequence[CustomerCard]) -> Sequence[None]:
    OrderRepository(tx).keep_cards(asked)
    return [None for _ in asked]


def _to_keep(placed: Sequence[Order]) -> tuple[Sequence[Order], Sequence[Order]]:
    """Return which orders are new, and which take the place of one that is there: of each, its last version."""
    new = [order for order in placed if order.version == 1]
    if len(new) == len(placed):
        return new, ()
    ids = {order.id for order in new}
    last = {order.id: order for order in placed}.values()
    return [order for order in last if order.id in ids], [order for order in last if order.id not in ids]


def _reference(wanted: Wanted) -> Reference | None:
    if wanted.external_reference is None:
        return None
    return (wanted.source if isinstance(wanted, ImportOrder) else "api", wanted.external_reference)


def _already(asked: Asked[Wanted], before: Order) -> Refusal | None:
    """Return why what is asked is not taken where `before` is; None when it replaces it."""
    wanted = asked.wanted
    if isinstance(wanted, PlaceOrder):
        # Whose it is, only who may see it is told.
        return ReferenceTaken(order=path_of(before.id)) if before.visible_to(asked.caller) else ReferenceTaken()
    if wanted.fingerprint == before.fingerprint:
        return AlreadyImported()
    return None if wanted.replace else DocumentChanged()


def _seen(orders: OrderRepository, order: Order | None, asked: Asked[Move] | Asked[Change]) -> Order:
    """Return `order` if the caller may know of it and saw its latest version."""
    if order is None:
        raise OrderUnknown
    if not order.visible_to(asked.caller) and not orders.of_a_team_mate(order, asked.caller):
        raise OrderUnknown.of_anothers()
    version = asked.wanted.version
    if version is not None and version != order.version:
        raise OrderChanged(current=order.version)
    return order


def _changes(order: Order, asked: Asked[Change]) -> Iterable[tuple[Order, NewFact]]:
    """Yield the order after each change, and the fact that tells of it."""
    wanted, said = asked.wanted.wanted, asked.wanted.wanted.model_fields_set
    if "assigned_to" in said and wanted.assigned_to != order.owner_id:
        if not asked.caller.may("orders:assign"):
            raise AssignmentForbidden
        order = order.changed(asked.at, owner_id=wanted.assigned_to)
        yield order, _fact(contract.ASSIGNED, order, asked.origin, {"owner_id": wanted.assigned_to})
    if "note" in said and wanted.note != order.note:
        order = order.changed(asked.at, note=wanted.note)
        yield order, _fact(contract.NOTED, order, asked.origin, {})


def _placed(order: Order, origin: Origin) -> NewFact:
    data: dict[str, object] = {
        "kind": order.kind,
        "status": order.status,
        "currency": order.currency,
        "customer_id": order.customer_id,
        "country": order.country,
        "owner_id": order.owner_id,
        "placed_at": order.placed_at,
        "amount": money.exact_text(order.amount, order.currency),
        "total": money.minor_text(order.total, order.currency),
        "lines": order.line_count,
        "source": order.source,
        "external_reference": order.external_reference,
    }
    return _fact(contract.PLACED if order.version == 1 else contract.REPLACED, order, origin, data)


def _fact(name: str, order: Order, origin: Origin, data: dict[str, object]) -> NewFact:
    return NewFact(name, order.id, order.version, data, order.updated_at, origin)
