"""Customers."""

import sqlalchemy as sa
from alembic import op

from orderhouse.runtime import runtime_tables
from orderhouse.runtime.database.tables import Id

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    runtime_tables.create()
    op.create_table(
        "customers",
        sa.Column("id", Id, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("email", sa.Text),
        sa.Column("email_key", sa.Text),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("external_id", sa.Text),
        sa.Column("country", sa.Text),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    _unique("customers_email", ["email_key"], "email_key IS NOT NULL")
    _unique("customers_external_id", ["external_id", "source"], "external_id IS NOT NULL")
    op.create_index("customers_name", "customers", ["name_key", "id"])
    op.create_index("customers_active", "customers", ["active", "id"])
    op.create_index("customers_active_name", "customers", ["active", "name_key", "id"])


def downgrade() -> None:
    """Take them away again."""
    op.drop_table("customers")
    runtime_tables.drop()


def _unique(name: str, columns: list[str], where: str) -> None:
    op.create_index(
        name, "customers", columns, unique=True, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
    )
