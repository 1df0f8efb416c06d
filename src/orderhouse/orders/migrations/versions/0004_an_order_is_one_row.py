"""An order's lines are kept in its own row."""

import sqlalchemy as sa
from alembic import op

from orderhouse.runtime.database.tables import Id, Json

revision = "0004"
down_revision = "0003"

_COLUMNS = "line, sku, description, quantity, unit_price, amount"
_GATHER = {
    "sqlite": f"""
        UPDATE orders SET lines = (
            SELECT json_group_array(json_array({_COLUMNS}))
            FROM (SELECT * FROM order_lines WHERE order_id = orders.id ORDER BY line)
        )
    """,
    "postgresql": f"""
        UPDATE orders SET lines = gathered.lines FROM (
            SELECT order_id, jsonb_agg(jsonb_build_array({_COLUMNS}) ORDER BY line) AS lines
            FROM order_lines GROUP BY order_id
        ) AS gathered WHERE gathered.order_id = orders.id
    """,
}
_SPREAD = {
    "sqlite": """
        INSERT INTO order_lines SELECT
            orders.id, json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
            json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]')
        FROM orders, json_each(orders.lines)
    """,
    "postgresql": """
        INSERT INTO order_lines SELECT
            orders.id, (line ->> 0)::smallint, line ->> 1, line ->> 2,
            (line ->> 3)::int, (line ->> 4)::bigint, (line ->> 5)::bigint
        FROM orders, jsonb_array_elements(orders.lines) AS line
    """,
}


def upgrade() -> None:
    """Gather each order's lines."""
    op.add_column("orders", sa.Column("lines", Json, nullable=False, server_default="[]"))
    op.execute(_GATHER[op.get_context().dialect.name])
    op.drop_table("order_lines")


def downgrade() -> None:
    """Give each line a row of its own again."""
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
    op.execute(_SPREAD[op.get_context().dialect.name])
    op.drop_column("orders", "lines")
