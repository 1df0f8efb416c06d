"""What the tables of tasks share."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import BigInteger, Integer, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from orderhouse.kernel.clock import Instant
from orderhouse.runtime.database.tables import Id, tables_of

tables = tables_of("tasks")

# PostgreSQL would sort by the language of its server, and differently from SQLite.
Sorted = Text().with_variant(Text(collation="C"), "postgresql")


class Kept(DeclarativeBase):
    """Something that is kept in a table of tasks, and written by the ORM."""

    metadata = tables


class Versioned:
    """Something that counts its changes."""

    # A table begins with the id and ends with these, as its migration made it; what it is about stands between.
    id: Mapped[UUID] = mapped_column(Id, primary_key=True, sort_order=-1)
    version: Mapped[int] = mapped_column(Integer, sort_order=1)
    created_at: Mapped[int] = mapped_column(BigInteger, sort_order=1)
    updated_at: Mapped[int] = mapped_column(BigInteger, sort_order=1)

    def become(self, said: Mapping[str, object], *, at: Instant) -> bool:
        """Be as `said`, by the names of columns; return whether that is a difference, and so a new version."""
        if all(getattr(self, name) == value for name, value in said.items()):
            return False
        for name, value in said.items():
            setattr(self, name, value)
        self.version, self.updated_at = self.version + 1, at
        return True
