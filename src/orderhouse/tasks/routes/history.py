"""What happened to a task, over HTTP."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from orderhouse.kernel.clock import as_text
from orderhouse.kernel.events import Fact
from orderhouse.kernel.pages import CursorInvalid
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web import links
from orderhouse.runtime.web.answers import json_answer
from orderhouse.runtime.web.fastapi_edge import Edge, needs
from orderhouse.tasks import reads
from orderhouse.tasks.errors import TaskNotFound
from orderhouse.tasks.schemas.history import TaskHistoryPage
from orderhouse.tasks.schemas.shared import TASKS, ListParts, path_of


def routes(edge: Edge, database: Database) -> APIRouter:
    """Return the route of a task's history."""
    router = edge.router(TASKS, "tasks")

    @router.get(
        "/{task_id}/history", response_model=TaskHistoryPage, **needs("tasks:read", TaskNotFound, CursorInvalid)
    )
    async def list_task_history(task_id: UUID, wanted: Annotated[ListParts, Query()]) -> Answer:
        """List what happened to a task, a page at a time, latest first."""
        page = await database.read(reads.history, task_id, wanted)
        if page is None:
            raise TaskNotFound
        return json_answer(
            {
                "items": [_happened(fact) for fact in page.items],
                "next": page.next,
                "links": links.of_page(f"{path_of(task_id)}/history", wanted, page.next),
            }
        )

    return router


def _happened(fact: Fact) -> dict[str, Any]:
    return {
        "sequence": fact.sequence,
        "name": fact.name,
        "at": as_text(fact.at),
        "actor": fact.origin.actor,
        "request_id": fact.origin.request_id,
        "data": fact.data,
    }
