"""The words that a task is found by, and the table they are kept in."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from orderhouse.kernel.text import words_of
from orderhouse.runtime.database.tables import Id
from orderhouse.tasks.models.tables import Kept, Sorted

_MOST_WORDS = 200


class TaskWord(Kept):
    """A word of a task's title or description. What somebody searches for is looked up here by its beginning."""

    __tablename__ = "task_words"
    __table_args__ = ({"sqlite_with_rowid": False},)

    word: Mapped[str] = mapped_column(Sorted, primary_key=True)
    task_id: Mapped[UUID] = mapped_column(
        Id, ForeignKey("tasks.id", name="task_words_task", ondelete="CASCADE"), primary_key=True, index=True
    )


def words_in(title: str, description: str) -> Iterable[str]:
    """Return what a task is found by, each word once; of very many, the first."""
    return list(dict.fromkeys([*words_of(title), *words_of(description)]))[:_MOST_WORDS]
