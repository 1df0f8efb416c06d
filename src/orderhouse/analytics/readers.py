"""Brings the orders' facts to the projection."""

import asyncio
from collections.abc import Sequence

from orderhouse.analytics.projection import Projection
from orderhouse.kernel.events import Fact
from orderhouse.orders import contract

READS = {"orders": contract.FACTS}
"""Whose facts, and which of them."""


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
        """Apply `facts` in a thread: the file is written there, and the event loop goes on."""
        await asyncio.to_thread(self._projection.apply, facts)

    async def idle(self) -> bool:
        """Do nothing: everything is applied at once."""
        return False
