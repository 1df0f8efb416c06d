"""`orderhouse import`: a source's file into orders and customers, with a progress bar and a report."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from orderhouse.assembly.contexts import Contexts
from orderhouse.assembly.data_folder import made
from orderhouse.assembly.process import settle_down
from orderhouse.kernel import money
from orderhouse.kernel.errors import Invalid
from orderhouse.orders.importers import driver
from orderhouse.orders.importers.online_retail import OnlineRetail
from orderhouse.orders.importers.report import ImportReport, ReportFile, Tally
from orderhouse.runtime.settings import Settings

SOURCES = {OnlineRetail.name: OnlineRetail}
"""The formats that can be imported, by the name the command line knows them by."""


class ReportUnwritable(Invalid):
    """The report cannot be written there."""

    code = "report_unwritable"


class SourceUnknown(Invalid):
    """There is no such format."""

    code = "source_unknown"


async def run(
    contexts: Contexts,
    settings: Settings,
    source: str,
    file: Path,
    *,
    update: bool,
    report: Path | None,
    console: Console,
) -> bool:
    """Import `file`, print what came of it, and return whether orders holds all it says now."""
    if source not in SOURCES:
        raise SourceUnknown(f"Known formats: {', '.join(SOURCES)}.")
    settle_down()
    with ExitStack() as open_files:
        opened = open_files.enter_context(SOURCES[source](file, made(settings.data_dir).resolve()))
        written = open_files.enter_context(_writable(report)) if report else None
        bar = open_files.enter_context(_bar(console))
        told = await driver.import_from(
            opened,
            orders=contexts.orders.database,
            service=contexts.orders.service,
            customers=contexts.customers.directory,
            update=update,
            report=ReportFile(written) if written else None,
            progress=_shown(bar),
        )
    _print(told, console)
    return told.clean


def _writable(report: Path) -> TextIO:
    try:
        return report.open("w", encoding="utf-8")
    except OSError as error:
        raise ReportUnwritable(f"{report}: {error.strerror}") from None


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, refresh_per_second=5)


def _shown(bar: Progress) -> Callable[[driver.Progress], None]:
    tasks: dict[str, TaskID] = {}

    def show(progress: driver.Progress) -> None:
        if progress.stage not in tasks:
            tasks[progress.stage] = bar.add_task(progress.stage, total=progress.total)
        bar.update(tasks[progress.stage], completed=progress.done, total=progress.total)

    return show


def _print(report: ImportReport, console: Console) -> None:
    counts = {outcome: f"{count:,}" for outcome, count in report.documents.items()}
    console.print(
        f"{report.rows:,} rows: {counts.get('new', '0')} documents new, {counts.get('there', '0')} there already, "
        f"{counts.get('replaced', '0')} replaced, {counts.get('changed', '0')} changed and left alone, "
        f"{counts.get('refused', '0')} refused"
    )
    table = Table("kind", "documents", "in the file", "in Orderhouse", box=None)
    for kind in sorted({*report.in_file, *report.in_orders}):
        in_file, in_orders = (tallies.get(kind, Tally()) for tallies in (report.in_file, report.in_orders))
        table.add_row(
            kind,
            f"{in_orders.documents:,} of {in_file.documents:,}",
            money.exact_text(in_file.amount, report.currency),
            money.exact_text(in_orders.amount, report.currency),
        )
    console.print(table)
    for row in report.first_refused:
        console.print(f"row {row.row}: {row.reason}", markup=False, highlight=False)
