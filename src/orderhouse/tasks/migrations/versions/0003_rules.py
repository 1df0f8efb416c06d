"""Rules that raise tasks, what they look at, and two of them to begin with."""

from uuid import UUID

import sqlalchemy as sa
from alembic import op

from orderhouse.runtime.database.tables import Id

revision = "0003"
down_revision = "0002"

_BEGIN = 1_763_683_200_000_000


def upgrade() -> None:
    """Make the tables, and the rules."""
    rules = op.create_table(
        "task_rules",
        sa.Column("id", Id, primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("condition", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("urgency", sa.Integer, nullable=False),
        sa.Column("assigned_to", sa.Text),
        sa.Column("due_in_days", sa.Integer),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "order_marks",
        sa.Column("id", Id, primary_key=True),
        sa.Column("status_sequence", sa.Integer, nullable=False),
        sa.Column("held_since", sa.BigInteger),
        sa.Column("document_sequence", sa.Integer, nullable=False),
        sa.Column("credit", sa.BigInteger),
        sa.Column("currency", sa.Text),
        sa.Column("placed_at", sa.BigInteger),
        sa.Column("told_at", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    _some("order_marks_held", "order_marks", ["held_since"], "held_since IS NOT NULL")
    _some("order_marks_credit", "order_marks", ["currency", "told_at"], "credit IS NOT NULL")
    op.create_table(
        "task_causes",
        sa.Column("rule_id", Id, primary_key=True),
        sa.Column("subject", Id, primary_key=True),
        sa.Column("since", sa.BigInteger, primary_key=True),
        sa.Column("next_at", sa.BigInteger),
        sa.Column("task_id", Id),
        sa.Column("ended", sa.Text),
        sqlite_with_rowid=False,
    )
    _some("task_causes_next", "task_causes", ["next_at"], "next_at IS NOT NULL")
    with op.batch_alter_table("tasks") as tasks:
        tasks.add_column(sa.Column("rule_id", Id))
    _some("tasks_rule", "tasks", ["rule_id", "id"], "rule_id IS NOT NULL")
    op.bulk_insert(rules, [_rule(*rule) for rule in _RULES])


_RULES = [
    (
        "019aa3c5-6c00-7000-8000-000000000001",
        "An order is on hold for two days",
        '{"kind":"order_on_hold","after_hours":48}',
    ),
    ("019aa3c5-6c00-7000-8000-000000000002", "A fact cannot be read", '{"kind":"dead_letter","reader":null}'),
]


def _rule(rule_id: str, title: str, condition: str) -> dict[str, object]:
    return {
        "id": UUID(rule_id),
        "title": title,
        "condition": condition,
        "enabled": True,
        "urgency": 1,
        "version": 1,
        "created_at": _BEGIN,
        "updated_at": _BEGIN,
    }


def downgrade() -> None:
    """Take them away again."""
    op.drop_index("tasks_rule", "tasks")
    with op.batch_alter_table("tasks") as tasks:
        tasks.drop_column("rule_id")
    for table in ("task_causes", "order_marks", "task_rules"):
        op.drop_table(table)


def _some(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
