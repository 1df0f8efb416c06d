"""Questions about customers: one, cards, and pages of lists. Plain SQL, the same on both databases."""

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from orderhouse.customers.contract import CustomerCard
from orderhouse.customers.errors import PagesDoNotCombine
from orderhouse.customers.models import CustomerState
from orderhouse.customers.schemas import COUNTED_TO, ListCustomers
from orderhouse.kernel import pages
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


def one(reading: Reading, customer_id: UUID) -> CustomerState | None:
    """Return a customer, if there is one."""
    found = reading.row(f"SELECT {_STATE} FROM customers WHERE id = :id", id=customer_id)
    return _state(found) if found else None


def cards(reading: Reading, ids: Collection[UUID]) -> dict[UUID, CustomerCard]:
    """Return the card of each of `ids` there is a customer for."""
    found = reading.rows(f"SELECT {_CARD} FROM customers WHERE id IN :ids", ids=list(ids))
    return {card.id: card for card in map(_card, found)}


def page(reading: Reading, wanted: ListCustomers, only: UUID | None = None) -> Page:
    """Return the page that is wanted, of all customers or of `only` one."""
    keys = _KEYS[wanted.sort.removeprefix("-")]
    down = wanted.sort.startswith("-")
    conditions, values = _filters(wanted, only)
    total = None
    if wanted.offset is not None:
        if wanted.cursor is not None:
            raise PagesDoNotCombine
        total = _counted(reading, conditions, values, keys)
    if wanted.cursor is not None:
        conditions.append(f"({', '.join(keys)}) {'<' if down else '>'} ({', '.join(f':after_{key}' for key in keys)})")
        after = pages.key_of(_list(wanted), wanted.cursor, *keys.values())
        values.update((f"after_{key}", part) for key, part in zip(keys, after, strict=True))
    found = reading.rows(
        f"SELECT {_STATE}, name_key FROM customers{_where(conditions)} "
        f"ORDER BY {', '.join(f'{key} DESC' if down else key for key in keys)} LIMIT :limit OFFSET :offset",
        **values,
        limit=wanted.limit + 1,
        offset=wanted.offset or 0,
    )
    customers = [_state(row[:-1]) for row in found[: wanted.limit]]
    return Page(customers, _next(wanted, customers[-1], found[wanted.limit - 1][-1]) if len(found) > wanted.limit else None, total)
