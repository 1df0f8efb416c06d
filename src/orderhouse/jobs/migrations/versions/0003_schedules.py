"""Schedules, and jobs of which one with a key runs at a time."""

from uuid import UUID

import sqlalchemy as sa
from alembic import op

from orderhouse.runtime.database.tables import Id, Json

revision = "0003"
down_revision = "0002"

_CLEAN_UP = {
    "id": UUID("01997a3e-0000-7000-8000-000000000001"),
    "name": "Clean up every night",
    "kind": "clean-up",
    "argument": "{}",
    "priority": 2,
    "cron": "17 3 * * *",
    "time_zone": "UTC",
    "enabled": True,
    "owner": "orderhouse",
    "role": "owner",
    "next_at": 0,
    "version": 1,
    "created_at": 0,
    "updated_at": 0,
}
"""The one schedule a house comes with. Whoever removes it does without."""


def upgrade() -> None:
    """Make the table and the column."""
    made = op.create_table(
        "schedules",
        sa.Column("id", Id, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("argument", Json, nullable=False),
        sa.Column("priority", sa.SmallInteger, nullable=False),
        sa.Column("cron", sa.Text, nullable=False),
        sa.Column("time_zone", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("last_at", sa.BigInteger),
        sa.Column("last_job", Id),
        sa.Column("refused", sa.Text),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index("schedules_name", "schedules", ["name"], unique=True)
    enabled = sa.text("enabled")
    op.create_index("schedules_next", "schedules", ["next_at"], sqlite_where=enabled, postgresql_where=enabled)
    argument = {} if op.get_bind().dialect.name == "postgresql" else _CLEAN_UP["argument"]
    op.bulk_insert(made, [{**_CLEAN_UP, "argument": argument}])
    op.add_column("jobs", sa.Column("concurrency_key", sa.Text))
    waiting = sa.text("concurrency_key IS NOT NULL AND state = 'pending'")
    op.create_index("jobs_waiting", "jobs", ["concurrency_key", "id"], sqlite_where=waiting, postgresql_where=waiting)


def downgrade() -> None:
    """Take them away again."""
    op.drop_index("jobs_waiting", "jobs")
    op.drop_column("jobs", "concurrency_key")
    op.drop_table("schedules")
