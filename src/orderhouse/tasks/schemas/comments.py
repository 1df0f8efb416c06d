"""Comments on the wire."""

from typing import Annotated, NamedTuple
from uuid import UUID

from pydantic import Field

from orderhouse.kernel.text import InstantText, Lines
from orderhouse.tasks.schemas.shared import IdOut, Links, Schema

COMMENTS = "/v1/task-comments"

CommentText = Annotated[Lines, Field(min_length=1, max_length=4000, examples=["Called twice, nobody there."])]


class AddComment(Schema):
    """What somebody has to say about a task."""

    text: CommentText


class NewComment(NamedTuple):
    """An AddComment for one task."""

    task_id: UUID
    wanted: AddComment


class CommentChange(NamedTuple):
    """Another text for a comment, at the version the caller last saw."""

    id: UUID
    wanted: AddComment
    version: int


class CommentOut(Schema):
    """What somebody said about a task."""

    id: IdOut
    task_id: IdOut
    text: str
    author: str = Field(examples=["clerk-7"])
    version: int = Field(examples=[1], description="Counts its changes; also its ETag.")
    created_at: InstantText
    updated_at: InstantText
    links: Links


class CommentPage(Schema):
    """A page of comments."""

    items: list[CommentOut]
    next: str | None = Field(description="The cursor of the next page; null on the last.")
    links: Links
