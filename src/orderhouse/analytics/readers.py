"""Brings the orders' facts to the projection."""

import asyncio
from collections.abc import Sequence

from orderhouse.analytics.projection import Projection
from orderhouse.kernel.events import Fact
from orderhouse.orders import contract
from orderhouse.runtime.readers import each_once
from orderhouse.runtime.registry import Kinds

READS = {"orders": contract.FACTS}
"""Whose facts, and which of them."""

_KINDS = Kinds("orders", contract.FACT_KINDS)


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
        """Apply `facts` in a thread: the file is written there, and the event loop goes on. FactsMissing at a gap."""
        await asyncio.to_thread(self._apply, facts)

    def _apply(self, facts: Sequence[Fact]) -> None:
        # Their data is not looked at: what is not of its schema would break the statement, and nothing is parked here.
        self._projection.apply([_KINDS.upcast(fact) for fact in each_once(facts)])

    async def idle(self) -> bool:
        """Do nothing: everything is applied at once."""
        return False
