"""The timekeeper: sees to what is due. Tasks are raised and closed by it, and reminders told.

It sleeps until the first thing is due, which an index tells, or until a bell says that something may be due earlier;
what nobody rang for it sees at its next look. Several share the work.
"""

import asyncio

import structlog

from orderhouse.kernel import clock
from orderhouse.kernel.clock import Clock, Instant
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.waiting import PASSING, pause_s, rung
from orderhouse.tasks import reads
from orderhouse.tasks.contract import DeadLetters
from orderhouse.tasks.service.causes import CauseService

log = structlog.get_logger(__name__)


class Timekeeper:
    """Sees to what is due for as long as it runs."""

    POLL_S = 1.0
    """How long what another process made due may lie unseen."""
    LETTERS_US = 5_000_000
    """How often dead letters are looked at, which tell no facts."""

    def __init__(
        self,
        database: Database,
        bell: asyncio.Event,
        causes: CauseService,
        letters: DeadLetters | None,
        *,
        now: Clock = clock.now,
    ) -> None:
        """See to what is due in `database`, and look at `letters` where there are any; `bell` wakes it."""
        self._database = database
        self._bell = bell
        self._causes = causes
        self._letters = letters
        self._now = now
        self._looked_at: Instant = 0

    async def run(self) -> None:
        """See to what is due until cancelled; what fails is tried again, ever more slowly up to two seconds."""
        failures = 0
        while True:
            try:
                self._bell.clear()
                await self._rest(await self.turn())
                failures = 0
            except Exception as error:  # noqa: BLE001 - it outlives whatever its database or neighbours suffer
                failures += 1
                level = log.warning if isinstance(error, PASSING) else log.exception
                level("timekeeper_waits", failures=failures, error=type(error).__name__)
                await asyncio.sleep(pause_s(failures))

    async def turn(self) -> Instant | None:
        """See to all that is due now; return when something is due next, None for never."""
        await self._look_at_letters()
        while (due := await self._database.read(reads.next_due)) is not None and due <= self._now():
            if not await self._database.write(self._causes.tick, self._now()):
                break  # Somebody else is at it.
        return due

    async def _look_at_letters(self) -> None:
        now = self._now()
        if self._letters is None or now - self._looked_at < self.LETTERS_US:
            return
        found = await self._letters.dead()
        # Nearly always there are none, and were none: then nothing is written.
        if await self._database.read(reads.letters_differ, found):
            await self._database.write(self._causes.letters, found)
        self._looked_at = now

    async def _rest(self, due: Instant | None) -> None:
        wait_s = self.POLL_S
        if due is not None:
            wait_s = min(wait_s, max(0.05, (due - self._now()) / 1_000_000))
        await rung(self._bell, wait_s)
