"""Every query that writing tasks needs, and nothing else; through the ORM."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import select

from orderhouse.kernel.errors import Refusal
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.tasks.models import Task

REFUSALS: Mapping[str, type[Refusal]] = {}
"""What it means that a constraint of the database was broken."""


class TaskRepository:
    """Tasks and what belongs to them, in one transaction. What is changed about what it returns is kept with it."""

    def __init__(self, tx: Transaction) -> None:
        """Work in `tx`."""
        self._session = tx.session

    def add(self, *made: Task) -> None:
        """Keep what is new."""
        self._session.add_all(made)

    def remove(self, gone: Task) -> None:
        """Keep it no longer, nor what belongs to it."""
        self._session.delete(gone)

    def task(self, task_id: UUID) -> Task | None:
        """Return a task that nobody else changes before this transaction ends."""
        return self._session.scalars(select(Task).where(Task.id == task_id).with_for_update()).one_or_none()
