"""A task, the rules that hold for it whoever asks, and the tables it is kept in. Tasks are written by the ORM."""

from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from orderhouse.kernel import ids
from orderhouse.kernel.clock import Instant
from orderhouse.runtime.database.tables import Id, partial_index
from orderhouse.tasks.contract import TaskPriority, TaskStatus
from orderhouse.tasks.errors import StatusNotAllowed
from orderhouse.tasks.models.due import HOUR, end_of
from orderhouse.tasks.models.priorities import priority_of, urgency_of
from orderhouse.tasks.models.reminders import TaskReminder
from orderhouse.tasks.models.tables import Kept, Sorted
from orderhouse.tasks.models.words import TaskWord, words_in
from orderhouse.tasks.schemas.tasks import AddTask

MOVES: dict[TaskStatus, tuple[TaskStatus, ...]] = {
    "pending": ("in_progress", "completed", "cancelled"),
    "in_progress": ("pending", "completed", "cancelled"),
    "completed": ("pending", "in_progress"),
    "cancelled": ("pending", "in_progress"),
}
"""Where a task may go from where it stands. What is closed is opened again before it is closed in the other way."""

OPEN: frozenset[TaskStatus] = frozenset({"pending", "in_progress"})
"""What is still to be done."""


@dataclass(frozen=True, slots=True)
class TaskState:
    """A task at one version: what is shown."""

    id: UUID
    title: str
    description: str
    status: TaskStatus
    priority: TaskPriority
    tags: tuple[str, ...]
    assigned_to: str | None
    watchers: tuple[str, ...]
    due_on: str | None
    time_zone: str
    due_at: Instant | None
    remind_hours_before: tuple[int, ...]
    order_id: UUID | None
    customer_id: UUID | None
    created_by: str
    version: int
    created_at: Instant
    updated_at: Instant
    closed_at: Instant | None
    rule_id: UUID | None


class Task(Kept):
    """Something somebody has to do."""

    __tablename__ = "tasks"
    __table_args__ = (
        # Lists go by the time of adding, which is the primary key's order, by the due date, or by priority and then
        # the due date; of all, of those (not) open, or of those in one status.
        Index("tasks_due", "due_at", "id"),
        Index("tasks_priority", "urgency", "due_at", "id"),
        Index("tasks_open", "open", "id"),
        Index("tasks_open_due", "open", "due_at", "id"),
        Index("tasks_open_priority", "open", "urgency", "due_at", "id"),
        Index("tasks_status", "status", "id"),
        Index("tasks_status_due", "status", "due_at", "id"),
        Index("tasks_status_priority", "status", "urgency", "due_at", "id"),
        # What somebody has to do, in every order: nobody has so much that sorting it would be felt.
        Index("tasks_assigned_to", "assigned_to", "open", "due_at", "id"),
        # What an order, a customer or a rule has led to; most tasks are of none.
        partial_index("tasks_order", "order_id", "id", where="order_id IS NOT NULL"),
        partial_index("tasks_rule", "rule_id", "id", where="rule_id IS NOT NULL"),
        partial_index("tasks_customer", "customer_id", "id", where="customer_id IS NOT NULL"),
    )

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    open: Mapped[bool]
    # 0 is the most urgent. Wide, so that a cursor somebody forged holds no number it could not be compared with.
    urgency: Mapped[int] = mapped_column(BigInteger)
    assigned_to: Mapped[str | None] = mapped_column(Text)
    due_on: Mapped[str | None] = mapped_column(Text)
    time_zone: Mapped[str] = mapped_column(Text)
    due_at: Mapped[int] = mapped_column(BigInteger)
    order_id: Mapped[UUID | None] = mapped_column(Id)
    customer_id: Mapped[UUID | None] = mapped_column(Id)
    created_by: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[int] = mapped_column(BigInteger)
    closed_at: Mapped[int | None] = mapped_column(BigInteger)
    rule_id: Mapped[UUID | None] = mapped_column(Id)

    tagged: Mapped[list["TaskTag"]] = relationship(cascade="all, delete-orphan", order_by="TaskTag.tag")
    watched: Mapped[list["TaskWatcher"]] = relationship(cascade="all, delete-orphan", order_by="TaskWatcher.watcher")
    reminders: Mapped[list[TaskReminder]] = relationship(
        cascade="all, delete-orphan", order_by="TaskReminder.hours_before"
    )
    words: Mapped[list[TaskWord]] = relationship(cascade="all, delete-orphan")

    @classmethod
    def add(cls, wanted: AddTask, *, by: str, time_zone: str, at: Instant) -> "Task":
        """Return a new task; its due date is a day of `time_zone` unless it names another."""
        task = cls(
            id=ids.new_id(),
            status=wanted.status,
            open=wanted.status in OPEN,
            closed_at=None if wanted.status in OPEN else at,
            created_by=by,
            version=1,
            created_at=at,
            updated_at=at,
        )
        task._take(_columns(wanted.model_dump(exclude={"status"}) | {"time_zone": wanted.time_zone or time_zone}))
        task._remind(at)
        return task

    def change(self, said: dict[str, Any], *, at: Instant) -> list[str]:
        """Become what is `said`, by the names of TaskState; return the names of what differs now."""
        before = self.state
        to = said.get("status", self.status)
        # What is refused is refused before anything is touched.
        if to != self.status and to not in MOVES[before.status]:
            raise StatusNotAllowed(allowed=list(MOVES[before.status]))
        self._take(_columns({name: value for name, value in said.items() if name != "status"}))
        if to != self.status:
            self.status, self.open = to, to in OPEN
            self.closed_at = None if self.open else at
        changed = [name for name in said if getattr(self.state, name) != getattr(before, name)]
        if {"status", "due_on", "time_zone", "remind_hours_before"} & set(changed):
            self._remind(at)
        if changed:
            self.version += 1
            self.updated_at = at
        return changed

    def _take(self, columns: dict[str, Any]) -> None:
        if "due_on" in columns or "time_zone" in columns:
            day, zone = columns.get("due_on", self.due_on), columns.get("time_zone", self.time_zone)
            columns["due_at"] = end_of(day, zone)
        tags, watchers = columns.pop("tags", None), columns.pop("watchers", None)
        hours = columns.pop("remind_hours_before", None)
        for name, value in columns.items():
            setattr(self, name, value)
        if tags is not None:
            kept = {one.tag: one for one in self.tagged}
            self.tagged = [kept.get(tag) or TaskTag(tag=tag) for tag in tags]
        if watchers is not None:
            there = {one.watcher: one for one in self.watched}
            self.watched = [there.get(who) or TaskWatcher(watcher=who) for who in watchers]
        if hours is not None:
            once = {one.hours_before: one for one in self.reminders}
            self.reminders = [once.get(hour) or TaskReminder(hours_before=hour) for hour in hours]
        if "title" in columns or "description" in columns:
            known = {one.word: one for one in self.words}
            self.words = [known.get(word) or TaskWord(word=word) for word in words_in(self.title, self.description)]

    def _remind(self, now: Instant) -> None:
        """Have reminders told when they are due: those of what is still to be done, and whose time has not passed."""
        for reminder in self.reminders:
            due = self.due_at - reminder.hours_before * HOUR
            reminder.next_at = due if self.open and self.due_on is not None and due > now else None

    @property
    def state(self) -> TaskState:
        """The task as it is now; it stays so whatever happens to the task later in the transaction."""
        return TaskState(
            id=self.id,
            title=self.title,
            description=self.description,
            status=cast(TaskStatus, self.status),
            priority=priority_of(self.urgency),
            tags=tuple(one.tag for one in self.tagged),
            assigned_to=self.assigned_to,
            watchers=tuple(one.watcher for one in self.watched),
            due_on=self.due_on,
            time_zone=self.time_zone,
            due_at=None if self.due_on is None else self.due_at,
            remind_hours_before=tuple(one.hours_before for one in self.reminders),
            order_id=self.order_id,
            customer_id=self.customer_id,
            created_by=self.created_by,
            version=self.version,
            created_at=self.created_at,
            updated_at=self.updated_at,
            closed_at=self.closed_at,
            rule_id=self.rule_id,
        )


class TaskTag(Kept):
    """That a task has a tag."""

    __tablename__ = "task_tags"
    __table_args__ = (
        # The tasks of a tag, in the order of adding; a task's tags are found by the primary key.
        Index("task_tags_tag", "tag", "task_id"),
        {"sqlite_with_rowid": False},
    )

    task_id: Mapped[UUID] = mapped_column(
        Id, ForeignKey("tasks.id", name="task_tags_task", ondelete="CASCADE"), primary_key=True
    )
    tag: Mapped[str] = mapped_column(Sorted, primary_key=True)


class TaskWatcher(Kept):
    """That somebody wants to know what becomes of a task."""

    __tablename__ = "task_watchers"
    __table_args__ = (
        # The tasks somebody watches; a task's watchers are found by the primary key.
        Index("task_watchers_watcher", "watcher", "task_id"),
        {"sqlite_with_rowid": False},
    )

    task_id: Mapped[UUID] = mapped_column(
        Id, ForeignKey("tasks.id", name="task_watchers_task", ondelete="CASCADE"), primary_key=True
    )
    watcher: Mapped[str] = mapped_column(Sorted, primary_key=True)


def _columns(said: dict[str, Any]) -> dict[str, Any]:
    """Return what is said of a task by the names of its columns."""
    columns = dict(said)
    if "priority" in columns:
        columns["urgency"] = urgency_of(columns.pop("priority"))
    if columns.get("due_on") is not None:
        columns["due_on"] = str(columns["due_on"])
    return columns
