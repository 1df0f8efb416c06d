"""A rule that raises tasks, what it takes for a cause, and the table it is kept in."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from orderhouse.kernel import ids, money
from orderhouse.kernel.clock import Instant
from orderhouse.tasks.contract import DeadLetter, TaskPriority
from orderhouse.tasks.models.causes import Cause
from orderhouse.tasks.models.due import HOUR
from orderhouse.tasks.models.marks import OrderMark
from orderhouse.tasks.models.priorities import priority_of, urgency_of
from orderhouse.tasks.models.tables import Kept, Versioned
from orderhouse.tasks.schemas.rules import AddRule, ChangeRule, CreditOver, FactDead, OrderOnHold, When

_WHEN: TypeAdapter[OrderOnHold | CreditOver | FactDead] = TypeAdapter(When)


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


class TaskRule(Versioned, Kept):
    """What raises a task when something happens, and closes it when that is over."""

    __tablename__ = "task_rules"

    title: Mapped[str] = mapped_column(Text)
    condition: Mapped[str] = mapped_column(Text)
    enabled: Mapped[bool]
    urgency: Mapped[int] = mapped_column(Integer)
    assigned_to: Mapped[str | None] = mapped_column(Text)
    due_in_days: Mapped[int | None] = mapped_column(Integer)

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
        return self.become(said, at=at)

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
    return RuleState(rule_id, title, _WHEN.validate_json(condition), bool(enabled), priority_of(urgency), *rest)
