"""Orders as they leave in bulk: pages of them, whole."""

from typing import Any
from uuid import UUID

from orderhouse.kernel.principal import Principal
from orderhouse.orders import reads
from orderhouse.orders.repository import lines_of, team_mates
from orderhouse.orders.schemas import ListOrders
from orderhouse.runtime.database.sql import id_text
from orderhouse.runtime.database.transaction import Reading


def page(reading: Reading, wanted: ListOrders, caller: Principal) -> tuple[list[dict[str, Any]], str | None]:
    """Return a page of the orders `caller` may see, each with its note and its lines, and the cursor of the next."""
    shown, following = reads.page(reading, wanted, caller, team_mates(reading, caller))
    found = reading.rows(
        "SELECT id, note, lines FROM orders WHERE id IN :ids", ids=[UUID(order["id"]) for order in shown]
    )
    kept = {id_text(order_id): rest for order_id, *rest in found}
    return [_whole(order, *kept[order["id"]]) for order in shown], following


def _whole(order: dict[str, Any], note: str | None, lines: str) -> dict[str, Any]:
    return {**order, "note": note, "lines": reads.lines_shown(lines_of(lines), order["currency"])}
