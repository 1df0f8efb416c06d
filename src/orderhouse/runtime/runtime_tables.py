"""The runtime's own tables as migrations: every context's first revision makes them.

Frozen like any migration: when `database/tables.py` changes, the next revision of every context does, not this.
"""

import sqlalchemy as sa
from alembic import op

from orderhouse.runtime.database.tables import Id, Json, Position


def create() -> None:
    """Make the log of facts, the stored answers, the readers' places and the queue."""
    op.create_table(
        "facts",
        sa.Column("position", Position, primary_key=True, autoincrement=False),
        sa.Column("id", Id, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("version", sa.SmallInteger, nullable=False),
        sa.Column("aggregate", Id, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("data", Json, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("trace", sa.Text, nullable=False),
        sa.UniqueConstraint("aggregate", "sequence", name="facts_aggregate"),
    )
    head = op.create_table(
        "fact_head",
        sa.Column("only", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(head, [{"only": 1, "position": 0}])
    _create_answers(rowid=False)
    op.create_table(
        "readers",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("position", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "queue",
        sa.Column("id", Id, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("lane", sa.Text, nullable=False),
        sa.Column("payload", Json, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("queue_due", "queue", ["kind", "state", "due_at", "id"])
    op.create_index("queue_lane", "queue", ["kind", "lane", "id"])


def drop() -> None:
    """Take them away again."""
    for table in ("queue", "readers", "answers", "fact_head", "facts"):
        op.drop_table(table)


def lay_answers_out(*, rowid: bool) -> None:
    """Have SQLite keep stored answers in the order they come, or in that of their ids; PostgreSQL knows one way."""
    if op.get_context().dialect.name != "sqlite":
        return
    op.drop_index("answers_kept_at", "answers")
    op.rename_table("answers", "answers_before")
    _create_answers(rowid=rowid)
    columns = "id, fingerprint, status, headers, body, kept_at"
    op.execute(f"INSERT INTO answers ({columns}) SELECT {columns} FROM answers_before ORDER BY kept_at")
    op.drop_table("answers_before")


def _create_answers(*, rowid: bool) -> None:
    op.create_table(
        "answers",
        sa.Column("id", Id, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.SmallInteger, nullable=False),
        sa.Column("headers", sa.Text, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("kept_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=rowid,
    )
    op.create_index("answers_kept_at", "answers", ["kept_at"])
