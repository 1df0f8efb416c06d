"""Reminders."""

import sqlalchemy as sa
from alembic import op

from orderhouse.runtime.database.tables import Id

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "task_reminders",
        sa.Column("task_id", Id, primary_key=True),
        sa.Column("hours_before", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("next_at", sa.BigInteger),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="task_reminders_task", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    due = sa.text("next_at IS NOT NULL")
    op.create_index("task_reminders_next", "task_reminders", ["next_at"], sqlite_where=due, postgresql_where=due)


def downgrade() -> None:
    """Take it away again."""
    op.drop_table("task_reminders")
