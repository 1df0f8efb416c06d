"""What happened to a task, on the wire."""

from typing import Any

from pydantic import Field

from orderhouse.kernel.text import InstantText
from orderhouse.tasks.schemas.shared import Links, Schema


class TaskHistoryOut(Schema):
    """Something that happened to a task."""

    sequence: int = Field(examples=[1])
    name: str = Field(examples=["TaskAdded"])
    at: InstantText
    actor: str = Field(examples=["clerk-7"])
    request_id: str
    data: dict[str, Any]


class TaskHistoryPage(Schema):
    """A page of what happened to a task."""

    items: list[TaskHistoryOut]
    next: str | None = Field(description="The cursor of the next page; null on the last.")
    links: Links
