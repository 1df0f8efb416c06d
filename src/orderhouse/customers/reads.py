"""Questions about customers: one, cards, and pages of lists. Plain SQL, the same on both databases."""

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from orderhouse.customers.contract import CustomerCard
from orderhouse.customers.errors import CustomerNotFound
from orderhouse.customers.models import CustomerState
from orderhouse.customers.schemas import ListCustomers
from orderhouse.kernel import pages
from orderhouse.kernel.email import email_key
from orderhouse.kernel.pages import COUNTED_TO, PagesDoNotCombine
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.database.sql import Row, as_id
from orderhouse.runtime.database.transaction import Reading

_CARD = "id, external_id, name, country, active, version"
_STATE = f"{_CARD}, email, source, created_at, updated_at"

# Ids are in the order of adding, so the primary key is the list by time.
_KEYS: dict[str, dict[str, type]] = {"created_at": {"id": UUID}, "name": {"name_key": str, "id": UUID}}


class Page(NamedTuple):
    """Some customers of a list; the cursor of the next page, and for a page by offset how many there are."""

    customers: Sequence[CustomerState]
    next: str | None
    total: int | None


def one(reading: Reading, customer_id: UUID, caller: Principal) -> CustomerState | None:
    """Return a customer; None when there is none, CustomerNotFound when it is not `caller`'s to know of."""
    if caller.role == "customer" and caller.customer_id != customer_id:
        raise CustomerNotFound.of_anothers()
    found = reading.row(f"SELECT {_STATE} FROM customers WHERE id = :id", id=customer_id)
    return _state(found) if found else None


def cards(reading: Reading, ids: Collection[UUID]) -> dict[UUID, CustomerCard]:
    """Return the card of each of `ids` there is a customer for."""
    found = reading.rows(f"SELECT {_CARD} FROM customers WHERE id IN :ids", ids=list(ids))
    return {card.id: card for card in map(_card, found)}


def card_with(reading: Reading, email: str) -> CustomerCard | None:
    """Return the card of the customer whose address it is; None when it is nobody's, or no address."""
    try:
        key = email_key(email)
    except ValueError:
        return None
    found = reading.row(f"SELECT {_CARD} FROM customers WHERE email_key = :key", key=key)
    return _card(found) if found else None


def page(reading: Reading, wanted: ListCustomers, caller: Principal) -> Page:
    """Return the page that is wanted of the customers `caller` may know of. Reads by one index."""
    if wanted.cursor is not None and wanted.offset is not None:
        raise PagesDoNotCombine
    filters, values = _filters(wanted, caller)
    total = None if wanted.offset is None else _counted(reading, filters, values)
    behind, key = _behind(wanted)
    found = reading.rows(
        f"SELECT {_STATE}, name_key FROM customers{_where(filters + behind)} ORDER BY {_order(wanted)} "
        "LIMIT :limit OFFSET :offset",
        **values,
        **key,
        limit=wanted.limit + 1,
        offset=wanted.offset or 0,
    )
    rows = found[: wanted.limit]
    return Page([_state(row) for row in rows], _cursor(wanted, rows[-1]) if len(found) > wanted.limit else None, total)


def _filters(wanted: ListCustomers, caller: Principal) -> tuple[list[str], dict[str, object]]:
    filters: list[str] = []
    values: dict[str, object] = {}
    if caller.role == "customer":
        filters.append("id = :own")
        values["own"] = caller.customer_id
    if wanted.external_id is not None:
        filters.append("external_id = :external_id")
        values["external_id"] = wanted.external_id
    if wanted.email is not None:
        filters.append("email_key = :email")
        values["email"] = email_key(wanted.email)
    if wanted.active is not None and values:
        # Without `=`, or SQLite might take the index of all that are active rather than that of the few others left.
        filters.append("active" if wanted.active == "true" else "NOT active")
    elif wanted.active is not None:
        filters.append("active = :active")
        values["active"] = wanted.active == "true"
    return filters, values


def _counted(reading: Reading, filters: Sequence[str], values: dict[str, object]) -> int:
    # In the order of an index, so that it is the index that is counted, and no further than anybody pages.
    some = f"SELECT 1 FROM customers{_where(filters)} ORDER BY id LIMIT {COUNTED_TO}"
    found = reading.row(f"SELECT count(*) FROM ({some}) AS counted", **values)
    assert found is not None, "a count is always answered"
    return int(found[0])


def _behind(wanted: ListCustomers) -> tuple[list[str], dict[str, object]]:
    if wanted.cursor is None:
        return [], {}
    keys = _keys(wanted)
    key = pages.key_of(_list(wanted), wanted.cursor, *keys.values())
    condition = f"({', '.join(keys)}) {'<' if _falls(wanted) else '>'} ({', '.join(f':after_{name}' for name in keys)})"
    return [condition], {f"after_{name}": part for name, part in zip(keys, key, strict=True)}


def _cursor(wanted: ListCustomers, row: Row) -> str:
    key = {"id": as_id(row[0]), "name_key": row[-1]}
    return pages.cursor_of(_list(wanted), *(key[name] for name in _keys(wanted)))


def _order(wanted: ListCustomers) -> str:
    return ", ".join(f"{name} DESC" if _falls(wanted) else name for name in _keys(wanted))


def _keys(wanted: ListCustomers) -> dict[str, type]:
    return _KEYS[wanted.sort.removeprefix("-")]


def _falls(wanted: ListCustomers) -> bool:
    return wanted.sort.startswith("-")


def _list(wanted: ListCustomers) -> str:
    return f"customers {wanted.sort}"


def _where(conditions: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(conditions)}" if conditions else ""


def _card(row: Row) -> CustomerCard:
    customer_id, external_id, name, country, active, version = row
    return CustomerCard(as_id(customer_id), external_id, name, country, bool(active), version)


def _state(row: Row) -> CustomerState:
    customer_id, external_id, name, country, active, *rest = row[: len(_STATE.split(", "))]
    return CustomerState(as_id(customer_id), external_id, name, country, bool(active), *rest)
