"""Checklists on the wire."""

from typing import Annotated, NamedTuple
from uuid import UUID

from pydantic import ConfigDict, Field

from orderhouse.kernel.text import InstantText
from orderhouse.tasks.schemas.shared import IdOut, Links, Schema, Title

ITEMS = "/v1/checklist-items"

MOST_ITEMS = 100
"""How many items a checklist holds: it is shown whole."""

ItemText = Annotated[Title, Field(examples=["Ask for the floor"])]


class AddItem(Schema):
    """An item of a checklist."""

    text: ItemText
    done: bool = False

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "Ask for the floor"}]})


class ChangeItem(Schema):
    """What is to change about an item, as a JSON merge patch: what is left out stays."""

    # Never seen: what is left out stays, and what is given is one of these.
    text: ItemText = Field(default_factory=str)
    done: bool = Field(default_factory=bool)

    model_config = ConfigDict(json_schema_extra={"examples": [{"done": True}]})


class NewItem(NamedTuple):
    """An AddItem for one task."""

    task_id: UUID
    wanted: AddItem


class ItemChange(NamedTuple):
    """A ChangeItem for one item, at the version the caller last saw."""

    id: UUID
    wanted: ChangeItem
    version: int


class ItemOut(Schema):
    """An item of a checklist."""

    id: IdOut
    task_id: IdOut
    text: str = Field(examples=["Ask for the floor"])
    done: bool
    version: int = Field(examples=[1], description="Counts its changes; also its ETag.")
    created_at: InstantText
    updated_at: InstantText
    links: Links


class ChecklistOut(Schema):
    """A task's checklist, in the order of adding."""

    items: list[ItemOut]
    done: int = Field(examples=[1], description="How many of them are done.")
