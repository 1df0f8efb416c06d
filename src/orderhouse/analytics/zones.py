"""Local days: what a day of a time zone is in instants, exactly, for every zone and every year.

An instant belongs to the day the zone's clock shows. So a day may last 23 or 25 hours, may not be at all (Samoa had no
30 December 2011), and where a clock is set back over midnight it comes twice, with some of another day between.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from orderhouse.kernel.clock import Instant

DAY = 86_400_000_000
"""Microseconds of a day that the clock is not changed on."""

EPOCH = date(1970, 1, 1)

_FURTHEST = 26 * 3_600_000_000
"""No clock is further from UTC; the furthest there ever was, Manila's until 1844, is 16 hours."""

_STEP = 3 * 86_400
"""Seconds. No clock was ever set twice within six days, so one that is the same after three was not set in between."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which a zone's clock is not changed: from `begin` up to `end`, `offset` ahead of UTC (µs)."""

    begin: Instant
    end: Instant
    offset: int


@dataclass(frozen=True)
class LocalDays:
    """The local days from `first` to `last`, both included, of a zone."""

    first: date
    last: date
    clock: tuple[Stretch, ...]
    """The zone's clock in that time and some days around it."""

    @classmethod
    def between(cls, first: date, last: date, zone: str) -> "LocalDays":
        """Return the days of `zone`."""
        years = range((first - timedelta(days=3)).year, (last + timedelta(days=3)).year + 1)
        joined: list[Stretch] = []
        for stretch in (stretch for year in years for stretch in _stretches(zone, year)):
            if joined and joined[-1].offset == stretch.offset:
                joined[-1] = Stretch(joined[-1].begin, stretch.end, stretch.offset)
            else:
                joined.append(stretch)
        return cls(first, last, tuple(joined))

    @cached_property
    def stretches(self) -> tuple[Stretch, ...]:
        """All instants of these days and no others, in order; one behind the other but where a day comes twice."""
        return tuple(self._showing(self.first, self.last))

    @cached_property
    def span(self) -> tuple[Instant, Instant]:
        """From the first instant of these days to the one after the last."""
        return self.span_of(self.first, self.last)

    def span_of(self, first: date, last: date) -> tuple[Instant, Instant]:
        """Return the first instant of some of these days and the one after their last; both equal if there is none."""
        shown = list(self._showing(first, last))
        if shown:
            return shown[0].begin, shown[-1].end
        # The clock jumps over them, at the beginning of a stretch.
        begin = next(stretch.begin for stretch in self.clock if stretch.begin + stretch.offset > _start(last))
        return begin, begin

    def _showing(self, first: date, last: date) -> Iterator[Stretch]:
        low, high = _start(first), _start(last + timedelta(days=1))
        near = max(bisect_right(self._begins, low - _FURTHEST) - 1, 0)
        for stretch in self.clock[near:]:
            begin, end = max(stretch.begin, low - stretch.offset), min(stretch.end, high - stretch.offset)
            if begin < end:
                yield Stretch(begin, end, stretch.offset)
            if stretch.begin > high + _FURTHEST:
                return

    @cached_property
    def _begins(self) -> list[Instant]:
        return [stretch.begin for stretch in self.clock]


def _start(day: date) -> int:
    """Return when `day` begins by a clock that shows UTC."""
    return (day - EPOCH).days * DAY


@lru_cache(maxsize=4096)
def _stretches(zone: str, year: int) -> tuple[Stretch, ...]:
    """Return the stretches of one year in UTC, to the second."""
    here = ZoneInfo(zone)
    begin, end = (int(datetime(y, 1, 1, tzinfo=UTC).timestamp()) for y in (year, year + 1))
    looks = [*range(begin, end, _STEP), end]
    changes = [_change(here, low, high) for low, high in pairwise(looks) if _offset(here, low) != _offset(here, high)]
    return tuple(
        Stretch(low * 1_000_000, high * 1_000_000, _offset(here, low) * 1_000_000)
        for low, high in pairwise([begin, *changes, end])
        if low < high
    )


def _change(here: ZoneInfo, low: int, high: int) -> int:
    """Return the first second after `low` whose offset is not that of `low`; it differs at `high`."""
    before = _offset(here, low)
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(here, middle) == before:
            low = middle
        else:
            high = middle
    return high


def _offset(here: ZoneInfo, second: int) -> int:
    ahead = datetime.fromtimestamp(second, here).utcoffset() or timedelta()
    return ahead.days * 86_400 + ahead.seconds
