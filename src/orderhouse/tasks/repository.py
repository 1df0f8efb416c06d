"""Every query that writing tasks needs, and nothing else; through the ORM."""

from collections.abc import Mapping
from typing import TypeVar
from uuid import UUID

from sqlalchemy import func, select

from orderhouse.kernel.errors import Refusal
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.tasks.models import ChecklistItem, Task, TaskComment

P = TypeVar("P", TaskComment, ChecklistItem)

REFUSALS: Mapping[str, type[Refusal]] = {}
"""What it means that a constraint of the database was broken."""


class TaskRepository:
    """Tasks and what belongs to them, in one transaction. What is changed about what it returns is kept with it."""

    def __init__(self, tx: Transaction) -> None:
        """Work in `tx`."""
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
