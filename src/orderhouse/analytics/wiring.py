"""Puts analytics together."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter

from orderhouse.analytics import routes
from orderhouse.analytics.projection import Projection
from orderhouse.analytics.readers import ProjectionSink
from orderhouse.analytics.service import SalesService
from orderhouse.customers.contract import CustomerDirectory
from orderhouse.kernel.ids import new_id
from orderhouse.runtime.readers import Follower, Source
from orderhouse.runtime.web.fastapi_edge import Edge

# A commit of the file costs the same for one fact and for a thousand, and the disk is the orders' as well. Who asks for
# figures wakes the follower, so a rest makes nothing stale that anybody sees.
BATCH = 2000
REST_S = 0.5


@dataclass(frozen=True, slots=True)
class Analytics:
    """Analytics over its file."""

    projection: Projection
    service: SalesService
    sink: ProjectionSink
    follower: Follower
    """What brings the orders' facts; it is to be run."""
    source: Source
    opened_anew: Callable[[str], Projection]
    """Opens an empty projection beside this one, in a file whose name ends so."""

    @classmethod
    def opened(cls, file: Path, source: Source, *, time_zone: str, memory_mb: int, threads: int) -> "Analytics":
        """Open `file`, to be filled from `source`, the orders' log."""
        for left in file.parent.glob(f"{file.stem}-anew-*"):
            left.unlink(missing_ok=True)

        def opened_anew(end: str) -> Projection:
            return Projection(file.with_name(f"{file.stem}-anew-{end}"), memory_mb=memory_mb, threads=threads)

        projection = Projection(file, memory_mb=memory_mb, threads=threads)
        sink = ProjectionSink(projection)
        follower = Follower(source, sink, batch=BATCH, rest_s=REST_S)
        return cls(projection, SalesService(projection, time_zone), sink, follower, source, opened_anew)

    def routes(self, edge: Edge, directory: CustomerDirectory) -> APIRouter:
        """Return its part of the API; `directory` is asked for customers' names."""
        return routes.routes(edge, self.service, self.follower, directory)

    async def rebuild(self, told: Callable[[int], object] = lambda _: None) -> int:
        """Make the projection anew from all facts and go on with it; return how many they are.

        The one there is serves meanwhile. Called off at any time, it leaves nothing behind.
        """
        made = await asyncio.to_thread(self.opened_anew, f"{new_id()}.duckdb")
        try:
            while True:
                facts = await self.source.read(made.position(), BATCH)
                if facts:
                    await asyncio.to_thread(made.apply, facts)
                    told(made.position())
                elif await asyncio.to_thread(self.projection.replace_by, made):
                    return made.position()
        except BaseException:
            await asyncio.to_thread(made.remove)
            raise

    async def close(self) -> None:
        """Close the file."""
        await asyncio.to_thread(self.projection.close)
