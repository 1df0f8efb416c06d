"""Local days: what a day of a time zone is in instants, exactly, for every zone and every year."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from orderhouse.kernel.clock import Instant, from_datetime

DAY = 86_400_000_000
"""Microseconds of a day that the clock is not changed on."""

_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time in which a zone's clock is not changed: from `begin` up to `end`, `offset` ahead of UTC (µs)."""

    begin: Instant
    end: Instant
    offset: int


@dataclass(frozen=True, slots=True)
class LocalDays:
    """The local days from `first` to `last`, both included, of a zone."""

    first: date
    last: date
    stretches: tuple[Stretch, ...]

    @classmethod
    def between(cls, first: date, last: date, zone: str) -> "LocalDays":
        """Return the days of `zone`."""
        # A local day begins within 26 hours of the day in UTC.
        years = range((first - timedelta(days=2)).year, (last + timedelta(days=3)).year + 1)
        joined: list[Stretch] = []
        for stretch in (stretch for year in years for stretch in _stretches(zone, year)):
            if joined and joined[-1].offset == stretch.offset:
                joined[-1] = Stretch(joined[-1].begin, stretch.end, stretch.offset)
            else:
                joined.append(stretch)
        return cls(first, last, tuple(joined))

    def start_of(self, day: date) -> Instant:
        """Return the first instant of a local day; where the clock jumps over midnight, the instant of the jump."""
        number = (day - _EPOCH).days
        for stretch in self.stretches:
            begins = number * DAY - stretch.offset
            if begins < stretch.end:
                return max(begins, stretch.begin)
        raise LookupError(f"{day} is outside {self.first} to {self.last}")

    @property
    def begin(self) -> Instant:
        """The first instant of the first day."""
        return self.start_of(self.first)

    @property
    def end(self) -> Instant:
        """The first instant after the last day."""
        return self.start_of(self.last + timedelta(days=1))

    def day(self, number: int) -> date:
        """Return the local day `number` days after 1970-01-01, within the range.

        Where a clock was set back over midnight, a day ends twice: what comes after its second end stays with the edge.
        """
        return min(max(_EPOCH + timedelta(days=number), self.first), self.last)


@lru_cache(maxsize=4096)
def _stretches(zone: str, year: int) -> tuple[Stretch, ...]:
    """Return the stretches of one year in UTC: where the offset differs from one day to the next, to the second."""
    here = ZoneInfo(zone)
    begin, end = (int(datetime(y, 1, 1, tzinfo=UTC).timestamp()) for y in (year, year + 1))
    changes = []
    for day in range(begin, end, 86_400):
        last = min(day + 86_400, end - 1)
        if _offset(here, day) != _offset(here, last):
            changes.append(_change(here, day, last))
    edges = [begin, *changes, end]
    return tuple(
        Stretch(low * 1_000_000, high * 1_000_000, _offset(here, low)) for low, high in pairwise(edges) if low < high
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
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    local = moment.astimezone(here)
    return from_datetime(local.replace(tzinfo=UTC)) - from_datetime(moment)
