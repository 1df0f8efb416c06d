"""Orders as they leave in bulk: pages of them, whole."""

from collections.abc import Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

from orderhouse.kernel import money
from orderhouse.kernel.principal import Principal
from orderhouse.orders import reads
from orderhouse.orders.repository import team_mates
from orderhouse.orders.schemas import ListOrders
from orderhouse.runtime.database.sql import as_id
from orderhouse.runtime.database.transaction import Reading


def page(reading: Reading, wanted: ListOrders, caller: Principal) -> tuple[list[dict[str, Any]], str | None]:
    """Return a page of the orders `caller` may see, each with its note and its lines, and the cursor of the next."""
    shown, following = reads.page(reading, wanted, caller, team_mates(reading, caller))
    ids = [UUID(order["id"]) for order in shown]
    notes = {as_id(row[0]): row[1] for row in reading.rows("SELECT id, note FROM orders WHERE id IN :ids", ids=ids)}
    found = reading.rows(
        "SELECT order_id, line, sku, description, quantity, unit_price, amount FROM order_lines "
        "WHERE order_id IN :ids ORDER BY order_id, line",
        ids=ids,
    )
    lines = {as_id(order): list(rows) for order, rows in groupby(found, key=itemgetter(0))}
    return [_whole(order, notes, lines) for order in shown], following


def _whole(order: dict[str, Any], notes: Mapping[UUID, str | None], lines: Mapping[UUID, list[Any]]) -> dict[str, Any]:
    order_id, currency = UUID(order["id"]), order["currency"]
    return {
        **order,
        "note": notes.get(order_id),
        "lines": [
            {
                "line": line,
                "sku": sku,
                "description": description,
                "quantity": quantity,
                "unit_price": money.exact_text(unit_price, currency),
                "amount": money.exact_text(amount, currency),
            }
            for _, line, sku, description, quantity, unit_price, amount in lines.get(order_id, ())
        ],
    }
