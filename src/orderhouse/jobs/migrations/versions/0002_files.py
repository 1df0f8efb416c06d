"""Files, and jobs that are done at home."""

import sqlalchemy as sa
from alembic import op

from orderhouse.runtime.database.tables import Id

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables, and say of the jobs there are that they are done anywhere."""
    op.create_table(
        "files",
        sa.Column("id", Id, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("content", Id),
        sa.Column("size", sa.BigInteger),
        sa.Column("digest", sa.LargeBinary),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("files_expire", "files", ["expires_at"])
    op.create_index("files_content", "files", ["content"])
    op.create_table(
        "file_pieces",
        sa.Column("content", Id, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("kept_at", sa.BigInteger, nullable=False),
    )
    op.create_index("file_pieces_kept", "file_pieces", ["kept_at"])
    op.add_column("jobs", sa.Column("at_home", sa.Boolean, nullable=False, server_default=sa.false()))


def downgrade() -> None:
    """Take them away again."""
    op.drop_column("jobs", "at_home")
    op.drop_table("file_pieces")
    op.drop_table("files")
