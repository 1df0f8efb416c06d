"""Refusals on their way to the audit log: in it before anybody hears, and never lost in silence."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest
from structlog.testing import capture_logs

from orderhouse.kernel.errors import Unavailable
from orderhouse.kernel.ids import new_id
from orderhouse.runtime.refused import Recorder, Refused

pytestmark = pytest.mark.anyio


def refused(path: str = "/v1/teams") -> Refused:
    return Refused(new_id(), 1, "clerk-1", "192.0.2.7", "POST /v1/teams", path, "permission_missing", "request-1")


class Log:
    """An audit log that can be away, or take its time, or choke on something."""

    def __init__(self) -> None:
        self.kept: list[Refused] = []
        self.lots: list[int] = []
        self.away = False
        self.open = asyncio.Event()
        self.open.set()

    async def keep(self, some: Sequence[Refused]) -> None:
        await self.open.wait()
        if self.away:
            raise Unavailable
        if any(one.path == "/spoilt" for one in some):
            raise ValueError("it cannot be written")
        self.kept += some
        self.lots.append(len(some))

    async def holds(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.kept) < count:
                await asyncio.sleep(0.005)


@asynccontextmanager
async def running(recorder: Recorder) -> AsyncIterator[None]:
    task = asyncio.create_task(recorder.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_whoever_is_refused_hears_when_it_is_kept() -> None:
    log = Log()
    recorder = Recorder(log.keep, patience_s=30)
    async with running(recorder):
        log.open.clear()
        hears = asyncio.create_task(recorder(one := refused()))
        await asyncio.sleep(0.01)
        assert not hears.done()
        log.open.set()
        await asyncio.wait_for(hears, 5)
        assert log.kept == [one]


async def test_many_at_once_are_written_together() -> None:
    log = Log()
    recorder = Recorder(log.keep, patience_s=30)
    async with running(recorder):
        await asyncio.wait_for(asyncio.gather(*(recorder(refused()) for _ in range(500))), 5)
    assert len(log.kept) == 500
    assert len(log.lots) < 10


async def test_while_the_log_is_away_nobody_waits_for_long_and_nothing_is_lost() -> None:
    log = Log()
    log.away = True
    recorder = Recorder(log.keep, patience_s=0.05)
    wanted = [refused() for _ in range(5)]
    with capture_logs() as told:
        async with running(recorder):
            for one in wanted:
                await asyncio.wait_for(recorder(one), 1)
            assert log.kept == []
            log.away = False
            await log.holds(5)
    assert log.kept == wanted
    assert [line["event"] for line in told] == ["refusals_not_audited_yet"]


async def test_what_still_waits_at_the_end_is_written() -> None:
    log = Log()
    log.open.clear()
    recorder = Recorder(log.keep, patience_s=0.01)
    async with running(recorder):
        await recorder(one := refused())
        log.open.set()
    assert log.kept == [one]


async def test_what_cannot_be_kept_at_all_is_told_in_full() -> None:
    log = Log()
    log.away = True
    recorder = Recorder(log.keep, patience_s=0.01, most_waiting=2)
    wanted = [refused() for _ in range(3)]
    with capture_logs() as told:
        async with running(recorder):
            for one in wanted:
                await recorder(one)
    lost = [line for line in told if line["event"] == "refusal_not_audited"]
    assert {line["id"] for line in lost} == {str(one.id) for one in wanted}
    assert {line["actor"] for line in lost} == {"clerk-1"}


async def test_one_that_cannot_be_written_holds_up_no_other() -> None:
    log = Log()
    recorder = Recorder(log.keep, patience_s=0.5)
    good = [refused() for _ in range(4)]
    with capture_logs() as told:
        async with running(recorder):
            log.open.clear()
            asking = [asyncio.create_task(recorder(one)) for one in [*good[:2], refused("/spoilt"), *good[2:]]]
            await asyncio.sleep(0.01)
            log.open.set()
            await asyncio.wait_for(asyncio.gather(*asking), 5)
            await log.holds(4)
    assert log.kept == good
    assert [line["path"] for line in told if line["event"] == "refusal_not_audited"] == ["/spoilt"]
