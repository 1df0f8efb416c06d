"""Orders as they are read: one with its history, and pages by an index. Plain SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple
from uuid import UUID

from orderhouse.kernel import clock, money
from orderhouse.kernel.pages import cursor_of, key_of
from orderhouse.kernel.principal import Principal
from orderhouse.orders.contract import Kind
from orderhouse.orders.errors import FiltersDoNotCombine
from orderhouse.orders.models import Order, OrderLine
from orderhouse.orders.repository import COLUMNS, order_of
from orderhouse.orders.schemas import ListOrders
from orderhouse.runtime import facts
from orderhouse.runtime.database.transaction import Reading

_SELECT = f"SELECT {', '.join(COLUMNS)} FROM orders"


def one(reading: Reading, order_id: UUID, caller: Principal) -> Order | None:
    """Return an order with its lines; None when there is none that `caller` may know of."""
    found = reading.row(f"{_SELECT} WHERE id = :id", id=order_id)
    if found is None:
        return None
    order = order_of(found)
    if not order.visible_to(caller):
        return None
    lines = reading.rows(
        "SELECT line, sku, description, quantity, unit_price, amount FROM order_lines "
        "WHERE order_id = :id ORDER BY line",
        id=order_id,
    )
    return replace(order, lines=tuple(OrderLine(*line) for line in lines))


def history(reading: Reading, order_id: UUID) -> list[dict[str, Any]]:
    """Return what happened to an order, in order, with the reasons that were given."""
    told = reading.rows("SELECT version, reason FROM order_reasons WHERE order_id = :id", id=order_id)
    reasons = {row[0]: row[1] for row in told}
    return [
        {
            "sequence": fact.sequence,
            "name": fact.name,
            "at": clock.as_text(fact.at),
            "actor": fact.origin.actor,
            "request_id": fact.origin.request_id,
            "data": fact.data,
            "reason": reasons.get(fact.sequence),
        }
        for fact in facts.history(reading, order_id)
    ]


def whole(reading: Reading, order_id: UUID, caller: Principal) -> tuple[Order, list[dict[str, Any]]] | None:
    """Return an order with its lines and its history; None when there is none that `caller` may know of."""
    order = one(reading, order_id, caller)
    return (order, history(reading, order_id)) if order else None


class Imported(NamedTuple):
    """A document that was imported, as it is kept."""

    fingerprint: bytes | None
    kind: Kind
    line_count: int
    amount: int


def imported(reading: Reading, source: str, references: Sequence[str]) -> dict[str, Imported]:
    """Return by reference which of a source's documents are there."""
    found = reading.rows(
        "SELECT external_reference, fingerprint, kind, line_count, amount FROM orders "
        "WHERE source = :source AND external_reference IN :references AND external_reference IS NOT NULL",
        source=source,
        references=references,
    )
    return {row[0]: Imported(*row[1:]) for row in found}


@dataclass(frozen=True, slots=True)
class Lead:
    """The filter whose index a page is read by: its columns come first in the index, and in the sort."""

    index: str
    columns: tuple[str, ...]
    where: tuple[str, ...]
    values: Mapping[str, object] = field(default_factory=dict)


def page(reading: Reading, wanted: ListOrders, caller: Principal) -> tuple[list[Order], str | None]:
    """Return a page of orders and the cursor of the next; None on the last. Reads by one index, counts nothing."""
    leads = _leads(wanted, caller)
    narrow, values = _narrowed(wanted, caller)
    asked = wanted.limit + 1
    down = wanted.sort.startswith("-")
    parts = [_range(lead, narrow, down=down) for lead in leads]
    sql = parts[0]
    if len(parts) > 1:
        inner = " UNION ALL ".join(f"SELECT * FROM ({part})" + f" AS part{n}" for n, part in enumerate(parts))
        order = _order(("placed_at", "id"), down=down)
        sql = f"SELECT * FROM ({inner}) AS parts ORDER BY {order} LIMIT :limit"
    for lead in leads:
        values.update(lead.values)
    found = [order_of(row) for row in reading.rows(sql, limit=asked, **values)]
    if len(found) < asked:
        return found, None
    last = found[-2]
    return found[:-1], cursor_of(f"orders {wanted.sort}", last.placed_at, last.id)


def _range(lead: Lead, narrow: Sequence[str], *, down: bool) -> str:
    where = " AND ".join((*lead.where, *narrow)) or "1 = 1"
    # The filter's column is constant within the page; named in the sort, PostgreSQL sees it too when it is NULL.
    return f"{_SELECT} WHERE {where} ORDER BY {_order((*lead.columns, 'placed_at', 'id'), down=down)} LIMIT :limit"


def _order(columns: Sequence[str], *, down: bool) -> str:
    return ", ".join(f"{column} DESC" if down else column for column in columns)


def _leads(wanted: ListOrders, caller: Principal) -> list[Lead]:
    """Return the index ranges that hold what is wanted and `caller` may see."""
    named = [
        lead
        for lead in (
            _equal("orders_customer", "customer_id", wanted.customer),
            _equal("orders_owner", "owner_id", wanted.assigned_to),
            _equal("orders_country", "country", wanted.country),
            _kind(wanted.kind),
            _reference(wanted),
        )
        if lead
    ]
    if len(named) > 1:
        raise FiltersDoNotCombine("Use one of customer, assigned_to, country, kind and external_reference.")
    if wanted.status and named and named[0].index not in ("orders_customer", "orders_owner"):
        raise FiltersDoNotCombine("status goes alone, or beside customer or assigned_to.")
    if caller.role == "clerk":
        return _own(named, caller)
    if caller.role == "customer" and not named:
        return [Lead("orders_customer", ("customer_id",), ("customer_id = :own_customer",))]
    if named:
        return named
    if wanted.status:
        return [Lead("orders_status", ("status",), ("status = :status",))]
    return [Lead("orders_placed", (), ())]


def _own(named: list[Lead], caller: Principal) -> list[Lead]:
    """Return the ranges of a clerk: what it is answerable for, and what it placed and handed over."""
    if named:
        if named[0].index in ("orders_country", "orders_kind"):
            raise FiltersDoNotCombine("You see your own orders: filter them by customer, status or reference.")
        return named
    me = {"me": caller.subject}
    return [
        Lead("orders_owner", ("owner_id",), ("owner_id = :me",), me),
        Lead("orders_handed_over", ("placed_by",), ("placed_by = :me", "placed_by <> owner_id"), me),
    ]


def _equal(index: str, column: str, value: object) -> Lead | None:
    if value is None:
        return None
    if value == "none":
        return Lead(index, (column,), (f"{column} IS NULL",))
    return Lead(index, (column,), (f"{column} = :{column}",), {column: value})


def _kind(kind: str | None) -> Lead | None:
    # `kind <> 'sale'` is said again so that the database knows that the index of the few is meant.
    return Lead("orders_kind", ("kind",), ("kind = :kind", "kind <> 'sale'"), {"kind": kind}) if kind else None


def _reference(wanted: ListOrders) -> Lead | None:
    if wanted.external_reference is None:
        return None
    where = ("source = :source", "external_reference = :reference", "external_reference IS NOT NULL")
    return Lead("orders_reference", (), where, {"source": wanted.source, "reference": wanted.external_reference})


def _narrowed(wanted: ListOrders, caller: Principal) -> tuple[list[str], dict[str, object]]:
    """Return the conditions that hold within whatever range is read, and all their values."""
    where: list[str] = []
    values: dict[str, object] = {}

    def also(condition: str, **more: object) -> None:
        where.append(condition)
        values.update(more)

    if caller.role == "customer":
        also("customer_id = :own_customer", own_customer=caller.customer_id)
    if caller.role == "clerk":
        also("(owner_id = :me OR (placed_by = :me AND placed_by <> owner_id))", me=caller.subject)
    if wanted.status:
        also("status = :status", status=wanted.status)
    if wanted.placed_from is not None:
        also("placed_at >= :placed_from", placed_from=wanted.placed_from)
    if wanted.placed_to is not None:
        also("placed_at < :placed_to", placed_to=wanted.placed_to)
    if wanted.currency:
        also("currency = :currency", currency=wanted.currency)
    if wanted.counted:
        also("status <> 'cancelled' AND kind <> 'adjustment'")
    if wanted.cursor is not None:
        at, last = key_of(f"orders {wanted.sort}", wanted.cursor, int, UUID)
        also(f"(placed_at, id) {'<' if wanted.sort.startswith('-') else '>'} (:after_at, :after_id)")
        values.update(after_at=at, after_id=last)
    return where, values


def summary(order: Order, caller: Principal) -> dict[str, Any]:
    """Return an order as a list shows it."""
    link = f"/v1/orders/{order.id}"
    links: dict[str, Any] = {"self": link}
    if order.customer_id:
        links["customer"] = f"/v1/customers/{order.customer_id}"
    if order.moves and caller.may("orders:change"):
        links["transitions"] = {"href": f"{link}/transitions", "to": order.moves}
    return {
        "id": order.id,
        "kind": order.kind,
        "status": order.status,
        "currency": order.currency,
        "customer_id": order.customer_id,
        "country": order.country,
        "placed_at": clock.as_text(order.placed_at),
        "placed_by": order.placed_by,
        "assigned_to": order.owner_id,
        "source": order.source,
        "external_reference": order.external_reference,
        "amount": money.exact_text(order.amount, order.currency),
        "total": money.minor_text(order.total, order.currency),
        "line_count": order.line_count,
        "version": order.version,
        "updated_at": clock.as_text(order.updated_at),
        "links": links,
    }


def full(order: Order, caller: Principal) -> dict[str, Any]:
    """Return an order whole, as it is known without its history."""
    return {
        **summary(order, caller),
        "note": order.note,
        "lines": [
            {
                "line": line.line,
                "sku": line.sku,
                "description": line.description,
                "quantity": line.quantity,
                "unit_price": money.exact_text(line.unit_price, order.currency),
                "amount": money.exact_text(line.amount, order.currency),
            }
            for line in order.lines
        ],
    }
