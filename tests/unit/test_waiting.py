"""Waiting: pauses that grow, and bells."""

import asyncio

import pytest

from orderhouse.runtime.waiting import pause_s, rung


def test_pauses_double_up_to_two_seconds_however_many_failures() -> None:
    assert [pause_s(failures) for failures in (1, 2, 3, 4, 5, 6, 10_000)] == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert pause_s(1, first_s=0.2) == 0.2


@pytest.mark.anyio
async def test_a_bell_is_waited_for_and_no_longer_than_so() -> None:
    bell = asyncio.Event()
    assert not await rung(bell, 0.01)
    asyncio.get_running_loop().call_soon(bell.set)
    assert await rung(bell, 60)
