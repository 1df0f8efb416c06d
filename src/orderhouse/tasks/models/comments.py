"""A comment, and the table it is kept in."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from orderhouse.kernel import ids
from orderhouse.kernel.clock import Instant
from orderhouse.runtime.database.tables import Id
from orderhouse.tasks.models.tables import Kept, Versioned


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


class TaskComment(Versioned, Kept):
    """What somebody said about a task."""

    __tablename__ = "task_comments"
    __table_args__ = (
        # A task's comments, in the order of adding.
        Index("task_comments_task", "task_id", "id"),
    )

    task_id: Mapped[UUID] = mapped_column(Id, ForeignKey("tasks.id", name="task_comments_task_fk", ondelete="CASCADE"))
    text: Mapped[str] = mapped_column(Text)
    author: Mapped[str] = mapped_column(Text)

    @classmethod
    def add(cls, task_id: UUID, comment: str, *, by: str, at: Instant) -> "TaskComment":
        """Return a new comment."""
        return cls(id=ids.new_id(), task_id=task_id, text=comment, author=by, version=1, created_at=at, updated_at=at)

    def change(self, comment: str, *, at: Instant) -> bool:
        """Say `comment` instead; return whether that made a difference."""
        return self.become({"text": comment}, at=at)

    @property
    def state(self) -> CommentState:
        """The comment as it is now."""
        return CommentState(
            self.id, self.task_id, self.text, self.author, self.version, self.created_at, self.updated_at
        )
