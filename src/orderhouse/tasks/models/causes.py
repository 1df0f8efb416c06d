"""Why rules raise tasks, and the table that is kept in. Plain SQL writes it: it goes with facts, many at once."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import BigInteger, Column, Table, Text

from orderhouse.kernel.clock import Instant
from orderhouse.runtime.database.tables import Id, partial_index
from orderhouse.tasks.models.tables import tables


class Cause(NamedTuple):
    """That something is as a rule asks, since when, and when a task is due for it."""

    since: Instant
    due_at: Instant


class KeptCause(NamedTuple):
    """A cause as it is kept, with the task it came to; `ended` says why it is one no longer."""

    rule_id: UUID
    subject: UUID
    since: Instant
    task_id: UUID | None
    ended: str | None


task_causes = Table(
    "task_causes",
    tables,
    # One cause comes to one task, however often it is told of.
    Column("rule_id", Id, primary_key=True),
    Column("subject", Id, primary_key=True),
    Column("since", BigInteger, primary_key=True),
    Column("next_at", BigInteger),
    Column("task_id", Id),
    Column("ended", Text),
    # What there is something to do about, the earliest first; most causes have their task, and are left alone.
    partial_index("task_causes_next", "next_at", where="next_at IS NOT NULL"),
    sqlite_with_rowid=False,
)
