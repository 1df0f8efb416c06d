"""Every query that writing tasks needs, and nothing else; through the ORM."""

from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar
from uuid import UUID

from sqlalchemy import func, select, text

from orderhouse.kernel.clock import Instant
from orderhouse.kernel.errors import Refusal
from orderhouse.runtime.database.sql import Row, as_id, as_id_or_none
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.tasks.models.causes import Cause, KeptCause
from orderhouse.tasks.models.checklists import ChecklistItem
from orderhouse.tasks.models.comments import TaskComment
from orderhouse.tasks.models.marks import OrderMark
from orderhouse.tasks.models.reminders import DueReminder
from orderhouse.tasks.models.rules import RuleState, TaskRule
from orderhouse.tasks.models.tasks import Task
from orderhouse.tasks.schemas.rules import CreditOver, OrderOnHold

P = TypeVar("P", TaskComment, ChecklistItem)

REFUSALS: Mapping[str, type[Refusal]] = {}
"""What it means that a constraint of the database was broken."""


class TaskRepository:
    """Tasks and what belongs to them, in one transaction. What is changed about what it returns is kept with it."""

    def __init__(self, tx: Transaction) -> None:
        """Work in `tx`."""
        self._tx = tx
        self._session = tx.session

    def add(self, *made: Task | TaskComment | ChecklistItem) -> None:
        """Keep what is new."""
        self._session.add_all(made)

    def remove(self, gone: Task | TaskComment | ChecklistItem) -> None:
        """Keep it no longer, nor what belongs to it."""
        self._session.delete(gone)

    def task(self, task_id: UUID) -> Task | None:
        """Return a task that nobody else changes before this transaction ends."""
        return self._session.scalars(select(Task).where(Task.id == task_id).with_for_update()).one_or_none()

    def part(self, kind: type[P], part_id: UUID) -> P | None:
        """Return a comment or an item that nobody else changes before this transaction ends."""
        return self._session.get(kind, part_id, with_for_update=True)

    def items_of(self, task_id: UUID) -> int:
        """Return how many items a task's checklist has."""
        wanted = select(func.count()).select_from(ChecklistItem).where(ChecklistItem.task_id == task_id)
        return self._session.scalars(wanted).one()

    def due_reminders(self, now: Instant, limit: int) -> list[DueReminder]:
        """Return up to `limit` reminders that are due, the earliest first; they are told with this transaction."""
        # Others that look at this moment pass over what we are about to tell.
        ours = f"{self._tx.for_update} OF task_reminders SKIP LOCKED" if self._tx.dialect == "postgresql" else ""
        found = self._tx.rows(
            "SELECT task_id, hours_before, due_at, assigned_to FROM task_reminders JOIN tasks ON tasks.id = task_id "
            f"WHERE next_at <= :now ORDER BY next_at, task_id LIMIT :limit{ours}",
            now=now,
            limit=limit,
        )
        due = [DueReminder(as_id(row[0]), *row[1:]) for row in found]
        for one in due:
            self._tx.run(
                "UPDATE task_reminders SET next_at = NULL WHERE task_id = :task AND hours_before = :hours",
                task=one.task_id,
                hours=one.hours_before,
            )
        return due


_MARK = ", ".join(OrderMark._fields)


class CauseRepository:
    """Rules, what they look at, and the causes they see, in one transaction."""

    def __init__(self, tx: Transaction) -> None:
        """Work in `tx`."""
        self._tx = tx

    def add(self, rule: TaskRule) -> None:
        """Keep a new rule."""
        self._tx.session.add(rule)

    def remove(self, rule: TaskRule) -> None:
        """Keep it no longer."""
        self._tx.session.delete(rule)

    def lock_rules(self) -> None:
        """Let nobody follow facts by rules that are about to change, before this transaction ends."""
        if self._tx.dialect == "postgresql":
            # On SQLite there is one writer; here `rules_held` waits for this, also where there is no rule yet.
            self._tx.session.execute(text(f"LOCK TABLE {TaskRule.__tablename__} IN EXCLUSIVE MODE"))

    def count_rules(self) -> int:
        """Return how many rules there are."""
        return self._tx.session.scalars(select(func.count()).select_from(TaskRule)).one()

    def rule(self, rule_id: UUID) -> TaskRule | None:
        """Return a rule that nobody else changes before this transaction ends."""
        return self._tx.session.get(TaskRule, rule_id, with_for_update=True)

    def rules_held(self) -> list[RuleState]:
        """Return the rules that are enabled; nobody changes any, nor adds one, before this transaction ends."""
        wanted = select(TaskRule).where(TaskRule.enabled).order_by(TaskRule.id).with_for_update()
        return [rule.state for rule in self._tx.session.scalars(wanted)]

    def rules(self, ids: Collection[UUID]) -> dict[UUID, RuleState]:
        """Return these rules, as far as they are there."""
        found = self._tx.session.scalars(select(TaskRule).where(TaskRule.id.in_(ids)))
        return {rule.id: rule.state for rule in found}

    def marks(self, ids: Collection[UUID]) -> dict[UUID, OrderMark]:
        """Return what is kept of these orders."""
        found = self._tx.rows(f"SELECT {_MARK} FROM order_marks WHERE id IN :ids", ids=list(ids))
        return {mark.id: mark for mark in map(_mark, found)}

    def keep_marks(self, marks: Iterable[OrderMark]) -> None:
        """Keep these, in the place of what was kept of the same orders."""
        new = ", ".join(f"{name} = excluded.{name}" for name in OrderMark._fields[1:])
        for mark in marks:
            self._tx.run(
                f"INSERT INTO order_marks ({_MARK}) VALUES ({', '.join(f':{name}' for name in OrderMark._fields)}) "
                f"ON CONFLICT (id) DO UPDATE SET {new}",
                **mark._asdict(),
            )

    def marks_for(self, rule: RuleState) -> list[OrderMark]:
        """Return what is kept of the orders that `rule` may ask about, read by the index that is meant for it."""
        when = rule.when
        if isinstance(when, OrderOnHold):
            return [_mark(row) for row in self._tx.rows(f"SELECT {_MARK} FROM order_marks WHERE held_since >= 0")]
        if isinstance(when, CreditOver):
            found = self._tx.rows(
                f"SELECT {_MARK} FROM order_marks "
                "WHERE credit IS NOT NULL AND currency = :currency AND told_at >= :since",
                currency=when.currency,
                since=rule.created_at,
            )
            return [_mark(row) for row in found]
        return []

    def subjects(self, rule_id: UUID) -> set[UUID]:
        """Return what a rule sees a cause in."""
        found = self._tx.rows("SELECT subject FROM task_causes WHERE rule_id = :rule AND ended IS NULL", rule=rule_id)
        return {as_id(row[0]) for row in found}

    def keep(self, rule_id: UUID, subject: UUID, cause: Cause | None, *, why: str = "gone") -> None:
        """Keep `cause` as the one that `rule_id` sees in `subject`; any other has ended, for the reason `why`."""
        others = "" if cause is None else " AND since <> :since"
        values = {} if cause is None else {"since": cause.since}
        self._tx.run(
            "UPDATE task_causes SET ended = :why, next_at = 0 "
            f"WHERE rule_id = :rule AND subject = :subject AND ended IS NULL{others}",
            why=why,
            rule=rule_id,
            subject=subject,
            **values,
        )
        if cause is not None:
            self._tx.run(
                "INSERT INTO task_causes (rule_id, subject, since, next_at) VALUES (:rule, :subject, :since, :due) "
                # A cause that has its task is left alone, also when it ended and is back before anybody saw to it.
                "ON CONFLICT (rule_id, subject, since) DO UPDATE SET ended = NULL, "
                "next_at = CASE WHEN task_causes.task_id IS NULL THEN excluded.next_at END",
                rule=rule_id,
                subject=subject,
                since=cause.since,
                due=cause.due_at,
            )

    def due(self, now: Instant, limit: int) -> list[KeptCause]:
        """Return up to `limit` causes there is something to do about, the earliest first; nobody else gets them."""
        # Others that look at this moment pass over what we are about to see to, instead of waiting for it.
        ours = f"{self._tx.for_update} SKIP LOCKED" if self._tx.dialect == "postgresql" else ""
        found = self._tx.rows(
            "SELECT rule_id, subject, since, task_id, ended FROM task_causes WHERE next_at <= :now "
            f"ORDER BY next_at, rule_id, subject LIMIT :limit{ours}",
            now=now,
            limit=limit,
        )
        return [KeptCause(as_id(row[0]), as_id(row[1]), row[2], as_id_or_none(row[3]), row[4]) for row in found]

    def raised(self, cause: KeptCause, task_id: UUID) -> None:
        """Keep that a cause came to a task."""
        self._tx.run(
            "UPDATE task_causes SET task_id = :task, next_at = NULL "
            "WHERE rule_id = :rule AND subject = :subject AND since = :since",
            task=task_id,
            rule=cause.rule_id,
            subject=cause.subject,
            since=cause.since,
        )

    def forget(self, cause: KeptCause) -> None:
        """Keep a cause no longer that has ended, and whose task is closed."""
        self._tx.run(
            "DELETE FROM task_causes WHERE rule_id = :rule AND subject = :subject AND since = :since",
            rule=cause.rule_id,
            subject=cause.subject,
            since=cause.since,
        )


def _mark(row: Row) -> OrderMark:
    return OrderMark(as_id(row[0]), *row[1:])
