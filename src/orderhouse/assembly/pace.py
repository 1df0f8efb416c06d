"""Work that gives way to whoever waits for an answer."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager


class Pace:
    """Lets in one at a time, and after each nobody for `rest` times as long as that one took.

    On a busy machine a turn takes longer, and so does the rest: the busier others are, the more is left to them.
    """

    def __init__(
        self,
        rest: float,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Rest so many times as long as a turn took; `now` and `sleep` count seconds."""
        self._rest = rest
        self._now = now
        self._sleep = sleep
        self._turn = asyncio.Lock()
        self._rested_at = 0.0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait until it is one's turn, and have it."""
        async with self._turn:
            if (left_s := self._rested_at - self._now()) > 0:
                await self._sleep(left_s)
            began = self._now()
            try:
                yield
            finally:
                ended = self._now()
                self._rested_at = ended + (ended - began) * self._rest
