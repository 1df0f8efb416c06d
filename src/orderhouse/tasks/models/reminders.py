"""Reminders of tasks, and the table they are kept in."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, Integer
from sqlalchemy.orm import Mapped, mapped_column

from orderhouse.kernel.clock import Instant
from orderhouse.runtime.database.tables import Id, partial_index
from orderhouse.tasks.models.tables import Kept


class TaskReminder(Kept):
    """That somebody is to be reminded of a task, and when; after that it stays, without a time."""

    __tablename__ = "task_reminders"
    __table_args__ = (
        # What is to be told next, the earliest first; most reminders have been told.
        partial_index("task_reminders_next", "next_at", where="next_at IS NOT NULL"),
        {"sqlite_with_rowid": False},
    )

    task_id: Mapped[UUID] = mapped_column(
        Id, ForeignKey("tasks.id", name="task_reminders_task", ondelete="CASCADE"), primary_key=True
    )
    hours_before: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    next_at: Mapped[int | None] = mapped_column(BigInteger)


class DueReminder(NamedTuple):
    """A reminder that is due, of a task as it is now."""

    task_id: UUID
    hours_before: int
    due_at: Instant
    assigned_to: str | None
