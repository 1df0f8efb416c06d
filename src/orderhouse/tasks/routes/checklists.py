"""Checklists over HTTP."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter

from orderhouse.kernel.clock import as_text
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web.answers import done, etag, json_answer, unchanged
from orderhouse.runtime.web.fastapi_edge import Edge, IfMatch, IfMatchMaybe, IfNoneMatch, Once, needs
from orderhouse.tasks import reads
from orderhouse.tasks.errors import ChecklistFull, ItemMovedOn, ItemNotFound, TaskNotFound
from orderhouse.tasks.models.checklists import ItemState
from orderhouse.tasks.schemas.checklists import ITEMS, AddItem, ChangeItem, ChecklistOut, ItemChange, ItemOut, NewItem
from orderhouse.tasks.schemas.shared import Target, path_of
from orderhouse.tasks.service.checklists import ChecklistService

_OF_A_TASK = path_of("{task_id}") + "/checklist"


def routes(edge: Edge, database: Database, service: ChecklistService) -> APIRouter:
    """Return the checklists' routes."""
    router = edge.router("", "tasks")

    @router.post(
        _OF_A_TASK,
        status_code=201,
        response_model=ItemOut,
        **needs("tasks:write", TaskNotFound, ChecklistFull, key=True),
    )
    async def add_checklist_item(task_id: UUID, wanted: AddItem, once: Once) -> Answer:
        """Add an item to a task's checklist, behind the others."""
        return await once(service.add, NewItem(task_id, wanted), answer=_created)

    @router.get(_OF_A_TASK, response_model=ChecklistOut, **needs("tasks:read", TaskNotFound))
    async def get_checklist(task_id: UUID) -> Answer:
        """Get a task's checklist, whole."""
        items = await database.read(reads.checklist, task_id)
        if items is None:
            raise TaskNotFound
        return json_answer({"items": [_shown(item) for item in items], "done": sum(item.done for item in items)})

    @router.get(
        f"{ITEMS}/{{item_id}}",
        response_model=ItemOut,
        **needs("tasks:read", ItemNotFound),
    )
    async def get_checklist_item(item_id: UUID, unless: IfNoneMatch) -> Answer:
        """Get an item of a checklist."""
        item = await database.read(reads.item, item_id)
        if item is None:
            raise ItemNotFound
        return unchanged(etag(item.version), unless) or json_answer(_shown(item), etag(item.version))

    @router.patch(f"{ITEMS}/{{item_id}}", response_model=ItemOut, **needs("tasks:write", ItemNotFound, ItemMovedOn))
    async def change_checklist_item(item_id: UUID, wanted: ChangeItem, match: IfMatch, once: Once) -> Answer:
        """Tick an item off, or call it something else."""
        return await once(service.change, ItemChange(item_id, wanted, match), answer=_changed)

    @router.delete(
        f"{ITEMS}/{{item_id}}",
        status_code=204,
        response_model=None,
        **needs("tasks:write", ItemNotFound, ItemMovedOn),
    )
    async def remove_checklist_item(item_id: UUID, match: IfMatchMaybe, once: Once) -> Answer:
        """Remove an item from its checklist."""
        return await once(service.remove, Target(item_id, match), answer=done)

    return router


def _created(item: ItemState) -> Answer:
    return json_answer(_shown(item), ("location", f"{ITEMS}/{item.id}"), etag(item.version), status=201)


def _changed(item: ItemState) -> Answer:
    return json_answer(_shown(item), etag(item.version))


def _shown(item: ItemState) -> dict[str, Any]:
    return {
        "id": item.id,
        "task_id": item.task_id,
        "text": item.text,
        "done": item.done,
        "version": item.version,
        "created_at": as_text(item.created_at),
        "updated_at": as_text(item.updated_at),
        "links": {"self": f"{ITEMS}/{item.id}", "task": path_of(item.task_id)},
    }
