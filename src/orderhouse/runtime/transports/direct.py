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


class DirectSource:
    """The log of one context, read where it was written."""

    def __init__(self, database: Database) -> None:
        """Read the log of `database`; all who follow it here read a fact once among them, or never if it is ours."""
        self.name = database.name
        self._database = database
        self._recent = database.recent()
        self._bell = database.bell()

    async def read(self, after: int, limit: int) -> Sequence[Fact]:
        """Return up to `limit` facts behind position `after`, in order."""
        self._bell.clear()
        found = self._recent.behind(after, limit)
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
        """Wait until facts were told, or for `seconds`; longer while other processes are heard too."""
        await rung(self._bell, self._database.patience_s(seconds))


def _more(log: Reading, after: int) -> bool:
    return facts.head(log) > after
