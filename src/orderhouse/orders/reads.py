"""Orders as they are read: one with its history, and pages by an index. Plain SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from orderhouse.kernel import clock, money
from orderhouse.kernel.pages import cursor_of, key_of
from orderhouse.kernel.principal import Principal
from orderhouse.orders.contract import Kind
from orderhouse.orders.errors import FiltersDoNotCombine, OrderUnknown
from orderhouse.orders.models import Order, OrderLine, moves_of
from orderhouse.orders.repository import HEAD, lines_of, of_a_team_mate, order_of
from orderhouse.orders.schemas import ListHistory, ListOrders, path_of
from orderhouse.runtime.database.sql import Row, as_id, id_text
from orderhouse.runtime.database.transaction import Reading

SHOWN = 50
"""How much of its history an order is shown with."""

_SELECT = f"SELECT {', '.join(HEAD)} FROM orders"
_SELECT_WHOLE = f"SELECT {', '.join(HEAD)}, lines FROM orders WHERE id = :id"
_SELECT_HISTORY = (
    "SELECT sequence, name, at, actor, request_id, data, reason FROM facts LEFT JOIN order_reasons "
    "ON order_reasons.order_id = facts.aggregate AND order_reasons.version = facts.sequence "
    "WHERE facts.aggregate = :id AND facts.sequence < :before ORDER BY facts.sequence DESC LIMIT :limit"
)
_LISTED = tuple(column for column in HEAD if column not in ("note", "fingerprint"))
_SELECT_LISTED = f"SELECT {', '.join(_LISTED)} FROM orders"
_NO_END = 2**31 - 1
_MOST_MATES = 16
"""Of how many people's orders a page is put together: who has more in their team reads all, and passes over some."""


def one(reading: Reading, order_id: UUID, caller: Principal) -> Order | None:
    """Return an order with its lines; None when there is none, OrderUnknown when it is not `caller`'s to know of."""
    found = reading.row(_SELECT_WHOLE, id=order_id)
    if found is None:
        return None
    *head, lines = found
    return _known_to(caller, order_of(head), reading)._replace(lines=lines_of(lines))


def _known_to(caller: Principal, order: Order, reading: Reading) -> Order:
    """Return `order` if it is `caller`'s to know of; OrderUnknown otherwise."""
    if not order.visible_to(caller) and not of_a_team_mate(reading, order, caller):
        raise OrderUnknown.of_anothers()
    return order


def history(reading: Reading, order_id: UUID, *, before: int, limit: int) -> list[dict[str, Any]]:
    """Return what made an order's versions below `before`, the latest `limit` of them, latest first, with reasons."""
    found = reading.rows(_SELECT_HISTORY, id=order_id, before=before, limit=limit)
    return [
        {
            "sequence": sequence,
            "name": name,
            "at": clock.as_text(at),
            "actor": actor,
            "request_id": request_id,
            "data": orjson.loads(data),
            "reason": reason,
        }
        for sequence, name, at, actor, request_id, data, reason in found
    ]


def whole(reading: Reading, order_id: UUID, caller: Principal) -> tuple[Order, list[dict[str, Any]]] | None:
    """Return an order with its lines and its latest history, in order; None and OrderUnknown as `one`."""
    order = one(reading, order_id, caller)
    if order is None:
        return None
    # Up to the version that was read, whatever happened to it since.
    return order, history(reading, order_id, before=order.version + 1, limit=SHOWN)[::-1]


def history_page(
    reading: Reading, order_id: UUID, wanted: ListHistory, caller: Principal
) -> tuple[list[dict[str, Any]], str | None] | None:
    """Return a page of what happened to an order, latest first, and the cursor of the next one; None as `whole`."""
    found = reading.row(f"{_SELECT} WHERE id = :id", id=order_id)
    if found is None:
        return None
    _known_to(caller, order_of(found), reading)
    (before,) = key_of("history", wanted.cursor, int) if wanted.cursor else (_NO_END,)
    assert isinstance(before, int), "its shape says so"
    # A cursor can be forged: what no column holds asks for nothing beyond it.
    told = history(reading, order_id, before=max(0, min(before, _NO_END)), limit=wanted.limit + 1)
    more = len(told) > wanted.limit
    shown = told[: wanted.limit]
    return shown, cursor_of("history", shown[-1]["sequence"]) if more else None


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
class Range:
    """The part of an index that holds what a filter names: `columns` come first in it, and are constant there."""

    index: str
    columns: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    values: Mapping[str, object] = field(default_factory=dict)
    short: bool = False
    """Whether few orders are in it, however many there are in all."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a page is read: by the order of an index, and within one or two of its ranges."""

    ranges: Sequence[Range]
    narrow: Sequence[str]
    """What an order within the ranges may still fail: a page may have to pass over many to find its few."""
    between: Sequence[str]
    """From where to where in the order of the index."""
    values: Mapping[str, object]
    sort: str
    limit: int

    @property
    def down(self) -> bool:
        """Whether the latest come first."""
        return self.sort.startswith("-")


def planned(wanted: ListOrders, caller: Principal, team: Sequence[str] = ()) -> Plan:
    """Return how to read a page of what is wanted and `caller`, who has `team` beside them, may see.

    FiltersDoNotCombine where no index fits.
    """
    named = _named(wanted)
    _check(named, wanted)
    own = _own(caller, team, wanted.assigned_to)
    ranges = _ranges(named, own if len(team) <= _MOST_MATES else [])
    narrow = [condition for one in named if one not in ranges for condition in one.where]
    if own and ranges is not own:
        narrow.append(" OR ".join(f"({_all(one.where)})" for one in own))
    if wanted.currency:
        narrow.append("currency = :currency")
    if wanted.counted:
        narrow.append("status <> 'cancelled' AND kind <> 'adjustment'")
    between, values = _between(wanted)
    for one in (*named, *own):
        values.update(one.values)
    return Plan(ranges, narrow, between, {**values, "currency": wanted.currency}, wanted.sort, wanted.limit)


def _named(wanted: ListOrders) -> list[Range]:
    """Return the range of each filter that is named, the shortest first."""
    ranges = (
        _reference(wanted),
        _equal("orders_customer", "customer_id", wanted.customer, short=wanted.customer != "none"),
        _equal("orders_owner", "owner_id", wanted.assigned_to),
        _equal("orders_country", "country", wanted.country),
        _kind(wanted.kind),
        _equal("orders_status", "status", wanted.status),
    )
    return [one for one in ranges if one]


def _reference(wanted: ListOrders) -> Range | None:
    if wanted.external_reference is None:
        return None
    where = ("source = :source", "external_reference = :reference", "external_reference IS NOT NULL")
    values = {"source": wanted.source, "reference": wanted.external_reference}
    return Range("orders_reference", (), where, values, short=True)


def _equal(index: str, column: str, value: object, *, short: bool = False) -> Range | None:
    if value is None:
        return None
    if value == "none":
        return Range(index, (column,), (f"{column} IS NULL",))
    return Range(index, (column,), (f"{column} = :{column}",), {column: value}, short)


def _kind(kind: str | None) -> Range | None:
    # `kind <> 'sale'` is said again so that the database knows that the index of the few is meant.
    return Range("orders_kind", ("kind",), ("kind = :kind", "kind <> 'sale'"), {"kind": kind}) if kind else None


def _check(named: Sequence[Range], wanted: ListOrders) -> None:
    """Refuse what could only be answered by reading far more than is shown."""
    leading = [one.index for one in named if one.index != "orders_status"]
    if len(leading) > 1:
        raise FiltersDoNotCombine("Use one of customer, assigned_to, country, kind and external_reference.")
    if wanted.status and leading and leading[0] not in ("orders_customer", "orders_owner"):
        raise FiltersDoNotCombine("status goes alone, or beside customer or assigned_to.")
    if "source" in wanted.model_fields_set and wanted.external_reference is None:
        raise FiltersDoNotCombine("source says whose external_reference is meant: name that too.")


def _own(caller: Principal, team: Sequence[str], assigned_to: str | None) -> Sequence[Range]:
    """Return the ranges of what `caller` alone may see; none for who sees everything."""
    if caller.role == "customer":
        mine = {"mine": caller.customer_id}
        return [Range("orders_customer", ("customer_id",), ("customer_id = :mine",), mine, short=True)]
    if caller.role == "clerk":
        return _clerks(caller.subject, team, assigned_to)
    return []


def _clerks(me: str, team: Sequence[str], assigned_to: str | None) -> Sequence[Range]:
    """Return the ranges of what a clerk or somebody of their team is answerable for, and of what the clerk placed."""
    if len(team) > _MOST_MATES:
        where = ("owner_id IN :ours OR placed_by = :me AND owner_id IS NOT NULL",)
        return [Range("orders_placed", (), where, {"me": me, "ours": [me, *team]})]
    answerable = [
        Range("orders_owner", ("owner_id",), (f"owner_id = :answerable_{n}",), {f"answerable_{n}": one})
        for n, one in enumerate((me, *team))
        if not team or assigned_to in (None, one)
    ]
    if team and assigned_to is not None and answerable:
        return answerable
    # What the clerk placed, and somebody else is answerable for now: of their team's they see all the same.
    theirs = ("NOT (owner_id IN :team)",) if team else ()
    handed_over = ("placed_by = :me", "placed_by <> owner_id", *theirs)
    values = {"me": me, **({"team": list(team)} if team else {})}
    return [*answerable, Range("orders_handed_over", ("placed_by",), handed_over, values)]


def _ranges(named: Sequence[Range], own: Sequence[Range]) -> Sequence[Range]:
    """Return what to read: who sees its own only reads through its own, unless something shorter is named."""
    if own and (own[0].short or not (named and named[0].short)):
        return own
    return named[:1] or [Range("orders_placed")]


def _between(wanted: ListOrders) -> tuple[list[str], dict[str, object]]:
    where: list[str] = []
    values: dict[str, object] = {}
    if wanted.placed_from is not None:
        where.append("placed_at >= :placed_from")
        values["placed_from"] = wanted.placed_from
    if wanted.placed_to is not None:
        where.append("placed_at < :placed_to")
        values["placed_to"] = wanted.placed_to
    if wanted.cursor is not None:
        where.append(f"(placed_at, id) {'<' if wanted.sort.startswith('-') else '>'} (:after_at, :after_id)")
        values["after_at"], values["after_id"] = key_of(f"orders {wanted.sort}", wanted.cursor, int, UUID)
    return where, values


def page(
    reading: Reading, wanted: ListOrders, caller: Principal, team: Sequence[str] = ()
) -> tuple[list[dict[str, Any]], str | None]:
    """Return a page of orders as they are shown, and the cursor of the next; None on the last.

    Reads as planned, and counts nothing. No orders are made of the rows: that would cost twice what is asked for.
    """
    plan = planned(wanted, caller, team)
    parts = [_part(one, plan) for one in plan.ranges]
    sql = parts[0]
    if len(parts) > 1:
        inner = " UNION ALL ".join(f"SELECT * FROM ({part}) AS part{n}" for n, part in enumerate(parts))
        order = _order(("placed_at", "id"), down=plan.down)
        sql = f"SELECT * FROM ({inner}) AS parts ORDER BY {order} LIMIT :limit"
    found = reading.rows(sql, **{**plan.values, "limit": plan.limit + 1})
    may_change = caller.may("orders:change")
    shown = [_shown(row, may_change=may_change) for row in found[: plan.limit]]
    if len(found) <= plan.limit:
        return shown, None
    last = found[plan.limit - 1]
    return shown, cursor_of(f"orders {plan.sort}", last[_PLACED_AT], as_id(last[0]))


def _part(one: Range, plan: Plan) -> str:
    # `IS TRUE` keeps both databases from reading by the index of a condition that only narrows: by luck that is
    # shorter, and without bound where it is not.
    narrow = [f"({condition}) IS TRUE" for condition in plan.narrow]
    where = _all((*one.where, *narrow, *plan.between)) or "1 = 1"
    # The filter's column is constant within the page; named in the sort, PostgreSQL sees it too when it is NULL.
    order = _order((*one.columns, "placed_at", "id"), down=plan.down)
    return f"{_SELECT_LISTED} WHERE {where} ORDER BY {order} LIMIT :limit"


def _all(conditions: Sequence[str]) -> str:
    return " AND ".join(conditions)


def _order(columns: Sequence[str], *, down: bool) -> str:
    return ", ".join(f"{column} DESC" if down else column for column in columns)


def summary(order: Order, *, may_change: bool) -> dict[str, Any]:
    """Return an order as a list shows it to who `may_change` it, or may not."""
    return _shown(_listed(order), may_change=may_change)


_listed = itemgetter(*map(Order._fields.index, _LISTED))
_PLACED_AT = _LISTED.index("placed_at")


def _shown(row: Row, *, may_change: bool) -> dict[str, Any]:
    (order_id, kind, status, currency, customer_id, country, placed_at, placed_by, owner_id, *rest) = row
    (source, external_reference, amount, total, line_count, version, updated_at) = rest
    order = id_text(order_id)
    customer = id_text(customer_id) if customer_id else None
    placed, link = clock.as_text(placed_at), path_of(order)
    links: dict[str, Any] = {"self": link}
    if customer:
        links["customer"] = f"/v1/customers/{customer}"
    if may_change and (moves := moves_of(kind, status)):
        links["transitions"] = {"href": f"{link}/transitions", "to": moves}
    return {
        "id": order,
        "kind": kind,
        "status": status,
        "currency": currency,
        "customer_id": customer,
        "country": country,
        "placed_at": placed,
        "placed_by": placed_by,
        "assigned_to": owner_id,
        "source": source,
        "external_reference": external_reference,
        "amount": money.exact_text(amount, currency),
        "total": money.minor_text(total, currency),
        "line_count": line_count,
        "version": version,
        "updated_at": placed if updated_at == placed_at else clock.as_text(updated_at),
        "links": links,
    }


def full(order: Order, *, may_change: bool) -> dict[str, Any]:
    """Return an order whole, as it is known without its history."""
    said = summary(order, may_change=may_change)
    said["links"]["history"] = f"{said['links']['self']}/history"
    said["note"] = order.note
    said["lines"] = lines_shown(order.lines, order.currency)
    return said


def lines_shown(lines: Sequence[OrderLine], currency: str) -> list[dict[str, Any]]:
    """Return an order's lines as they are shown."""
    return [
        {
            "line": line,
            "sku": sku,
            "description": description,
            "quantity": quantity,
            "unit_price": money.exact_text(unit_price, currency),
            "amount": money.exact_text(amount, currency),
        }
        for line, sku, description, quantity, unit_price, amount in lines
    ]
