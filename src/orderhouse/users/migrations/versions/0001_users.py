"""Users, invitations, teams and custom roles."""

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
        "users",
        sa.Column("id", Id, primary_key=True),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("email_key", sa.Text, nullable=False),
        sa.Column("email_verified", sa.Boolean, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", _SORTED, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("customer_id", Id),
        *_versioned(),
    )
    op.create_index("users_email", "users", ["email_key"], unique=True)
    for leading in ("status", "role"):
        op.create_index(f"users_{leading}", "users", [leading, "id"])
        op.create_index(f"users_{leading}_name", "users", [leading, "name_key", "id"])
    op.create_index("users_name", "users", ["name_key", "id"])
    op.create_table(
        "user_words",
        sa.Column("word", _SORTED, primary_key=True),
        sa.Column("user_id", Id, _of("users", "user_words_user"), primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_user_words_user_id", "user_words", ["user_id"])
    op.create_table(
        "invitations",
        sa.Column("id", Id, primary_key=True),
        sa.Column("user_id", Id, _of("users", "invitations_user_fk"), nullable=False),
        sa.Column("token_hash", sa.LargeBinary),
        sa.Column("invited_by", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("accepted_at", sa.BigInteger),
    )
    op.create_index("invitations_user", "invitations", ["user_id"], unique=True)
    op.create_index("invitations_token", "invitations", ["token_hash"], unique=True)
    op.create_index("invitations_open", "invitations", ["accepted_at", "id"])
    op.create_table(
        "teams",
        sa.Column("id", Id, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", _SORTED, nullable=False),
        *_versioned(),
    )
    op.create_index("teams_name", "teams", ["name_key"], unique=True)
    op.create_table(
        "team_members",
        sa.Column("team_id", Id, _of("teams", "team_members_team_fk"), primary_key=True),
        sa.Column("user_id", Id, _of("users", "team_members_user_fk"), primary_key=True),
        sa.Column("added_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("team_members_user", "team_members", ["user_id", "team_id"])
    op.create_table(
        "custom_roles",
        sa.Column("id", Id, primary_key=True),
        sa.Column("name", _SORTED, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("permissions", sa.Text, nullable=False),
        *_versioned(),
    )
    op.create_index("custom_roles_name", "custom_roles", ["name"], unique=True)


def downgrade() -> None:
    """Take them away again."""
    for table in ("custom_roles", "team_members", "teams", "invitations", "user_words", "users"):
        op.drop_table(table)
    runtime_tables.drop()


def _versioned() -> list[sa.Column[int]]:
    return [
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    ]


def _of(table: str, name: str) -> sa.ForeignKey:
    return sa.ForeignKey(f"{table}.id", name=name, ondelete="CASCADE")
