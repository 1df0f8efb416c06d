"""Waiting: for a bell, no longer than so, and after failures, ever longer."""

import asyncio

from orderhouse.kernel.errors import Unavailable
from orderhouse.runtime.database.errors import StillRunning

PASSING = (Unavailable, StillRunning)
"""What passes by itself: whoever can wait tries again."""

_LONGEST_S = 2.0


def pause_s(failures: int, first_s: float = 0.1) -> float:
    """Return how long to rest after so many failures in a row: doubling, so that who comes back is noticed soon."""
    return min(_LONGEST_S, first_s * (1 << min(failures - 1, 10)))


async def rung(bell: asyncio.Event, within_s: float) -> bool:
    """Wait until `bell` rings, at most so long; return whether it did."""
    try:
        async with asyncio.timeout(within_s):
            await bell.wait()
    except TimeoutError:
        return False
    return True
