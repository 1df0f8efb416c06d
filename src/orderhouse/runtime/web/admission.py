"""Who is let in to write while the queue of writes is full.

What is spent on who is turned away is missing where the work is done. So a request is turned away before it is read;
and it waits a moment for a place first, which costs nothing and keeps those who come again at once from doing so.
"""

import asyncio

from orderhouse.runtime.database.database import Database
from orderhouse.runtime.database.errors import DatabaseBusy


class Admission:
    """The places before one database, and beside its queue."""

    WAIT_S = 0.5
    MOST = 4096
    """How many wait at once at most: each of them holds a connection, and some memory."""

    def __init__(self, database: Database) -> None:
        """Let in to write to `database`."""
        self._database = database
        self._beside = 0

    @property
    def full(self) -> bool:
        """Whether one has to wait."""
        return self._database.full

    async def wait(self) -> None:
        """Wait for a place; DatabaseBusy when there is none after half a second, or too many wait already."""
        if self._beside >= self.MOST:
            raise DatabaseBusy
        self._beside += 1
        try:
            await asyncio.sleep(self.WAIT_S)
        finally:
            self._beside -= 1
        if self.full:
            raise DatabaseBusy
