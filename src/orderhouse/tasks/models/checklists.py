"""An item of a task's checklist, and the table it is kept in."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from orderhouse.kernel import ids
from orderhouse.kernel.clock import Instant
from orderhouse.runtime.database.tables import Id
from orderhouse.tasks.models.tables import Kept, Versioned
from orderhouse.tasks.schemas.checklists import AddItem, ChangeItem


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


class ChecklistItem(Versioned, Kept):
    """One of the steps a task consists of."""

    __tablename__ = "checklist_items"
    __table_args__ = (
        # A task's checklist, in the order of adding.
        Index("checklist_items_task", "task_id", "id"),
    )

    task_id: Mapped[UUID] = mapped_column(
        Id, ForeignKey("tasks.id", name="checklist_items_task_fk", ondelete="CASCADE")
    )
    text: Mapped[str] = mapped_column(Text)
    done: Mapped[bool]

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
        return self.become(wanted.model_dump(exclude_unset=True), at=at)

    @property
    def state(self) -> ItemState:
        """The item as it is now."""
        return ItemState(self.id, self.task_id, self.text, self.done, self.version, self.created_at, self.updated_at)
