"""Who is in which team."""

import sqlalchemy as sa
from alembic import op

from orderhouse.runtime.database.tables import Id

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table; the facts that fill it are read from the first one on."""
    op.create_table(
        "team_members",
        sa.Column("team_id", Id, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("present", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("team_id", "user_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("team_members_user", "team_members", ["user_id", "team_id"])


def downgrade() -> None:
    """Take it away again."""
    op.drop_table("team_members")
