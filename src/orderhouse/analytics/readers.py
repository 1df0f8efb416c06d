"""Brings the orders' facts to the projection."""

import asyncio
from collections.abc import Sequence

from orderhouse.analytics.changes import Changes
from orderhouse.analytics.projection import Projection
from orderhouse.kernel.events import Fact
from orderhouse.orders import contract
from orderhouse.runtime.readers import each_once
from orderhouse.runtime.registry import Kinds

READS = {"orders": contract.FACTS}
"""Whose facts, and which of them."""

_KINDS = Kinds("orders", contract.FACT_KINDS)
_SOME = 250
"""How many facts are looked at before others have their turn: a millisecond's worth."""


class ProjectionSink:
    """The projection as what follows a log."""

    name = "analytics.orders"

    def __init__(self, projection: Projection) -> None:
        """Fill `projection`."""
        self._projection = projection

    async def position(self) -> int:
        """Return the position of the last fact applied."""
        return self._projection.position()

    async def take(self, facts: Sequence[Fact]) -> None:
        """Apply `facts`. FactsMissing at a gap.

        What they come to is told here, some at a time, and the file is written in a thread: one that computed would
        take the interpreter from the event loop again and again.
        """
        told = each_once(facts)
        while not await asyncio.to_thread(self._projection.keep, await self._folded(told)):
            pass  # The file was made anew meanwhile, and may hold some of them.

    async def _folded(self, told: Sequence[Fact]) -> Changes:
        changes = Changes(self._projection.position())
        for some in range(0, len(told), _SOME):
            # Their data is not looked at: what is not of its schema would break the statement, and nothing is parked.
            changes.add(map(_KINDS.upcast, told[some : some + _SOME]))
            await asyncio.sleep(0)
        return changes

    async def idle(self) -> bool:
        """Do nothing: everything is applied at once."""
        return False
