"""The way from a thread that blocks into the event loop, which owns the databases."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from orderhouse.kernel.errors import Unavailable
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.database.transaction import Reading, Work

A = TypeVar("A")
P = ParamSpec("P")
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


class BlockingDatabase:
    """A context's database, for threads that block: what they do goes through the same lanes as everything else."""

    def __init__(self, database: Database, bridge: Bridge) -> None:
        """Ask and write `database` through `bridge`."""
        self._database = database
        self._bridge = bridge

    def read(self, question: Callable[Concatenate[Reading, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the answer of a question that takes a millisecond or less."""
        return self._bridge(self._database.read(question, *args, **kwargs))

    def write(self, work: Work[A, R], asked: A) -> R:
        """Return what `work` decided of `asked`, durably; raise its refusal."""
        return self._bridge(self._database.write(work, asked))
