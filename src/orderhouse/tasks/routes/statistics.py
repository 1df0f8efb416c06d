"""How much there is to do, over HTTP."""

from fastapi import APIRouter

from orderhouse.kernel import clock
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web.answers import json_answer
from orderhouse.runtime.web.fastapi_edge import Edge, needs
from orderhouse.tasks import reads
from orderhouse.tasks.schemas.statistics import STATISTICS, StatisticsOut


def routes(edge: Edge, database: Database) -> APIRouter:
    """Return the route of the statistics."""
    router = edge.router(STATISTICS, "tasks")

    @router.get("", response_model=StatisticsOut, **needs("tasks:read"))
    async def get_task_statistics() -> Answer:
        """Say how much there is to do, how much of it is late, and who has the most of it."""
        # It counts all there is, which may take a while: beside the event loop.
        found = await database.scan(reads.statistics, clock.now())
        return json_answer(
            {
                "by_status": found.by_status,
                "open_by_priority": found.open_by_priority,
                "open": sum(found.open_by_priority.values()),
                "overdue": found.overdue,
                "unassigned": found.unassigned,
                "people": [{"assigned_to": who, "open": many, "overdue": late} for who, many, late in found.people],
            }
        )

    return router
