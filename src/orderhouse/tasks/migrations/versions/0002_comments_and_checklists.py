"""Comments and checklists."""

import sqlalchemy as sa
from alembic import op

from orderhouse.runtime.database.tables import Id

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make their tables."""
    _belonging("task_comments", sa.Column("author", sa.Text, nullable=False))
    _belonging("checklist_items", sa.Column("done", sa.Boolean, nullable=False))


def downgrade() -> None:
    """Take them away again."""
    for table in ("checklist_items", "task_comments"):
        op.drop_table(table)


def _belonging(table: str, own: sa.Column[str] | sa.Column[bool]) -> None:
    op.create_table(
        table,
        sa.Column("id", Id, primary_key=True),
        sa.Column("task_id", Id, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        own,
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=f"{table}_task_fk", ondelete="CASCADE"),
    )
    op.create_index(f"{table}_task", table, ["task_id", "id"])
