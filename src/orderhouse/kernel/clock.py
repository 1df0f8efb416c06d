"""Instants: microseconds since 1970 in UTC, as an integer inside and as RFC 3339 text on the wire."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

Instant = int
Clock = Callable[[], Instant]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY = 86_400
_TWO = [f"{number:02}" for number in range(60)]


def now() -> Instant:
    """Return the present instant."""
    return time.time_ns() // 1000


def as_text(instant: Instant) -> str:
    """Return `instant` as RFC 3339 text in UTC with all six digits, so that texts sort as instants do."""
    second, fraction = divmod(instant, 1_000_000)
    return f"{_second(second)}.{fraction:06}Z"


@lru_cache(maxsize=4096)
def _second(second: int) -> str:
    # By arithmetic, a day at a time: a page of orders says a hundred instants, of few days.
    day, second = divmod(second, _DAY)
    minutes, second = divmod(second, 60)
    return f"{_date(day)}T{_TWO[minutes // 60]}:{_TWO[minutes % 60]}:{_TWO[second]}"


@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).date().isoformat()


def text_or_none(instant: Instant | None) -> str | None:
    """Return `instant` as text where there is one."""
    return None if instant is None else as_text(instant)


def as_datetime(instant: Instant) -> datetime:
    """Return `instant` as an aware datetime in UTC, exactly."""
    return _EPOCH + instant * _MICROSECOND


def from_datetime(moment: datetime) -> Instant:
    """Return the instant of an aware `moment`, exactly; a naive one raises TypeError."""
    return (moment - _EPOCH) // _MICROSECOND


def from_text(text: str) -> Instant:
    """Return the instant RFC 3339 `text` names; ValueError when it names none or has no offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("an instant needs an offset, such as Z")
    try:
        return from_datetime(moment.astimezone(UTC))
    except OverflowError:
        # An offset can lead out of the years that there are in UTC, where no text names the instant.
        raise ValueError("an instant lies within the years 1 to 9999 in UTC") from None
