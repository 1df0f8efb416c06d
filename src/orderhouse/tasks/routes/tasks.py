"""Tasks over HTTP."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from orderhouse.kernel.clock import as_text, text_or_none
from orderhouse.kernel.pages import CursorInvalid, PagesDoNotCombine
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web import links
from orderhouse.runtime.web.answers import done, etag, json_answer, unchanged
from orderhouse.runtime.web.fastapi_edge import Edge, IfMatch, IfMatchMaybe, IfNoneMatch, Once, needs
from orderhouse.tasks import reads
from orderhouse.tasks.errors import StatusNotAllowed, TaskMovedOn, TaskNotFound, TimeZoneUnknown
from orderhouse.tasks.models.tasks import TaskState
from orderhouse.tasks.schemas.rules import RULES
from orderhouse.tasks.schemas.shared import TASKS, Target, path_of
from orderhouse.tasks.schemas.tasks import AddTask, Change, ChangeTask, ListTasks, TaskOut, TaskPage
from orderhouse.tasks.service.tasks import TaskService

_REFUSED_CHANGES = (TaskNotFound, TaskMovedOn, StatusNotAllowed, TimeZoneUnknown)


def routes(edge: Edge, database: Database, service: TaskService) -> APIRouter:
    """Return the tasks' routes."""
    router = edge.router(TASKS, "tasks")

    @router.post("", status_code=201, response_model=TaskOut, **needs("tasks:write", TimeZoneUnknown, key=True))
    async def add_task(wanted: AddTask, once: Once) -> Answer:
        """Add a task."""
        return await once(service.add, wanted, answer=_created)

    @router.get("", response_model=TaskPage, **needs("tasks:read", CursorInvalid, PagesDoNotCombine))
    async def list_tasks(wanted: Annotated[ListTasks, Query()]) -> Answer:
        """List tasks, a page at a time, by cursor or by offset; the latest first."""
        page = await database.read(reads.page, wanted)
        return json_answer(
            {
                "items": [shown(task) for task in page.tasks],
                "next": page.next,
                "total": page.total,
                "links": links.of_page(TASKS, wanted, page.next),
            }
        )

    @router.get(
        "/{task_id}",
        response_model=TaskOut,
        **needs("tasks:read", TaskNotFound),
    )
    async def get_task(task_id: UUID, unless: IfNoneMatch) -> Answer:
        """Get a task."""
        task = await database.read(reads.one, task_id)
        if task is None:
            raise TaskNotFound
        return unchanged(etag(task.version), unless) or json_answer(shown(task), etag(task.version))

    @router.patch("/{task_id}", response_model=TaskOut, **needs("tasks:write", *_REFUSED_CHANGES))
    async def change_task(task_id: UUID, wanted: ChangeTask, match: IfMatch, once: Once) -> Answer:
        """Change what the body names about a task; null takes away."""
        return await once(service.change, Change(task_id, wanted, match), answer=_changed)

    @router.put("/{task_id}", response_model=TaskOut, **needs("tasks:write", *_REFUSED_CHANGES))
    async def replace_task(task_id: UUID, wanted: AddTask, match: IfMatch, once: Once) -> Answer:
        """Replace all that may be said of a task; what the body leaves out goes back to its default."""
        return await once(service.change, Change(task_id, wanted, match), answer=_changed)

    @router.delete(
        "/{task_id}", status_code=204, response_model=None, **needs("tasks:remove", TaskNotFound, TaskMovedOn)
    )
    async def remove_task(task_id: UUID, match: IfMatchMaybe, once: Once) -> Answer:
        """Remove a task, with all that belongs to it."""
        return await once(service.remove, Target(task_id, match), answer=done)

    return router


def _created(task: TaskState) -> Answer:
    return json_answer(shown(task), ("location", path_of(task.id)), etag(task.version), status=201)


def _changed(task: TaskState) -> Answer:
    return json_answer(shown(task), etag(task.version))


def shown(task: TaskState) -> dict[str, Any]:
    """Return a task as it is shown."""
    own = path_of(task.id)
    ways = {"self": own, "comments": f"{own}/comments", "checklist": f"{own}/checklist", "history": f"{own}/history"}
    if task.order_id is not None:
        ways["order"] = f"/v1/orders/{task.order_id}"
    if task.rule_id is not None:
        ways["rule"] = f"{RULES}/{task.rule_id}"
    if task.customer_id is not None:
        ways["customer"] = f"/v1/customers/{task.customer_id}"
    return {
        "id": task.id,
        "title": task.title,
        "description": task.description,
        "status": task.status,
        "priority": task.priority,
        "tags": task.tags,
        "assigned_to": task.assigned_to,
        "watchers": task.watchers,
        "due_on": task.due_on,
        "time_zone": task.time_zone,
        "due_at": text_or_none(task.due_at),
        "remind_hours_before": task.remind_hours_before,
        "order_id": task.order_id,
        "customer_id": task.customer_id,
        "rule_id": task.rule_id,
        "created_by": task.created_by,
        "version": task.version,
        "created_at": as_text(task.created_at),
        "updated_at": as_text(task.updated_at),
        "closed_at": text_or_none(task.closed_at),
        "links": ways,
    }
