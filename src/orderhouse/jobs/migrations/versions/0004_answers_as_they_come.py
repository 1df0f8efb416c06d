"""Stored answers are kept in the order they come."""

from orderhouse.runtime import runtime_tables

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Lay them out anew; there are those of a day."""
    runtime_tables.lay_answers_out(rowid=True)


def downgrade() -> None:
    """Lay them out as they were."""
    runtime_tables.lay_answers_out(rowid=False)
