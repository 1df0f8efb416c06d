"""Orders, their lines, and the cards of customers."""

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
        "orders",
        sa.Column("id", Id, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("customer_id", Id),
        sa.Column("country", sa.Text),
        sa.Column("placed_at", sa.BigInteger, nullable=False),
        sa.Column("placed_by", sa.Text, nullable=False),
        sa.Column("owner_id", sa.Text),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("external_reference", sa.Text),
        sa.Column("note", sa.Text),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("line_count", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("fingerprint", sa.LargeBinary),
    )
    for name, *columns in (
        ("orders_placed", "placed_at", "id"),
        ("orders_status", "status", "placed_at", "id"),
        ("orders_customer", "customer_id", "placed_at", "id"),
        ("orders_owner", "owner_id", "placed_at", "id"),
        ("orders_country", "country", "placed_at", "id"),
    ):
        op.create_index(name, "orders", columns)
    _partial("orders_kind", ["kind", "placed_at", "id"], "kind <> 'sale'")
    _partial("orders_handed_over", ["placed_by", "placed_at", "id"], "placed_by <> owner_id")
    _partial("orders_reference", ["source", "external_reference"], "external_reference IS NOT NULL", unique=True)
    op.create_table(
        "order_lines",
        sa.Column("order_id", Id, sa.ForeignKey("orders.id"), primary_key=True),
        sa.Column("line", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("sku", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("unit_price", sa.BigInteger, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "order_reasons",
        sa.Column("order_id", Id, sa.ForeignKey("orders.id"), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("reason", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "customer_cards",
        sa.Column("customer_id", Id, primary_key=True),
        sa.Column("active", sa.Boolean, nullable=False),
        sa.Column("country", sa.Text),
        sa.Column("version", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Take them away again."""
    for table in ("customer_cards", "order_reasons", "order_lines", "orders"):
        op.drop_table(table)
    runtime_tables.drop()


def _partial(name: str, columns: list[str], where: str, *, unique: bool = False) -> None:
    op.create_index(
        name, "orders", columns, unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where)
    )
