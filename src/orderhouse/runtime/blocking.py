"""The way from a thread that blocks into the event loop, which owns the databases."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from orderhouse.kernel.errors import Unavailable

R = TypeVar("R")

_LONGEST_S = 30.0
"""Whatever is asked has a shorter deadline of its own; this one is for a loop that has stopped."""


class Bridge:
    """Lets threads wait for what only the event loop can do."""

    def __init__(self) -> None:
        """Lead nowhere until a loop was entered."""
        self._loop: asyncio.AbstractEventLoop | None = None

    def enter(self) -> None:
        """Lead into the loop that is running here."""
        self._loop = asyncio.get_running_loop()

    def __call__(self, coroutine: Coroutine[Any, Any, R]) -> R:
        """Return what `coroutine` comes to in the loop, or raise what it raises; Unavailable when the loop stopped."""
        loop = self._loop
        if loop is None or loop.is_closed():
            coroutine.close()
            raise Unavailable("The server is not running.")
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        try:
            return future.result(_LONGEST_S)
        except TimeoutError:
            if future.done():
                raise  # It is what was asked that took too long, and says so itself.
            future.cancel()
            raise Unavailable from None
