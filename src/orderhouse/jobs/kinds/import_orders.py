"""A source's file into orders and customers."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import Field

from orderhouse.jobs.kind import Argument, Job, Retry, job
from orderhouse.kernel.text import Line


class FileOfOrders(Argument):
    """Which file, and whose."""

    file: UUID = Field(description="One whose content was put to /v1/files before.")
    source: Line = Field("online-retail", max_length=64, description="Its format.")
    update: bool = Field(default=False, description="Whether documents that changed since are taken again.")


# A document is imported once, so an attempt that was lost half-way is gone on with by the next.
@job(permission="orders:import", retry=Retry(attempts=10), time_limit_s=6 * 3600)
def import_orders(argument: FileOfOrders, running: Job) -> Mapping[str, Any]:
    """Import a file of orders; what was refused, row by row and with its reason, is a file of the result."""
    brought = running.fetch(argument.file, "brought")
    report = running.folder / "report.jsonl"
    came_of_it = running.wait_for(
        running.neighbours.orders.take(argument.source, brought, report, update=argument.update, told=running.progress)
    )
    return {"report": running.keep(report), **came_of_it}
