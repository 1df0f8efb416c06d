"""What neighbours may know of tasks: the states one can be in, and the facts told of them."""

from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple, Protocol, get_args
from uuid import UUID

from pydantic import Field

from orderhouse.kernel.clock import Instant
from orderhouse.kernel.events import FactData, FactKind, NoData

TaskStatus = Literal["pending", "in_progress", "completed", "cancelled"]
STATUSES: tuple[TaskStatus, ...] = get_args(TaskStatus)

TaskPriority = Literal["low", "medium", "high", "urgent"]
PRIORITIES: tuple[TaskPriority, ...] = get_args(TaskPriority)

ADDED = "TaskAdded"
CHANGED = "TaskChanged"
REMOVED = "TaskRemoved"
COMMENT_ADDED = "TaskCommentAdded"
COMMENT_CHANGED = "TaskCommentChanged"
COMMENT_REMOVED = "TaskCommentRemoved"
ITEM_ADDED = "TaskItemAdded"
ITEM_CHANGED = "TaskItemChanged"
ITEM_REMOVED = "TaskItemRemoved"
REMINDER_DUE = "TaskReminderDue"
RULE_ADDED = "TaskRuleAdded"
RULE_CHANGED = "TaskRuleChanged"
RULE_REMOVED = "TaskRuleRemoved"


class DeadLetter(NamedTuple):
    """A fact that a reader has given up."""

    id: UUID
    reader: str
    parked_at: Instant


class DeadLetters(Protocol):
    """The dead letters of the house, as tasks asks about them. Every call may raise Unavailable."""

    async def dead(self) -> Sequence[DeadLetter]:
        """Return those there are now, the earliest first; of very many, the earliest."""


Id = Annotated[str, Field(json_schema_extra={"format": "uuid"})]


class TaskData(FactData):
    """How a task is since."""

    status: TaskStatus
    priority: TaskPriority
    assigned_to: Annotated[str | None, Field(description="Who is to do it: the subject of a token.")]
    due_at: Annotated[int | None, Field(description="An instant (µs).")]
    order_id: Id | None
    customer_id: Id | None


class ChangedData(TaskData):
    """What changed, and how a task is since."""

    changed: list[str]


class PartData(FactData):
    """To which task it belongs."""

    task_id: Id


class ReminderData(PartData):
    """Of which task, and how long before its end."""

    hours_before: int
    due_at: Annotated[int, Field(description="An instant (µs).")]
    assigned_to: Annotated[str | None, Field(description="Who is to do it: the subject of a token.")]


class RuleData(FactData):
    """What kind of rule it is."""

    kind: str
    enabled: bool


FACT_KINDS = (
    FactKind(ADDED, "A task was added. Told once per task, first of all.", TaskData),
    FactKind(CHANGED, "Something about a task changed; what somebody wrote is not in it.", ChangedData),
    FactKind(REMOVED, "A task was removed, with all that belonged to it. Told once, last of all.", NoData),
    FactKind(COMMENT_ADDED, "Somebody said something about a task. Told once per comment, first of all.", PartData),
    FactKind(COMMENT_CHANGED, "Whoever said something about a task says it differently.", PartData),
    FactKind(COMMENT_REMOVED, "A comment was removed by itself. Told once, last of all.", PartData),
    FactKind(ITEM_ADDED, "An item was added to a task's checklist. Told once per item, first of all.", PartData),
    FactKind(ITEM_CHANGED, "An item was done, or is not done after all, or is called something else.", PartData),
    FactKind(
        REMINDER_DUE,
        "A task that is still to be done is due in so many hours. Told once for each reminder of each due date.",
        ReminderData,
    ),
    FactKind(RULE_ADDED, "A rule that raises tasks was added. Told once per rule, first of all.", RuleData),
    FactKind(RULE_CHANGED, "A rule that raises tasks was changed, switched on or off.", RuleData),
    FactKind(RULE_REMOVED, "A rule that raises tasks was removed. Told once, last of all.", RuleData),
    FactKind(ITEM_REMOVED, "An item was removed by itself. Told once, last of all.", PartData),
)
"""Every fact tasks tells."""
