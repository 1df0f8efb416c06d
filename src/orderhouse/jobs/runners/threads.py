"""Jobs in threads of the worker: for those that wait more than they compute."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue

from orderhouse.jobs.kind import Control, Surroundings
from orderhouse.jobs.runners.attempt import attempt
from orderhouse.jobs.service.claims import Claimed, Outcome


class ThreadRunner:
    """So many threads. They are daemons: a function that does not stop keeps its thread, and never the process."""

    def __init__(self, threads: int, surroundings: Callable[[], Surroundings]) -> None:
        """Run up to `threads` jobs at a time in `surroundings`, asked for in the event loop."""
        self._most = threads
        self._surroundings = surroundings
        self._threads = 0
        self._busy = 0
        self._work: SimpleQueue[Callable[[], None]] = SimpleQueue()

    @property
    def free(self) -> int:
        """How many more jobs it would run at once."""
        return self._most - self._busy

    def start(self, claimed: Claimed, control: Control) -> "asyncio.Future[Outcome]":
        """Run a job; the future holds what it came to."""
        loop, surroundings = asyncio.get_running_loop(), self._surroundings()
        future: asyncio.Future[Outcome] = loop.create_future()

        def ended(outcome: Outcome) -> None:
            self._busy -= 1
            if not future.done():
                future.set_result(outcome)

        def work() -> None:
            outcome = attempt(claimed, control, surroundings)
            if not loop.is_closed():
                loop.call_soon_threadsafe(ended, outcome)

        self._busy += 1
        if self._busy > self._threads:
            self._threads += 1
            threading.Thread(target=self._run, name="job", daemon=True).start()
        self._work.put(work)
        return future

    def _run(self) -> None:
        while True:
            self._work.get()()
