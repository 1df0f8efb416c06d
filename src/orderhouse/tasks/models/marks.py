"""What is kept of orders that rules may ask about. Plain SQL writes it: it goes with facts, many at once."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, Column, Integer, Table, Text

from orderhouse.kernel.clock import Instant
from orderhouse.runtime.database.tables import Id, partial_index
from orderhouse.tasks.models.tables import tables


class OrderMark(NamedTuple):
    """What tasks keeps of an order that a rule may ask about.

    Each half goes by the sequence of the latest fact it is from: earlier ones that come late change nothing.
    """

    id: UUID
    status_sequence: int = 0
    held_since: Instant | None = None
    document_sequence: int = 0
    credit: int | None = None
    """Of a credit: how much it gives back, exact."""
    currency: str | None = None
    placed_at: Instant | None = None
    told_at: Instant | None = None

    def standing(self, sequence: int, *, held_since: Instant | None) -> "OrderMark":
        """Return it after a fact about its status."""
        if sequence <= self.status_sequence:
            return self
        return self._replace(status_sequence=sequence, held_since=held_since)

    def amounting(
        self, sequence: int, *, credit: int | None, currency: str, placed_at: Instant, told_at: Instant
    ) -> "OrderMark":
        """Return it after a fact about what it amounts to."""
        if sequence <= self.document_sequence:
            return self
        return self._replace(
            document_sequence=sequence, credit=credit, currency=currency, placed_at=placed_at, told_at=told_at
        )


order_marks = Table(
    "order_marks",
    tables,
    Column("id", Id, primary_key=True),
    Column("status_sequence", Integer, nullable=False),
    Column("held_since", BigInteger),
    Column("document_sequence", Integer, nullable=False),
    Column("credit", BigInteger),
    Column("currency", Text),
    Column("placed_at", BigInteger),
    Column("told_at", BigInteger),
    # A rule that was changed asks which orders are on hold, or which credits there were since.
    partial_index("order_marks_held", "held_since", where="held_since IS NOT NULL"),
    partial_index("order_marks_credit", "currency", "told_at", where="credit IS NOT NULL"),
    sqlite_with_rowid=False,
)
