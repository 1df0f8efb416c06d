"""Orders as a file: those whom it works for may see, by the filters of their list, with every line."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import AwareDatetime, Field

from orderhouse.jobs.kind import Argument, Job, job
from orderhouse.kernel.text import Line
from orderhouse.runtime.tabular import Column, write_csv, write_json_lines, write_parquet

_OF_ORDERS = (
    Column("id"),
    Column("kind"),
    Column("status"),
    Column("currency"),
    Column("customer_id"),
    Column("country"),
    Column("placed_at", "instant"),
    Column("placed_by"),
    Column("assigned_to"),
    Column("source"),
    Column("external_reference"),
    Column("amount", "decimal"),
    Column("total", "decimal"),
    Column("note"),
)
_OF_LINES = (
    Column("line", "integer"),
    Column("sku"),
    Column("description"),
    Column("quantity", "integer"),
    Column("unit_price", "decimal"),
    Column("amount", "decimal"),
)
COLUMNS = (
    *(column._replace(name=f"order_{column.name}") for column in _OF_ORDERS[:1]),
    *_OF_ORDERS[1:11],
    *(column._replace(name=f"order_{column.name}") for column in _OF_ORDERS[11:13]),
    *_OF_ORDERS[13:],
    *_OF_LINES,
)
"""Of a table: a row for each line of each order."""


class OrdersWanted(Argument):
    """Which orders, as the list of orders filters them, and what they are written as."""

    format: Literal["csv", "jsonl", "parquet"] = "csv"
    status: Line | None = Field(None, max_length=20)
    customer: Line | None = Field(None, max_length=36)
    assigned_to: Line | None = Field(None, max_length=128)
    country: Line | None = Field(None, max_length=60)
    kind: Line | None = Field(None, max_length=20)
    currency: Line | None = Field(None, max_length=3)
    placed_from: AwareDatetime | None = None
    placed_to: AwareDatetime | None = None


@job(permission="orders:read")
def export_orders(argument: OrdersWanted, running: Job) -> Mapping[str, Any]:
    """Write the orders you may see to a file: CSV or Parquet with a row for each line, or an order a line as JSON."""
    filters = argument.model_dump(mode="json", exclude_none=True, exclude={"format"})
    made = running.folder / f"orders.{argument.format}"
    orders = _orders(filters, running)
    if argument.format == "jsonl":
        rows = write_json_lines(made, orders)
    else:
        write = write_csv if argument.format == "csv" else write_parquet
        rows = write(made, COLUMNS, _lines(orders))
    running.progress(rows, rows, "keeping the file")
    return {"file": running.keep(made), "rows": rows}


def _orders(filters: Mapping[str, str], running: Job) -> Iterator[Mapping[str, Any]]:
    after: str | None = None
    count = 0
    while True:
        found, after = running.wait_for(running.neighbours.orders.page(filters, running.caller, after))
        yield from found
        count += len(found)
        running.progress(count, note="orders read")
        running.check()
        if after is None:
            return


def _lines(orders: Iterator[Mapping[str, Any]]) -> Iterator[tuple[Any, ...]]:
    for order in orders:
        about = tuple(order[column.name] for column in _OF_ORDERS)
        for line in order["lines"]:
            yield (*about, *(line[column.name] for column in _OF_LINES))
