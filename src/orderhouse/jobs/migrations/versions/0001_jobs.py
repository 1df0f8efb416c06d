"""Jobs."""

import sqlalchemy as sa
from alembic import op

from orderhouse.runtime import runtime_tables
from orderhouse.runtime.database.tables import Id, Json

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    runtime_tables.create()
    op.create_table(
        "jobs",
        sa.Column("id", Id, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        sa.Column("argument", Json, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("trace", sa.Text, nullable=False),
        sa.Column("unique_key", sa.Text),
        sa.Column("deadline", sa.BigInteger),
        sa.Column("run_at", sa.BigInteger, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("cancelling", sa.Boolean, nullable=False),
        sa.Column("result", Json),
        sa.Column("error", Json),
        sa.Column("told", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
    )
    for leading in ("state", "kind", "owner"):
        op.create_index(f"jobs_{leading}", "jobs", [leading, "id"])
    _partial("jobs_ended", ["ended_at"], "ended_at IS NOT NULL", unique=False)
    _partial("jobs_unique", ["kind", "unique_key"], "unique_key IS NOT NULL AND state IN ('pending', 'running')")


def downgrade() -> None:
    """Take them away again."""
    op.drop_table("jobs")
    runtime_tables.drop()


def _partial(name: str, columns: list[str], where: str, *, unique: bool = True) -> None:
    op.create_index(name, "jobs", columns, unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
