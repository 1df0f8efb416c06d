"""When a schedule's time comes: by the clocks of its zone, also on the days they are changed."""

import pytest

from orderhouse.jobs.errors import CronInvalid
from orderhouse.jobs.models.schedules import after
from orderhouse.kernel.clock import as_text, from_text


def times(cron: str, zone: str, since: str, count: int) -> list[str]:
    found = []
    at = from_text(since)
    for _ in range(count):
        at = after(cron, zone, at)
        found.append(as_text(at).replace(":00.000000", ""))
    return found


def test_a_time_is_one_of_the_zones_clocks() -> None:
    assert times("30 9 * * *", "Asia/Kolkata", "2026-01-01T00:00:00Z", 2) == ["2026-01-01T04:00Z", "2026-01-02T04:00Z"]
    assert times("0 9 * * MON-FRI", "UTC", "2026-01-02T10:00:00Z", 2) == ["2026-01-05T09:00Z", "2026-01-06T09:00Z"]


def test_a_time_that_has_come_comes_again_only_at_the_next() -> None:
    assert times("0 9 * * *", "UTC", "2026-01-01T09:00:00Z", 1) == ["2026-01-02T09:00Z"]
    assert times("0 9 * * *", "UTC", "2026-01-01T08:59:59.999999Z", 1) == ["2026-01-01T09:00Z"]


def test_an_hour_that_clocks_show_twice_has_its_time_once() -> None:
    found = times("30 1 * * *", "Europe/London", "2026-10-24T12:00:00Z", 2)
    assert found == ["2026-10-25T00:30Z", "2026-10-26T01:30Z"]


def test_a_time_in_an_hour_that_clocks_leave_out_comes_right_after_it() -> None:
    found = times("30 1 * * *", "Europe/London", "2026-03-28T12:00:00Z", 2)
    assert found == ["2026-03-29T01:00Z", "2026-03-30T00:30Z"]


def test_every_hour_is_every_hour_whatever_clocks_do() -> None:
    found = times("0 * * * *", "Europe/London", "2026-10-24T23:30:00Z", 4)
    assert found == ["2026-10-25T00:00Z", "2026-10-25T01:00Z", "2026-10-25T02:00Z", "2026-10-25T03:00Z"]


@pytest.mark.parametrize(
    "cron", ["60 * * * *", "* 24 * * *", "* * 30 2 *", "* * * * FOO", "5-1 * * * *", "*/0 * * * *"]
)
def test_what_never_comes_is_no_time(cron: str) -> None:
    with pytest.raises(CronInvalid):
        after(cron, "UTC", 0)
