"""Work that gives way: one at a time, and a rest after each."""

import asyncio

import pytest

from orderhouse.assembly.pace import Pace

pytestmark = pytest.mark.anyio


class _Clock:
    """Seconds that pass only while somebody works or rests."""

    def __init__(self) -> None:
        self.at = 100.0

    def now(self) -> float:
        return self.at

    async def pass_by(self, seconds: float) -> None:
        self.at += seconds
        await asyncio.sleep(0)  # whoever else could go on does


async def test_turns_come_one_at_a_time_with_a_rest_after_each() -> None:
    clock = _Clock()
    pace = Pace(3, now=clock.now, sleep=clock.pass_by)
    turns: list[tuple[float, float]] = []

    async def work(seconds: float) -> None:
        async with pace.turn():
            began = clock.at
            await clock.pass_by(seconds)
            turns.append((began, clock.at))

    await asyncio.gather(work(1), work(2), work(0.5))
    assert turns == [(100, 101), (104, 106), (112, 112.5)]


async def test_who_comes_after_the_rest_waits_for_nothing() -> None:
    clock = _Clock()
    pace = Pace(3, now=clock.now, sleep=clock.pass_by)
    async with pace.turn():
        await clock.pass_by(1)
    await clock.pass_by(5)
    async with pace.turn():
        assert clock.at == 106


async def test_a_turn_that_fails_or_is_broken_off_is_over() -> None:
    clock = _Clock()
    pace = Pace(1, now=clock.now, sleep=clock.pass_by)

    async def fail() -> None:
        async with pace.turn():
            await clock.pass_by(2)
            raise ValueError("no such cut")

    with pytest.raises(ValueError, match="no such cut"):
        await fail()
    waiting = asyncio.create_task(pace.turn().__aenter__())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    async with pace.turn():
        assert clock.at == 104
