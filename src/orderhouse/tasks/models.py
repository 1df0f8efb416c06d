"""A task, the rules that hold for it whoever asks, and the tables it is kept in. Tasks are written by the ORM."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple, cast
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from pydantic import TypeAdapter
from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from orderhouse.kernel import ids, money
from orderhouse.kernel.clock import Instant, from_datetime
from orderhouse.kernel.text import words_of
from orderhouse.runtime.database.tables import Id, tables_of
from orderhouse.tasks.contract import PRIORITIES, DeadLetter, TaskPriority, TaskStatus
from orderhouse.tasks.errors import StatusNotAllowed, TimeZoneUnknown
from orderhouse.tasks.schemas import (
    AddItem,
    AddRule,
    AddTask,
    ChangeItem,
    ChangeRule,
    CreditOver,
    FactDead,
    OrderOnHold,
    When,
)

MOVES: dict[TaskStatus, tuple[TaskStatus, ...]] = {
    "pending": ("in_progress", "completed", "cancelled"),
    "in_progress": ("pending", "completed", "cancelled"),
    "completed": ("pending", "in_progress"),
    "cancelled": ("pending", "in_progress"),
}
"""Where a task may go from where it stands. What is closed is opened again before it is closed in the other way."""

OPEN: frozenset[TaskStatus] = frozenset({"pending", "in_progress"})
"""What is still to be done."""

NEVER: Instant = 1 << 62
"""Later than every due date: where a task without one stands among those that have one."""

HOUR = 3_600_000_000
"""Microseconds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_WORDS = 200

tables = tables_of("tasks")

# PostgreSQL would sort by the language of its server, and differently from SQLite.
_Sorted = Text().with_variant(Text(collation="C"), "postgresql")


class _Mapped(DeclarativeBase):
    metadata = tables


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


class Task(_Mapped):
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
        Index(
            "tasks_order",
            "order_id",
            "id",
            sqlite_where=text("order_id IS NOT NULL"),
            postgresql_where=text("order_id IS NOT NULL"),
        ),
        Index(
            "tasks_rule",
            "rule_id",
            "id",
            sqlite_where=text("rule_id IS NOT NULL"),
            postgresql_where=text("rule_id IS NOT NULL"),
        ),
        Index(
            "tasks_customer",
            "customer_id",
            "id",
            sqlite_where=text("customer_id IS NOT NULL"),
            postgresql_where=text("customer_id IS NOT NULL"),
        ),
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
    reminders: Mapped[list["TaskReminder"]] = relationship(
        cascade="all, delete-orphan", order_by="TaskReminder.hours_before"
    )
    words: Mapped[list["TaskWord"]] = relationship(cascade="all, delete-orphan")

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
            columns["due_at"] = _due_at(day, zone)
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
            self.words = [known.get(word) or TaskWord(word=word) for word in _words(self.title, self.description)]

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


class TaskTag(_Mapped):
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
    tag: Mapped[str] = mapped_column(_Sorted, primary_key=True)


class TaskWatcher(_Mapped):
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
    watcher: Mapped[str] = mapped_column(_Sorted, primary_key=True)


class TaskReminder(_Mapped):
    """That somebody is to be reminded of a task, and when; after that it stays, without a time."""

    __tablename__ = "task_reminders"
    __table_args__ = (
        # What is to be told next, the earliest first; most reminders have been told.
        Index(
            "task_reminders_next",
            "next_at",
            sqlite_where=text("next_at IS NOT NULL"),
            postgresql_where=text("next_at IS NOT NULL"),
        ),
        {"sqlite_with_rowid": False},
    )

    task_id: Mapped[UUID] = mapped_column(
        Id, ForeignKey("tasks.id", name="task_reminders_task", ondelete="CASCADE"), primary_key=True
    )
    hours_before: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    next_at: Mapped[int | None] = mapped_column(BigInteger)


class TaskWord(_Mapped):
    """A word of a task's title or description. What somebody searches for is looked up here by its beginning."""

    __tablename__ = "task_words"
    __table_args__ = ({"sqlite_with_rowid": False},)

    word: Mapped[str] = mapped_column(_Sorted, primary_key=True)
    task_id: Mapped[UUID] = mapped_column(
        Id, ForeignKey("tasks.id", name="task_words_task", ondelete="CASCADE"), primary_key=True, index=True
    )


@dataclass(frozen=True, slots=True)
class CommentState:
    """A comment at one version: what is shown."""

    id: UUID
    task_id: UUID
    text: str
    author: str
    version: int
    created_at: Instant
    updated_at: Instant


class TaskComment(_Mapped):
    """What somebody said about a task."""

    __tablename__ = "task_comments"
    __table_args__ = (
        # A task's comments, in the order of adding.
        Index("task_comments_task", "task_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    task_id: Mapped[UUID] = mapped_column(Id, ForeignKey("tasks.id", name="task_comments_task_fk", ondelete="CASCADE"))
    text: Mapped[str] = mapped_column(Text)
    author: Mapped[str] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[int] = mapped_column(BigInteger)

    @classmethod
    def add(cls, task_id: UUID, comment: str, *, by: str, at: Instant) -> "TaskComment":
        """Return a new comment."""
        return cls(id=ids.new_id(), task_id=task_id, text=comment, author=by, version=1, created_at=at, updated_at=at)

    def change(self, comment: str, *, at: Instant) -> bool:
        """Say `comment` instead; return whether that made a difference."""
        if comment == self.text:
            return False
        self.text, self.version, self.updated_at = comment, self.version + 1, at
        return True

    @property
    def state(self) -> CommentState:
        """The comment as it is now."""
        return CommentState(
            self.id, self.task_id, self.text, self.author, self.version, self.created_at, self.updated_at
        )


@dataclass(frozen=True, slots=True)
class ItemState:
    """An item of a checklist at one version: what is shown."""

    id: UUID
    task_id: UUID
    text: str
    done: bool
    version: int
    created_at: Instant
    updated_at: Instant


class ChecklistItem(_Mapped):
    """One of the steps a task consists of."""

    __tablename__ = "checklist_items"
    __table_args__ = (
        # A task's checklist, in the order of adding.
        Index("checklist_items_task", "task_id", "id"),
    )

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    task_id: Mapped[UUID] = mapped_column(
        Id, ForeignKey("tasks.id", name="checklist_items_task_fk", ondelete="CASCADE")
    )
    text: Mapped[str] = mapped_column(Text)
    done: Mapped[bool]
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[int] = mapped_column(BigInteger)

    @classmethod
    def add(cls, task_id: UUID, wanted: AddItem, *, at: Instant) -> "ChecklistItem":
        """Return a new item."""
        return cls(
            id=ids.new_id(),
            task_id=task_id,
            text=wanted.text,
            done=wanted.done,
            version=1,
            created_at=at,
            updated_at=at,
        )

    def change(self, wanted: ChangeItem, *, at: Instant) -> bool:
        """Change what `wanted` names; return whether that made a difference."""
        said = wanted.model_dump(exclude_unset=True)
        if all(getattr(self, name) == value for name, value in said.items()):
            return False
        for name, value in said.items():
            setattr(self, name, value)
        self.version, self.updated_at = self.version + 1, at
        return True

    @property
    def state(self) -> ItemState:
        """The item as it is now."""
        return ItemState(self.id, self.task_id, self.text, self.done, self.version, self.created_at, self.updated_at)


# Rules


class Cause(NamedTuple):
    """That something is as a rule asks, since when, and when a task is due for it."""

    since: Instant
    due_at: Instant


class KeptCause(NamedTuple):
    """A cause as it is kept, with the task it came to; `ended` says why it is one no longer."""

    rule_id: UUID
    subject: UUID
    since: Instant
    task_id: UUID | None
    ended: str | None


class DueReminder(NamedTuple):
    """A reminder that is due, of a task as it is now."""

    task_id: UUID
    hours_before: int
    due_at: Instant
    assigned_to: str | None


class OrderMark(NamedTuple):
    """What tasks keeps of an order that a rule may ask about.

    Each half goes by the sequence of the latest fact it is from: earlier ones that come late change nothing.
    """

    id: UUID
    status_sequence: int = 0
    held_since: Instant | None = None
    document_sequence: int = 0
    credit: int | None = None
    """Of a credit: how much it gives back, exact."""
    currency: str | None = None
    placed_at: Instant | None = None
    told_at: Instant | None = None

    def standing(self, sequence: int, *, held_since: Instant | None) -> "OrderMark":
        """Return it after a fact about its status."""
        if sequence <= self.status_sequence:
            return self
        return self._replace(status_sequence=sequence, held_since=held_since)

    def amounting(
        self, sequence: int, *, credit: int | None, currency: str, placed_at: Instant, told_at: Instant
    ) -> "OrderMark":
        """Return it after a fact about what it amounts to."""
        if sequence <= self.document_sequence:
            return self
        return self._replace(
            document_sequence=sequence, credit=credit, currency=currency, placed_at=placed_at, told_at=told_at
        )


@dataclass(frozen=True, slots=True)
class RuleState:
    """A rule at one version: what is shown, and what it takes for a cause."""

    id: UUID
    title: str
    when: OrderOnHold | CreditOver | FactDead
    enabled: bool
    priority: TaskPriority
    assigned_to: str | None
    due_in_days: int | None
    version: int
    created_at: Instant
    updated_at: Instant

    def cause_of(self, mark: OrderMark) -> Cause | None:
        """Return why an order asks for a task; None when it does not."""
        when = self.when
        if isinstance(when, OrderOnHold):
            return (
                None if mark.held_since is None else Cause(mark.held_since, mark.held_since + when.after_hours * HOUR)
            )
        if isinstance(when, CreditOver) and mark.credit is not None and mark.placed_at is not None:
            # Of what was there before the rule nobody wants to hear: it may be ten years of credits.
            new = (mark.told_at or 0) >= self.created_at
            if new and mark.currency == when.currency and mark.credit > money.exact(when.amount):
                return Cause(mark.placed_at, mark.placed_at)
        return None

    def cause_of_letter(self, letter: DeadLetter) -> Cause | None:
        """Return why a dead letter asks for a task; None when it does not."""
        if isinstance(self.when, FactDead) and self.when.reader in (None, letter.reader):
            return Cause(letter.parked_at, letter.parked_at)
        return None


class TaskRule(_Mapped):
    """What raises a task when something happens, and closes it when that is over."""

    __tablename__ = "task_rules"

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    condition: Mapped[str] = mapped_column(Text)
    enabled: Mapped[bool]
    urgency: Mapped[int] = mapped_column(Integer)
    assigned_to: Mapped[str | None] = mapped_column(Text)
    due_in_days: Mapped[int | None] = mapped_column(Integer)
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[int] = mapped_column(BigInteger)

    @classmethod
    def add(cls, wanted: AddRule, *, at: Instant) -> "TaskRule":
        """Return a new rule."""
        said = wanted.model_dump(exclude={"when", "priority"})
        return cls(
            id=ids.new_id(),
            **said,
            condition=wanted.when.model_dump_json(),
            urgency=urgency_of(wanted.priority),
            version=1,
            created_at=at,
            updated_at=at,
        )

    def change(self, wanted: ChangeRule, *, at: Instant) -> bool:
        """Change what `wanted` names; return whether that made a difference."""
        said = wanted.model_dump(exclude_unset=True, exclude={"when", "priority"})
        if "when" in wanted.model_fields_set:
            said["condition"] = wanted.when.model_dump_json()
        if "priority" in wanted.model_fields_set:
            said["urgency"] = urgency_of(wanted.priority)
        if all(getattr(self, name) == value for name, value in said.items()):
            return False
        for name, value in said.items():
            setattr(self, name, value)
        self.version, self.updated_at = self.version + 1, at
        return True

    @property
    def state(self) -> RuleState:
        """The rule as it is now."""
        return rule_state(
            self.id,
            self.title,
            self.condition,
            self.enabled,
            self.urgency,
            self.assigned_to,
            self.due_in_days,
            self.version,
            self.created_at,
            self.updated_at,
        )


def rule_state(rule_id: UUID, title: str, condition: str, enabled: object, urgency: int, *rest: Any) -> RuleState:
    """Return a rule from its columns."""
    return RuleState(rule_id, title, WHEN.validate_json(condition), bool(enabled), priority_of(urgency), *rest)


WHEN: TypeAdapter[OrderOnHold | CreditOver | FactDead] = TypeAdapter(When)

# What causes and marks are kept in is written by plain SQL: they go with facts, many at once.
order_marks = Table(
    "order_marks",
    tables,
    Column("id", Id, primary_key=True),
    Column("status_sequence", Integer, nullable=False),
    Column("held_since", BigInteger),
    Column("document_sequence", Integer, nullable=False),
    Column("credit", BigInteger),
    Column("currency", Text),
    Column("placed_at", BigInteger),
    Column("told_at", BigInteger),
    # A rule that was changed asks which orders are on hold, or which credits there were since.
    Index(
        "order_marks_held",
        "held_since",
        sqlite_where=text("held_since IS NOT NULL"),
        postgresql_where=text("held_since IS NOT NULL"),
    ),
    Index(
        "order_marks_credit",
        "currency",
        "told_at",
        sqlite_where=text("credit IS NOT NULL"),
        postgresql_where=text("credit IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)
task_causes = Table(
    "task_causes",
    tables,
    # One cause comes to one task, however often it is told of.
    Column("rule_id", Id, primary_key=True),
    Column("subject", Id, primary_key=True),
    Column("since", BigInteger, primary_key=True),
    Column("next_at", BigInteger),
    Column("task_id", Id),
    Column("ended", Text),
    # What there is something to do about, the earliest first; most causes have their task, and are left alone.
    Index(
        "task_causes_next",
        "next_at",
        sqlite_where=text("next_at IS NOT NULL"),
        postgresql_where=text("next_at IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)


def day_of(instant: Instant, time_zone: str) -> date:
    """Return the local day `instant` is in."""
    return (_EPOCH + timedelta(microseconds=instant)).astimezone(ZoneInfo(time_zone)).date()


def urgency_of(priority: str) -> int:
    """Return what a priority is sorted by: 0 is the most urgent."""
    return len(PRIORITIES) - 1 - PRIORITIES.index(cast(TaskPriority, priority))


def priority_of(urgency: int) -> TaskPriority:
    """Return the priority that is sorted by `urgency`."""
    return PRIORITIES[len(PRIORITIES) - 1 - urgency]


def _due_at(day: str | None, time_zone: str) -> Instant:
    """Return when a local day ends: the first instant that is not in it any more. TimeZoneUnknown for no zone."""
    if time_zone not in _zones():
        raise TimeZoneUnknown
    if day is None:
        return NEVER
    following = date.fromisoformat(day) + timedelta(days=1)
    return from_datetime(datetime(following.year, following.month, following.day, tzinfo=ZoneInfo(time_zone)))


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    # Asked each time, the whole folder of zones would be walked each time.
    return frozenset(available_timezones())


def _columns(said: dict[str, Any]) -> dict[str, Any]:
    """Return what is said of a task by the names of its columns."""
    columns = dict(said)
    if "priority" in columns:
        columns["urgency"] = urgency_of(columns.pop("priority"))
    if columns.get("due_on") is not None:
        columns["due_on"] = str(columns["due_on"])
    return columns


def _words(title: str, description: str) -> Iterable[str]:
    return list(dict.fromkeys([*words_of(title), *words_of(description)]))[:_MOST_WORDS]
