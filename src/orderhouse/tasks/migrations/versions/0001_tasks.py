"""Tasks."""

import sqlalchemy as sa
from alembic import op

from orderhouse.runtime import runtime_tables
from orderhouse.runtime.database.tables import Id

revision = "0001"
down_revision = None

_SORTED = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    runtime_tables.create()
    op.create_table(
        "tasks",
        sa.Column("id", Id, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("open", sa.Boolean, nullable=False),
        sa.Column("urgency", sa.BigInteger, nullable=False),
        sa.Column("assigned_to", sa.Text),
        sa.Column("due_on", sa.Text),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("order_id", Id),
        sa.Column("customer_id", Id),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("closed_at", sa.BigInteger),
    )
    op.create_index("tasks_due", "tasks", ["due_at", "id"])
    op.create_index("tasks_priority", "tasks", ["urgency", "due_at", "id"])
    op.create_index("tasks_open", "tasks", ["open", "id"])
    op.create_index("tasks_open_due", "tasks", ["open", "due_at", "id"])
    op.create_index("tasks_open_priority", "tasks", ["open", "urgency", "due_at", "id"])
    op.create_index("tasks_status", "tasks", ["status", "id"])
    op.create_index("tasks_status_due", "tasks", ["status", "due_at", "id"])
    op.create_index("tasks_status_priority", "tasks", ["status", "urgency", "due_at", "id"])
    op.create_index("tasks_assigned_to", "tasks", ["assigned_to", "open", "due_at", "id"])
    _some("tasks_order", "order_id")
    _some("tasks_customer", "customer_id")
    _belonging("task_tags", sa.Column("tag", _SORTED, primary_key=True))
    op.create_index("task_tags_tag", "task_tags", ["tag", "task_id"])
    _belonging("task_watchers", sa.Column("watcher", _SORTED, primary_key=True))
    op.create_index("task_watchers_watcher", "task_watchers", ["watcher", "task_id"])
    op.create_table(
        "task_words",
        sa.Column("word", _SORTED, primary_key=True),
        sa.Column("task_id", Id, primary_key=True),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name="task_words_task", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_task_words_task_id", "task_words", ["task_id"])


def downgrade() -> None:
    """Take them away again."""
    for table in ("task_words", "task_watchers", "task_tags", "tasks"):
        op.drop_table(table)
    runtime_tables.drop()


def _some(name: str, column: str) -> None:
    where = sa.text(f"{column} IS NOT NULL")
    op.create_index(name, "tasks", [column, "id"], sqlite_where=where, postgresql_where=where)


def _belonging(table: str, *columns: sa.Column[str]) -> None:
    op.create_table(
        table,
        sa.Column("task_id", Id, primary_key=True),
        *columns,
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], name=f"{table}_task", ondelete="CASCADE"),
        sqlite_with_rowid=False,
    )
