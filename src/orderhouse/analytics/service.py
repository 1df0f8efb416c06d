"""Sales figures: cut by days or by whom, summed exactly, rounded once, with the orders behind every cell."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from orderhouse.analytics.errors import CurrencyNeeded, LimitNeedsFallingOrder, RangeInvalid, ZoneUnknown
from orderhouse.analytics.projection import EMPTY, Cell, Projection
from orderhouse.analytics.schemas import PERIODS, RANKED, SalesQuery
from orderhouse.analytics.zones import LocalDays
from orderhouse.customers.contract import CustomerCard
from orderhouse.kernel import clock, money
from orderhouse.kernel.clock import Clock, Instant
from orderhouse.kernel.zones import zone_names
from orderhouse.orders.contract import STATUSES

_TEN_YEARS = 3653
_USUAL_LIMIT = 50
_USUAL_DAYS = 30
_UNKNOWN = "EUR"
"""Whose two digits zeros are shown with where nothing was sold and no currency was named."""

Figures = dict[str, Any]
_STATUS_ORDER: dict[str, int] = {status: n for n, status in enumerate(STATUSES)}
FILTERS = {"customer": "customer", "user": "assigned_to", "country": "country", "status": "status"}
"""Cuts, and the filter of the orders' list that finds a cell's orders."""


class SalesService:
    """Answers what was sold."""

    def __init__(self, projection: Projection, time_zone: str, *, now: Clock = clock.now) -> None:
        """Ask `projection`; a day is one of `time_zone` where a query names none."""
        self._projection = projection
        self._time_zone = time_zone
        self._now = now

    def sales(self, query: SalesQuery) -> Figures:
        """Return the figures of a query, all but how fresh they are and who its customers are."""
        if query.limit is not None and query.by not in RANKED:
            raise LimitNeedsFallingOrder
        zone = query.time_zone or self._time_zone
        days = self._days(query, zone)
        currency = query.currency or self._currency(days)
        cells, unassigned, totals = self._cells(query, days, currency)
        shown = currency or _UNKNOWN
        return {
            "items": [{"key": key, **_figures(cell, shown), "links": {"orders": link}} for key, cell, link in cells],
            "unassigned": {
                **_figures(unassigned, shown),
                "links": {"orders": _link(query.by, days.begin, days.end, "none", currency)}
                if query.by in RANKED
                else {},
            },
            "totals": {**_figures(totals, shown), "adjustments": money.rounded_text(totals[5], shown)},
            "currency": currency,
            "time_zone": zone,
        }

    def _days(self, query: SalesQuery, zone: str) -> LocalDays:
        if zone not in zone_names():
            raise ZoneUnknown("Name one of IANA's, such as Europe/London.")
        last = query.to or self._today(zone)
        first = query.from_ or last - timedelta(days=_USUAL_DAYS - 1)
        if first > last or (last - first).days >= _TEN_YEARS:
            raise RangeInvalid
        return LocalDays.between(first, last, zone)

    def _today(self, zone: str) -> date:
        moment = datetime.fromtimestamp(self._now() // 1_000_000, UTC)
        today = moment.date()
        days = LocalDays.between(today - timedelta(days=1), today + timedelta(days=1), zone)
        return max(day for day in (days.first, today, days.last) if days.start_of(day) <= self._now())

    def _currency(self, days: LocalDays) -> str | None:
        found = self._projection.currencies(days)
        if len(found) > 1:
            raise CurrencyNeeded(f"There are {', '.join(found)}.", currencies=found)
        return found[0] if found else None

    def _cells(
        self, query: SalesQuery, days: LocalDays, currency: str | None
    ) -> tuple[list[tuple[str, Cell, str]], Cell, Cell]:
        """Return (key, cell, link) of each item, then what is unassigned, then the totals."""
        if query.by in PERIODS:
            by_day = self._projection.by_day(days, currency) if currency else []
            periods = _periods(query.by, days, by_day)
            cells = [
                (
                    key,
                    cell,
                    _link(query.by, days.start_of(first), days.start_of(last + timedelta(days=1)), "", currency),
                )
                for key, first, last, cell in periods
            ]
            return cells, EMPTY, _sum([cell for _, cell, _ in cells])
        limit = (query.limit or _USUAL_LIMIT) if query.by in RANKED else len(STATUSES)
        if currency is None:
            return [], EMPTY, EMPTY
        found, unassigned, totals = self._projection.by_key(query.by, days, currency, limit)
        if query.by == "status":
            found.sort(key=lambda cell: _STATUS_ORDER[str(cell[0])])
        link = [_link(query.by, days.begin, days.end, str(cell[0]), currency) for cell in found]
        return [(str(cell[0]), cell, to) for cell, to in zip(found, link, strict=True)], unassigned, totals


def with_customers(items: Sequence[Figures], cards: Mapping[UUID, CustomerCard]) -> None:
    """Write each customer's name and external id beside its key; both are null where it is erased."""
    for item in items:
        card = cards.get(UUID(item["key"]))
        item["name"] = card.name if card else None
        item["external_id"] = card.external_id if card else None


def customers_of(items: Sequence[Figures]) -> Collection[UUID]:
    """Return the ids of the customers in a cut by customer."""
    return [UUID(item["key"]) for item in items]


def _periods(
    by: str, days: LocalDays, rows: Sequence[tuple[int, int, int, int, int, int]]
) -> Iterator[tuple[str, date, date, Cell]]:
    """Yield (key, first day, last day, cell) of every period that touches the range, in order and without gaps."""
    sold: dict[date, list[Cell]] = {}
    for number, *figures in rows:
        first = _first(by, days.day(number))
        sold.setdefault(first, []).append((None, *map(int, figures)))  # type: ignore[arg-type]  # five figures
    begins = _first(by, days.first)
    while begins <= days.last:
        following = _following(by, begins)
        key = begins.isoformat()[:7] if by == "month" else begins.isoformat()
        yield key, max(begins, days.first), min(following - timedelta(days=1), days.last), _sum(sold.get(begins, []))
        begins = following


def _first(by: str, day: date) -> date:
    """Return the first day of the period `day` is in."""
    if by == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if by == "week" else day


def _following(by: str, first: date) -> date:
    """Return the first day of the next period."""
    return _first("month", first + timedelta(days=31)) if by == "month" else first + timedelta(7 if by == "week" else 1)


def _sum(cells: Sequence[Cell]) -> Cell:
    return (None, *(sum(cell[n] for cell in cells) for n in range(1, 6)))  # type: ignore[return-value,misc]  # five figures


def _figures(cell: Cell, currency: str) -> Figures:
    _, orders, credit_count, gross, credit_total, _ = cell
    return {
        "orders": orders,
        "credits": credit_count,
        "gross": money.rounded_text(gross, currency),
        "credit_total": money.rounded_text(credit_total, currency),
        "net": money.rounded_text(gross + credit_total, currency),
    }


def _link(by: str, begin: int, end: int, key: str, currency: str | None) -> str:
    """Return the address of the list of the orders a cell counts."""
    query = {
        **({FILTERS[by]: key} if by in FILTERS else {}),
        **({"currency": currency} if currency else {}),
        "counted": "true",
    }
    return f"/v1/orders?placed_from={_quoted(begin)}&placed_to={_quoted(end)}&{urlencode(query)}"


def _quoted(instant: Instant) -> str:
    # What urlencode would make of it, for a quarter of the time: a year by day has seven hundred.
    return clock.as_text(instant).replace(":", "%3A")
