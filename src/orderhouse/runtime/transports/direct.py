"""The direct transport: a neighbour's log is read in the same process, through its database."""

import asyncio
from collections.abc import Sequence

from orderhouse.kernel.events import Fact
from orderhouse.runtime import facts
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.database.transaction import Reading


class DirectSource:
    """The log of one context, read where it was written."""

    def __init__(self, database: Database) -> None:
        """Read the log of `database`."""
        self.name = database.name
        self._database = database
        self._bell = database.bell()

    async def read(self, after: int, limit: int) -> Sequence[Fact]:
        """Return up to `limit` facts behind position `after`, in order."""
        self._bell.clear()
        if not await self._database.read(_more, after):
            return ()
        return await self._database.scan(facts.read, after, limit)

    async def wait(self, seconds: float) -> None:
        """Wait until this process told facts, or for `seconds`: another process that writes here rings no bell."""
        try:
            async with asyncio.timeout(seconds):
                await self._bell.wait()
        except TimeoutError:
            pass


def _more(log: Reading, after: int) -> bool:
    return facts.head(log) > after
