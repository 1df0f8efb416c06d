"""What neighbours may know of tasks: the facts told of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self, get_args
from uuid import UUID

from pydantic import Field

from orderhouse.kernel.clock import Instant
from orderhouse.kernel.events import Fact, FactData, FactKind, NewFact, NoData, Origin

TaskStatus = Literal["pending", "in_progress", "completed", "cancelled"]
STATUSES: tuple[TaskStatus, ...] = get_args(TaskStatus)

TaskPriority = Literal["low", "medium", "high", "urgent"]
PRIORITIES: tuple[TaskPriority, ...] = get_args(TaskPriority)


@dataclass(frozen=True, slots=True)
class TaskFact:
    """Something that happened to a task, which is at `version` since. It holds ids and words of ours, no text."""

    name: ClassVar[str]

    task_id: UUID
    version: int

    @classmethod
    def read(cls, fact: Fact) -> Self:
        """Return what `fact`, as a log keeps it, tells."""
        return cls(fact.aggregate, fact.sequence, **fact.data)

    def told(self, at: Instant, origin: Origin) -> NewFact:
        """Return it ready to be told."""
        return NewFact(self.name, self.task_id, self.version, self._data(), at, origin)

    def _data(self) -> Mapping[str, object]:
        return {}


@dataclass(frozen=True, slots=True)
class _WithWork(TaskFact):
    status: str
    priority: str
    assigned_to: str | None
    due_at: int | None
    """An instant (µs)."""
    order_id: str | None
    customer_id: str | None

    def _data(self) -> Mapping[str, object]:
        return {
            "status": self.status,
            "priority": self.priority,
            "assigned_to": self.assigned_to,
            "due_at": self.due_at,
            "order_id": self.order_id,
            "customer_id": self.customer_id,
        }


@dataclass(frozen=True, slots=True)
class TaskAdded(_WithWork):
    """A task was added. Told once per task, first of all."""

    name: ClassVar[str] = "TaskAdded"


@dataclass(frozen=True, slots=True)
class TaskChanged(_WithWork):
    """Something about a task changed: `changed` names what, the rest is how the task is since."""

    changed: list[str]

    name: ClassVar[str] = "TaskChanged"

    def _data(self) -> Mapping[str, object]:
        # Named: with slots the class is made twice, and `super()` would mean the one that was thrown away.
        return {**_WithWork._data(self), "changed": self.changed}  # noqa: SLF001 - its own


@dataclass(frozen=True, slots=True)
class TaskRemoved(TaskFact):
    """A task was removed, with all that belonged to it. Told once, last of all."""

    name: ClassVar[str] = "TaskRemoved"


FACTS: Mapping[str, type[TaskFact]] = {fact.name: fact for fact in (TaskAdded, TaskChanged, TaskRemoved)}
"""Every fact tasks tells, all of version 1, by name."""


Id = Annotated[str, Field(json_schema_extra={"format": "uuid"})]


class WorkData(FactData):
    """How a task is; `due_at` is an instant (µs)."""

    status: TaskStatus
    priority: TaskPriority
    assigned_to: str | None
    due_at: Instant | None
    order_id: Id | None
    customer_id: Id | None


class ChangedData(WorkData):
    """How a task is since it changed, and what of it did."""

    changed: list[str]


_DATA: Mapping[str, type[FactData]] = {TaskAdded.name: WorkData, TaskChanged.name: ChangedData}

FACT_KINDS = tuple(
    FactKind(name, (fact.__doc__ or "").strip(), _DATA.get(name, NoData)) for name, fact in FACTS.items()
)
"""The same for the registry: what each means, and the schema of its data."""
