"""Time zones by their names at IANA."""

from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from orderhouse.kernel.clock import Instant, as_datetime


@cache
def zone_names() -> frozenset[str]:
    """Return every name there is here; the first to ask waits some milliseconds."""
    return frozenset(available_timezones())


def known_zone(name: str) -> str:
    """Return `name`; ValueError, as schemas tell it, when no zone has it."""
    if name not in zone_names():
        raise ValueError("must be a time zone of IANA's, such as Europe/London")
    return name


def local(instant: Instant, time_zone: str) -> datetime:
    """Return what the clocks of `time_zone` show at an instant, exactly."""
    return as_datetime(instant).astimezone(ZoneInfo(time_zone))
