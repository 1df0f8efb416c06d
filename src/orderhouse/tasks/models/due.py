"""When a task is due: at the end of a day of a time zone."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from orderhouse.kernel.clock import Instant, from_datetime
from orderhouse.kernel.zones import local, zone_names
from orderhouse.tasks.errors import TimeZoneUnknown

NEVER: Instant = 1 << 62
"""Later than every due date: where a task without one stands among those that have one."""

HOUR = 3_600_000_000
"""Microseconds."""


def day_of(instant: Instant, time_zone: str) -> date:
    """Return the local day `instant` is in."""
    return local(instant, time_zone).date()


def end_of(day: str | None, time_zone: str) -> Instant:
    """Return when a local day ends: the first instant that is not in it any more. NEVER for no day, TimeZoneUnknown."""
    if time_zone not in zone_names():
        raise TimeZoneUnknown
    if day is None:
        return NEVER
    following = date.fromisoformat(day) + timedelta(days=1)
    return from_datetime(datetime(following.year, following.month, following.day, tzinfo=ZoneInfo(time_zone)))
