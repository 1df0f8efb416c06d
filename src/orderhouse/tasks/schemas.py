"""What tasks looks like on the wire."""

from datetime import date
from typing import Annotated, Any, Literal, NamedTuple, TypeVar
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from orderhouse.kernel import money
from orderhouse.kernel.pages import COUNTED_TO, LARGEST_OFFSET, LARGEST_PAGE, USUAL_PAGE, Cursor, Offset
from orderhouse.kernel.text import NOT_BLANK, InstantText, Line, Lines, QueryInstant, not_blank
from orderhouse.tasks.contract import TaskPriority, TaskStatus

ID = "0197f0e2-7b7a-7c3a-9f52-6f1d2b3c4d5e"

TASKS = "/v1/tasks"
COMMENTS = "/v1/task-comments"
ITEMS = "/v1/checklist-items"
STATISTICS = "/v1/task-statistics"
RULES = "/v1/task-rules"


N = TypeVar("N", str, int)


def path_of(task_id: UUID | str) -> str:
    """Return where in the API a task is."""
    return f"{TASKS}/{task_id}"


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

Title = Annotated[
    Line,
    Field(min_length=1, max_length=200, examples=["Call about the address"], json_schema_extra=NOT_BLANK),
    AfterValidator(not_blank),
]
Description = Annotated[Lines, Field(max_length=4000, examples=["The parcel came back twice."])]
Tag = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$", examples=["returns"])]
Tags = Annotated[
    list[Tag],
    Field(max_length=20, examples=[["returns"]], json_schema_extra=_UNIQUE),
    AfterValidator(_each_once),
]
Who = Annotated[Line, Field(min_length=1, max_length=128, examples=["clerk-7"])]
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
IdOut = Annotated[str, Field(examples=[ID], json_schema_extra={"format": "uuid"})]
Links = Annotated[dict[str, str], Field(examples=[{"self": f"{TASKS}/{ID}"}])]


class _Schema(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class AddTask(_Schema):
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


class ChangeTask(_Schema):
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


class Target(NamedTuple):
    """A thing, at the version the caller last saw if it said so."""

    id: UUID
    version: int | None


class TaskOut(_Schema):
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


class TaskPage(_Schema):
    """A page of tasks."""

    items: list[TaskOut]
    next: str | None = Field(description="The cursor of the next page; null on the last.")
    total: int | None = Field(
        description=f"How many there are, counted to {COUNTED_TO} and no further; null on pages by cursor."
    )
    links: dict[str, str] = Field(
        description="Itself, and the next page unless it is the last.", examples=[{"self": "/v1/tasks?limit=50"}]
    )


# What belongs to a task

MOST_ITEMS = 100
"""How many items a checklist holds: it is shown whole."""

CommentText = Annotated[Lines, Field(min_length=1, max_length=4000, examples=["Called twice, nobody there."])]
ItemText = Annotated[Title, Field(examples=["Ask for the floor"])]


class AddComment(_Schema):
    """What somebody has to say about a task."""

    text: CommentText


class AddItem(_Schema):
    """An item of a checklist."""

    text: ItemText
    done: bool = False

    model_config = ConfigDict(json_schema_extra={"examples": [{"text": "Ask for the floor"}]})


class ChangeItem(_Schema):
    """What is to change about an item, as a JSON merge patch: what is left out stays."""

    # Never seen: what is left out stays, and what is given is one of these.
    text: ItemText = Field(default_factory=str)
    done: bool = Field(default_factory=bool)

    model_config = ConfigDict(json_schema_extra={"examples": [{"done": True}]})


class NewComment(NamedTuple):
    """An AddComment for one task."""

    task_id: UUID
    wanted: AddComment


class NewItem(NamedTuple):
    """An AddItem for one task."""

    task_id: UUID
    wanted: AddItem


class CommentChange(NamedTuple):
    """Another text for a comment, at the version the caller last saw."""

    id: UUID
    wanted: AddComment
    version: int


class ItemChange(NamedTuple):
    """A ChangeItem for one item, at the version the caller last saw."""

    id: UUID
    wanted: ChangeItem
    version: int


class CommentOut(_Schema):
    """What somebody said about a task."""

    id: IdOut
    task_id: IdOut
    text: str
    author: str = Field(examples=["clerk-7"])
    version: int = Field(examples=[1], description="Counts its changes; also its ETag.")
    created_at: InstantText
    updated_at: InstantText
    links: Links


class CommentPage(_Schema):
    """A page of comments."""

    items: list[CommentOut]
    next: str | None = Field(description="The cursor of the next page; null on the last.")
    links: Links


class ItemOut(_Schema):
    """An item of a checklist."""

    id: IdOut
    task_id: IdOut
    text: str = Field(examples=["Ask for the floor"])
    done: bool
    version: int = Field(examples=[1], description="Counts its changes; also its ETag.")
    created_at: InstantText
    updated_at: InstantText
    links: Links


class ChecklistOut(_Schema):
    """A task's checklist, in the order of adding."""

    items: list[ItemOut]
    done: int = Field(examples=[1], description="How many of them are done.")


class HistoryOut(_Schema):
    """Something that happened to a task."""

    sequence: int = Field(examples=[1])
    name: str = Field(examples=["TaskAdded"])
    at: InstantText
    actor: str = Field(examples=["clerk-7"])
    request_id: str
    data: dict[str, Any]


class HistoryPage(_Schema):
    """A page of what happened to a task."""

    items: list[HistoryOut]
    next: str | None = Field(description="The cursor of the next page; null on the last.")
    links: Links


class ListParts(BaseModel):
    """How much of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int = Field(USUAL_PAGE, ge=1, le=LARGEST_PAGE, description="How many to a page.")
    cursor: Cursor | None = None


# Rules

MOST_RULES = 50
"""How many rules there may be: each is asked about every order that may be a cause."""


def _currency(code: str) -> str:
    if code not in money.CURRENCIES:
        raise ValueError("must be a currency of ISO 4217, such as GBP")
    return code


def _amount(text: str) -> str:
    money.exact(text)
    return text


Currency = Annotated[
    str, AfterValidator(_currency), WithJsonSchema({"type": "string", "enum": list(money.CURRENCIES), "example": "GBP"})
]


class OrderOnHold(_Schema):
    """An order is on hold for so long."""

    kind: Literal["order_on_hold"]
    after_hours: int = Field(48, ge=0, le=8760, examples=[48])


class CreditOver(_Schema):
    """A credit over an amount was told of since there is the rule."""

    kind: Literal["credit_over"]
    amount: Annotated[
        str, Field(pattern=r"^\d{1,12}(\.\d{1,6})?$", max_length=19, examples=["500.00"]), AfterValidator(_amount)
    ]
    currency: Currency


class FactDead(_Schema):
    """A reader has given a fact up."""

    kind: Literal["dead_letter"]
    reader: Line | None = Field(None, max_length=128, description="Only this reader's; any reader's if left out.")


When = Annotated[
    OrderOnHold | CreditOver | FactDead,
    Field(discriminator="kind", examples=[{"kind": "order_on_hold", "after_hours": 48}]),
]


class AddRule(_Schema):
    """A rule that raises a task when something happens, and closes it when that is over."""

    title: Title
    when: When
    enabled: bool = True
    priority: TaskPriority = "high"
    assigned_to: Who | None = Field(None, description="Who is to do what it raises.")
    due_in_days: int | None = Field(None, ge=0, le=365, description="How many days its tasks may take.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"title": "An order is on hold for two days", "when": {"kind": "order_on_hold", "after_hours": 48}}
            ]
        }
    )


class ChangeRule(_Schema):
    """What is to change about a rule, as a JSON merge patch, but for `when`, which is set whole."""

    # Never seen: what is left out stays, and what is given is one of these.
    title: Title = Field(default_factory=str)
    when: When = Field(default_factory=lambda: OrderOnHold(kind="order_on_hold", after_hours=0))
    enabled: bool = Field(default_factory=bool)
    priority: TaskPriority = Field(default_factory=lambda: "high")
    assigned_to: Who | None = None
    due_in_days: int | None = Field(None, ge=0, le=365)

    model_config = ConfigDict(json_schema_extra={"examples": [{"enabled": False}]})


class RuleChange(NamedTuple):
    """A ChangeRule for one rule, at the version the caller last saw."""

    id: UUID
    wanted: ChangeRule
    version: int


class RuleOut(_Schema):
    """A rule."""

    id: IdOut
    title: str = Field(examples=["An order is on hold for two days"])
    when: When
    enabled: bool
    priority: TaskPriority
    assigned_to: str | None
    due_in_days: int | None
    version: int = Field(examples=[1], description="Counts its changes; also its ETag.")
    created_at: InstantText
    updated_at: InstantText
    links: Links


class RulesOut(_Schema):
    """All rules, in the order of adding."""

    items: list[RuleOut]


# Statistics

MOST_PEOPLE = 20
"""Of how many people the statistics tell: those with the most to do."""


class Workload(_Schema):
    """What somebody still has to do."""

    assigned_to: str = Field(examples=["clerk-7"])
    open: int = Field(examples=[4])
    overdue: int = Field(examples=[1])


class StatisticsOut(_Schema):
    """How much there is to do, and how much of it is late."""

    by_status: dict[TaskStatus, int] = Field(
        examples=[{"pending": 3, "in_progress": 2, "completed": 9, "cancelled": 1}]
    )
    open_by_priority: dict[TaskPriority, int] = Field(examples=[{"low": 1, "medium": 3, "high": 1, "urgent": 0}])
    open: int = Field(examples=[5], description="What is still to be done.")
    overdue: int = Field(examples=[1], description="What is still to be done and should have been.")
    unassigned: int = Field(examples=[1], description="What is still to be done, by nobody yet.")
    people: list[Workload] = Field(description=f"Who has the most to do, {MOST_PEOPLE} at most.")


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
