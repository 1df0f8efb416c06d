"""Why there are tasks that nobody added: the causes that rules see, and the tasks they come to.

A cause is a row for as long as a rule sees it: it says when there is something to do about it, which an index finds.
Facts and edits of rules only keep those rows right; tasks are raised and closed by the clock, a few at a time.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from orderhouse.kernel.clock import Instant
from orderhouse.kernel.events import NewFact, Origin
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
from orderhouse.tasks import contract
from orderhouse.tasks.contract import DeadLetter, TaskStatus
from orderhouse.tasks.models.causes import KeptCause
from orderhouse.tasks.models.due import day_of
from orderhouse.tasks.models.marks import OrderMark
from orderhouse.tasks.models.rules import RuleState
from orderhouse.tasks.models.tasks import Task
from orderhouse.tasks.repository import CauseRepository, TaskRepository
from orderhouse.tasks.schemas.tasks import AddTask
from orderhouse.tasks.service.tasks import added, changed_by

_AT_ONCE = 50
"""How many causes are seen to in one transaction: it stays so short that nobody's own write waits for it noticeably."""

_CLOSED: Mapping[str, TaskStatus] = {"gone": "completed", "unruled": "cancelled"}
"""What becomes of the task of a cause that ended: what was to be done is done, or nobody wants it any more."""


class CauseService:
    """Keeps the causes, and does what they ask for when it is due."""

    def __init__(self, time_zone: str) -> None:
        """Count the days a task may take in `time_zone`."""
        self._time_zone = time_zone

    def follow(self, tx: Transaction, marks: Sequence[OrderMark]) -> None:
        """Keep the causes right after something happened to these orders."""
        causes = CauseRepository(tx)
        # Held, so that no rule changes while some of its causes are from before and some from after.
        for rule in causes.rules_held():
            if rule.when.kind != "dead_letter":
                for mark in marks:
                    causes.keep(rule.id, mark.id, rule.cause_of(mark))

    def settle(self, tx: Transaction, rule: RuleState) -> None:
        """Keep the causes of a rule right after the rule itself was changed."""
        causes = CauseRepository(tx)
        if rule.enabled and rule.when.kind == "dead_letter":
            return  # They are looked at again soon, by the rule as it is now.
        found = {mark.id: rule.cause_of(mark) for mark in causes.marks_for(rule)} if rule.enabled else {}
        for subject in causes.subjects(rule.id) | found.keys():
            causes.keep(rule.id, subject, found.get(subject), why="unruled")

    def letters(self, tx: Transaction, asked: Sequence[Sequence[DeadLetter]]) -> list[None]:
        """Keep the causes right after a look at all dead letters there are."""
        causes = CauseRepository(tx)
        for found in asked:
            for rule in causes.rules_held():
                if rule.when.kind != "dead_letter":
                    continue
                seen = {one.id: rule.cause_of_letter(one) for one in found}
                for subject in causes.subjects(rule.id) | seen.keys():
                    causes.keep(rule.id, subject, seen.get(subject))
        return [None for _ in asked]

    def tick(self, tx: Transaction, asked: Sequence[Instant]) -> list[int]:
        """Raise and close what is due, and remind, some of it; return how much that was."""
        return [self._tick(tx, now) + self._remind(tx, now) for now in asked]

    def _tick(self, tx: Transaction, now: Instant) -> int:
        causes = CauseRepository(tx)
        due = causes.due(now, _AT_ONCE)
        rules = causes.rules({one.rule_id for one in due})
        for one in due:
            if one.ended is None and one.rule_id in rules:
                causes.raised(one, self._raise(tx, rules[one.rule_id], one, now))
            else:
                self._close(tx, one, now)
                causes.forget(one)
        return len(due)

    def _remind(self, tx: Transaction, now: Instant) -> int:
        due = TaskRepository(tx).due_reminders(now, _AT_ONCE)
        origin = Origin("timekeeper")
        tx.tell(NewFact(contract.REMINDER_DUE, new_id(), 1, one._asdict(), now, origin) for one in due)
        return len(due)

    def _raise(self, tx: Transaction, rule: RuleState, cause: KeptCause, now: Instant) -> UUID:
        letter = rule.when.kind == "dead_letter"
        due_on = None
        if rule.due_in_days is not None:
            due_on = str(day_of(now, self._time_zone) + timedelta(days=rule.due_in_days))
        wanted = AddTask.model_validate(
            {
                "title": rule.title,
                "description": f"/v1/dead-letters/{cause.subject}" if letter else "",
                "priority": rule.priority,
                "assigned_to": rule.assigned_to,
                "due_on": due_on,
                "order_id": None if letter else cause.subject,
            }
        )
        asked = _by(rule.id, now)
        task = Task.add(wanted, by=asked.caller.subject, time_zone=self._time_zone, at=now)
        task.rule_id = rule.id
        TaskRepository(tx).add(task)
        tx.tell([added(task.state, asked)])
        return task.id

    def _close(self, tx: Transaction, cause: KeptCause, now: Instant) -> None:
        task = None if cause.task_id is None else TaskRepository(tx).task(cause.task_id)
        # Whoever closed or removed it meanwhile was first.
        if task is None or not task.open:
            return
        changed = task.change({"status": _CLOSED[cause.ended or "gone"]}, at=now)
        tx.tell([changed_by(task.state, changed, _by(cause.rule_id, now))])


def _by(rule_id: UUID, now: Instant) -> Asked[None]:
    rule = f"rule:{rule_id}"
    return Asked(None, Principal(rule, "service"), now, Origin(rule))
