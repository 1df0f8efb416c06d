"""The direct transport: a neighbour's log is read in the same process, through its database."""

import asyncio
from collections.abc import Sequence

from orderhouse.kernel.events import Fact
from orderhouse.runtime import facts
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.database.transaction import Reading
from orderhouse.runtime.waiting import rung

_SOME = 200
"""How many facts are read before others have their turn: a millisecond's worth."""


class Recent:
    """The latest facts of a log as they were read: who follows it a little later need not ask for them again."""

    MOST = 4000
    """How many are remembered, or a quarter more: followers rest, and are not far from each other."""

    def __init__(self) -> None:
        """Remember none."""
        self._facts: list[Fact] = []

    def behind(self, after: int, limit: int) -> Sequence[Fact]:
        """Return up to `limit` facts behind position `after`, in order; none where the first of them is not here."""
        if not self._facts or after < self._facts[0].position - 1:
            return ()
        start = after + 1 - self._facts[0].position
        return self._facts[start : start + limit]

    def add(self, read: Sequence[Fact]) -> None:
        """Remember what was read, where it goes on or is later than what is here; facts never change."""
        if not self._facts or read[0].position > self._facts[-1].position + 1:
            self._facts = list(read)
        else:
            self._facts += read[self._facts[-1].position + 1 - read[0].position :]
        if len(self._facts) > self.MOST * 5 // 4:
            del self._facts[: -self.MOST]


class DirectSource:
    """The log of one context, read where it was written."""

    def __init__(self, database: Database, recent: Recent | None = None) -> None:
        """Read the log of `database`; who shares `recent` reads every fact once among them."""
        self.name = database.name
        self._database = database
        self._recent = recent or Recent()
        self._bell = database.bell()

    async def read(self, after: int, limit: int) -> Sequence[Fact]:
        """Return up to `limit` facts behind position `after`, in order."""
        self._bell.clear()
        found = list(self._recent.behind(after, limit))
        more = len(found) < limit and await self._database.read(_more, found[-1].position if found else after)
        while more:
            # Some at a time, right here: a thread that decoded all of them would take the interpreter from the event
            # loop again and again, and the loop itself would do nothing else meanwhile.
            some = min(_SOME, limit - len(found))
            read = await self._database.read(facts.read, found[-1].position if found else after, some)
            if read:
                self._recent.add(read)
                found += read
                await asyncio.sleep(0)
            more = len(read) == some and len(found) < limit
        return found

    async def wait(self, seconds: float) -> None:
        """Wait until this process told facts, or for `seconds`: another process that writes here rings no bell."""
        await rung(self._bell, seconds)


def _more(log: Reading, after: int) -> bool:
    return facts.head(log) > after
