"""Comments over HTTP."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from orderhouse.kernel.clock import as_text
from orderhouse.kernel.pages import CursorInvalid
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web import links
from orderhouse.runtime.web.answers import done, etag, json_answer, unchanged
from orderhouse.runtime.web.fastapi_edge import Edge, IfMatch, IfMatchMaybe, IfNoneMatch, Once, needs
from orderhouse.tasks import reads
from orderhouse.tasks.errors import CommentMovedOn, CommentNotFound, CommentNotYours, TaskNotFound
from orderhouse.tasks.models.comments import CommentState
from orderhouse.tasks.schemas.comments import COMMENTS, AddComment, CommentChange, CommentOut, CommentPage, NewComment
from orderhouse.tasks.schemas.shared import ListParts, Target, path_of
from orderhouse.tasks.service.comments import CommentService

_OF_A_TASK = path_of("{task_id}") + "/comments"


def routes(edge: Edge, database: Database, service: CommentService) -> APIRouter:
    """Return the comments' routes."""
    router = edge.router("", "tasks")

    @router.post(_OF_A_TASK, status_code=201, response_model=CommentOut, **needs("tasks:write", TaskNotFound, key=True))
    async def add_comment(task_id: UUID, wanted: AddComment, once: Once) -> Answer:
        """Say something about a task."""
        return await once(service.add, NewComment(task_id, wanted), answer=_created)

    @router.get(_OF_A_TASK, response_model=CommentPage, **needs("tasks:read", TaskNotFound, CursorInvalid))
    async def list_comments(task_id: UUID, wanted: Annotated[ListParts, Query()]) -> Answer:
        """List what was said about a task, a page at a time, the first first."""
        page = await database.read(reads.comments, task_id, wanted)
        if page is None:
            raise TaskNotFound
        return json_answer(
            {
                "items": [_shown(comment) for comment in page.items],
                "next": page.next,
                "links": links.of_page(f"{path_of(task_id)}/comments", wanted, page.next),
            }
        )

    @router.get(
        f"{COMMENTS}/{{comment_id}}",
        response_model=CommentOut,
        **needs("tasks:read", CommentNotFound),
    )
    async def get_comment(comment_id: UUID, unless: IfNoneMatch) -> Answer:
        """Get a comment."""
        comment = await database.read(reads.comment, comment_id)
        if comment is None:
            raise CommentNotFound
        return unchanged(etag(comment.version), unless) or json_answer(_shown(comment), etag(comment.version))

    @router.patch(
        f"{COMMENTS}/{{comment_id}}",
        response_model=CommentOut,
        **needs("tasks:write", CommentNotFound, CommentMovedOn, CommentNotYours),
    )
    async def change_comment(comment_id: UUID, wanted: AddComment, match: IfMatch, once: Once) -> Answer:
        """Say it differently; only who said it may."""
        return await once(service.change, CommentChange(comment_id, wanted, match), answer=_changed)

    @router.delete(
        f"{COMMENTS}/{{comment_id}}",
        status_code=204,
        response_model=None,
        **needs("tasks:write", CommentNotFound, CommentMovedOn, CommentNotYours),
    )
    async def remove_comment(comment_id: UUID, match: IfMatchMaybe, once: Once) -> Answer:
        """Remove a comment; who said it may, and whoever may remove tasks."""
        return await once(service.remove, Target(comment_id, match), answer=done)

    return router


def _created(comment: CommentState) -> Answer:
    return json_answer(_shown(comment), ("location", f"{COMMENTS}/{comment.id}"), etag(comment.version), status=201)


def _changed(comment: CommentState) -> Answer:
    return json_answer(_shown(comment), etag(comment.version))


def _shown(comment: CommentState) -> dict[str, Any]:
    return {
        "id": comment.id,
        "task_id": comment.task_id,
        "text": comment.text,
        "author": comment.author,
        "version": comment.version,
        "created_at": as_text(comment.created_at),
        "updated_at": as_text(comment.updated_at),
        "links": {"self": f"{COMMENTS}/{comment.id}", "task": path_of(comment.task_id)},
    }
