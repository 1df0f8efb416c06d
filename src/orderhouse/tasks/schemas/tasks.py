"""Tasks on the wire."""

from datetime import date
from typing import Annotated, Any, Literal, NamedTuple, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from orderhouse.kernel.pages import COUNTED_TO, LARGEST_OFFSET, LARGEST_PAGE, USUAL_PAGE, Cursor, Offset
from orderhouse.kernel.text import InstantText, Line, Lines, QueryInstant
from orderhouse.tasks.contract import TaskPriority, TaskStatus
from orderhouse.tasks.schemas.shared import ID, IdOut, Links, Schema, Title, Who

N = TypeVar("N", str, int)


def _day(value: object) -> object:
    # A number would be taken for seconds since 1970, and a text with a time for its day.
    if isinstance(value, str) and len(value) == len("2026-12-01"):
        return value
    raise ValueError("must be a day, such as 2026-12-01")


def _each_once(names: list[N]) -> list[N]:
    if len(set(names)) < len(names):
        raise ValueError("names something twice")
    return sorted(names)


# JSON Schema bounds no dates: the pattern says what the bounds do.
_CENTURIES = {"pattern": r"^(19|2[01])\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"}
_UNIQUE: dict[str, Any] = {"uniqueItems": True}

Description = Annotated[Lines, Field(max_length=4000, examples=["The parcel came back twice."])]
Tag = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", examples=["returns"])]
Tags = Annotated[
    list[Tag],
    Field(max_length=20, examples=[["returns"]], json_schema_extra=_UNIQUE),
    AfterValidator(_each_once),
]
Watchers = Annotated[
    list[Who],
    Field(max_length=50, examples=[["clerk-8"]], json_schema_extra=_UNIQUE),
    AfterValidator(_each_once),
]
Day = Annotated[
    date,
    Field(
        strict=False, ge=date(1900, 1, 1), le=date(2199, 12, 31), examples=["2026-12-01"], json_schema_extra=_CENTURIES
    ),
    BeforeValidator(_day),
]
HoursBefore = Annotated[int, Field(ge=0, le=8760, examples=[24])]
Reminders = Annotated[
    list[HoursBefore],
    Field(
        max_length=5,
        examples=[[24, 1]],
        json_schema_extra=_UNIQUE,
        description="How many hours before the due date ends somebody is to be reminded.",
    ),
    AfterValidator(_each_once),
]
TimeZone = Annotated[
    str,
    Field(
        min_length=1,
        max_length=64,
        pattern="^[A-Za-z0-9_+/-]*$",
        examples=["Europe/London"],
        description="Whose day the due date is (IANA); the shop's if left out.",
    ),
]
Id = Annotated[UUID, Field(strict=False, examples=[ID])]


class AddTask(Schema):
    """A task. Sent by PUT it is all of the task: what is left out goes back to its default."""

    title: Title
    description: Description = ""
    status: TaskStatus = "pending"
    priority: TaskPriority = "medium"
    tags: Tags = Field(default_factory=list)
    assigned_to: Who | None = Field(None, description="Who is to do it.")
    watchers: Watchers = Field(default_factory=list, description="Who wants to know what becomes of it.")
    due_on: Day | None = Field(None, description="The last day for it; it is overdue when that day has ended.")
    time_zone: TimeZone | None = None
    remind_hours_before: Reminders = Field(default_factory=list)
    order_id: Id | None = Field(None, description="The order it is about.")
    customer_id: Id | None = Field(None, description="The customer it is about.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "title": "Call about the address",
                    "priority": "high",
                    "tags": ["returns"],
                    "due_on": "2026-12-01",
                    "time_zone": "Europe/London",
                }
            ]
        }
    )


class ChangeTask(Schema):
    """What is to change about a task, as a JSON merge patch: what is left out stays, null takes away."""

    # Never seen: what is left out stays, and what is given is one of these.
    title: Title = Field(default_factory=str)
    description: Description = Field(default_factory=str)
    status: TaskStatus = Field(default_factory=lambda: "pending")
    priority: TaskPriority = Field(default_factory=lambda: "medium")
    tags: Tags = Field(default_factory=list)
    assigned_to: Who | None = None
    watchers: Watchers = Field(default_factory=list)
    due_on: Day | None = None
    time_zone: TimeZone = Field(default_factory=str)
    remind_hours_before: Reminders = Field(default_factory=list)
    order_id: Id | None = None
    customer_id: Id | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "in_progress", "assigned_to": "clerk-7"}]})


class Change(NamedTuple):
    """What one task is to become, in part or in whole, at the version the caller last saw."""

    task_id: UUID
    wanted: ChangeTask | AddTask
    version: int


class TaskOut(Schema):
    """A task."""

    id: IdOut
    title: str = Field(examples=["Call about the address"])
    description: str
    status: TaskStatus
    priority: TaskPriority
    tags: list[str] = Field(examples=[["returns"]])
    assigned_to: str | None = Field(examples=["clerk-7"])
    watchers: list[str] = Field(examples=[["clerk-8"]])
    due_on: str | None = Field(examples=["2026-12-01"])
    time_zone: str = Field(examples=["Europe/London"])
    due_at: InstantText | None = Field(description="When that day ends.")
    remind_hours_before: list[int] = Field(examples=[[1, 24]])
    order_id: IdOut | None
    customer_id: IdOut | None
    rule_id: IdOut | None = Field(description="The rule that raised it, if one did.")
    created_by: str = Field(examples=["clerk-7"])
    version: int = Field(examples=[1], description="Counts its changes; also its ETag.")
    created_at: InstantText
    updated_at: InstantText
    closed_at: InstantText | None = Field(description="Since when it is completed or cancelled.")
    links: Links


class TaskPage(Schema):
    """A page of tasks."""

    items: list[TaskOut]
    next: str | None = Field(description="The cursor of the next page; null on the last.")
    total: int | None = Field(
        description=f"How many there are, counted to {COUNTED_TO} and no further; null on pages by cursor."
    )
    links: dict[str, str] = Field(
        description="Itself, and the next page unless it is the last.", examples=[{"self": "/v1/tasks?limit=50"}]
    )


class ListTasks(BaseModel):
    """Which tasks, in which order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    search: Line | None = Field(
        None, max_length=100, description="Words that begin words of titles or descriptions, each of them."
    )
    status: TaskStatus | None = None
    open: Literal["true", "false"] | None = Field(None, description="Only what is still to be done, or no longer.")
    priority: TaskPriority | None = None
    tag: Tag | None = None
    assigned_to: Line | None = Field(None, max_length=128, description="Who is to do it, or none: nobody yet.")
    watcher: Line | None = Field(None, max_length=128, description="Who wants to know.")
    order_id: UUID | None = None
    customer_id: UUID | None = None
    rule_id: UUID | None = Field(None, description="The rule that raised it.")
    due_before: QueryInstant | None = Field(None, description="Due earlier; with open=true and now: overdue.")
    sort: Literal["-created_at", "created_at", "due", "priority"] = Field(
        "-created_at", description="Which comes first. By priority: the most urgent, then what is due first."
    )
    limit: int = Field(USUAL_PAGE, ge=1, le=LARGEST_PAGE, description="How many to a page.")
    cursor: Cursor | None = None
    offset: Offset | None = Field(
        None, description=f"How many to pass over, at most {LARGEST_OFFSET}; instead of a cursor."
    )
