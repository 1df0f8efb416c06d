"""The rest of the house as jobs ask it: in the process that serves, and in a worker beside it."""

import asyncio
import fcntl
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from orderhouse.analytics.schemas import SalesQuery
from orderhouse.analytics.service import customers_of, with_customers
from orderhouse.analytics.wiring import Analytics
from orderhouse.assembly.contexts import Contexts
from orderhouse.assembly.importing import SOURCES, SourceUnknown
from orderhouse.assembly.pace import Pace
from orderhouse.customers.contract import CustomerDirectory
from orderhouse.jobs.kind import fitting
from orderhouse.jobs.neighbours import Cut, Neighbours, Told
from orderhouse.kernel import clock
from orderhouse.kernel.clock import Instant
from orderhouse.kernel.errors import Conflict
from orderhouse.kernel.principal import Principal
from orderhouse.orders import exports
from orderhouse.orders.importers import driver
from orderhouse.orders.importers.report import ReportFile
from orderhouse.orders.schemas import ListOrders
from orderhouse.runtime.readers import Source
from orderhouse.runtime.settings import Settings

_PATIENCE_MS = 30_000
_PAGE = 200


class NotServedHere(Conflict):
    """This is done by the process that serves the figures, and by no other."""

    code = "not_served_here"


def of_server(contexts: Contexts, analytics: Analytics) -> Neighbours:
    """Return what jobs ask in the process that serves."""
    return Neighbours(ServedSales(analytics, contexts.customers.directory), AllOrders(contexts), WholeHouse(contexts))


def of_worker(contexts: Contexts, sales: "OwnSales") -> Neighbours:
    """Return what jobs ask in a worker of its own."""
    return Neighbours(sales, AllOrders(contexts), WholeHouse(contexts))


class ServedSales:
    """The figures this process serves."""

    def __init__(self, analytics: Analytics, directory: CustomerDirectory) -> None:
        """Ask `analytics`, and `directory` for customers' names."""
        self._analytics = analytics
        self._directory = directory

    async def figures(self, cut: Cut, placed_by: Instant) -> Mapping[str, Any]:
        """Return sales as the API tells them."""
        age_ms = max(0, clock.now() - placed_by) // 1000
        fresh = await self._analytics.follower.refresh(max_age_ms=age_ms, patience_ms=_PATIENCE_MS)
        return await _figures(self._analytics, cut, fresh, self._directory)

    async def rebuild(self, told: Told) -> int:
        """Make the figures anew from the facts."""
        return await self._analytics.rebuild(lambda position: told(position, None, "facts read"))


class OwnSales:
    """The figures of a worker: in a file of its own, brought up to date when somebody asks.

    The server's file is open there, and nobody else may open it. A worker's is made from the same facts; it stays for
    the worker that comes after this one, so that it begins where this one was.
    """

    def __init__(self, folder: Path, source: Source, directory: CustomerDirectory, settings: Settings) -> None:
        """Keep the file in `folder`."""
        self._folder = folder
        self._source = source
        self._directory = directory
        self._settings = settings
        self._turn = asyncio.Lock()
        self._pace = Pace(settings.worker_rest)
        self._analytics: Analytics | None = None
        self._lock = -1

    async def figures(self, cut: Cut, placed_by: Instant) -> Mapping[str, Any]:
        """Return sales as the API tells them."""
        async with self._turn:
            if self._analytics is None:
                self._analytics = await asyncio.to_thread(self._opened)
            # Every time is a commit of the file, on the disk that orders wait for: who waited here has it done already.
            if self._analytics.follower.fresh_as_of < placed_by:
                await self._analytics.follower.catch_up()
        async with self._pace.turn():
            return await _figures(self._analytics, cut, self._analytics.follower.fresh_as_of, self._directory)

    async def rebuild(self, told: Told) -> int:  # noqa: ARG002 - it is done elsewhere
        """Refuse: these figures are nobody's but this worker's."""
        raise NotServedHere

    def _opened(self) -> Analytics:
        number = 1
        while True:
            file = self._folder / f"analytics-worker-{number}.duckdb"
            self._lock = os.open(file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with suppress(BlockingIOError):
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            os.close(self._lock)
            number += 1
        return Analytics.opened(
            file,
            self._source,
            time_zone=self._settings.time_zone,
            memory_mb=self._settings.analytics_memory_mb,
            threads=1,  # Others wait for the processor; nobody waits for a report.
        )

    async def close(self) -> None:
        """Close the file."""
        if self._analytics is not None:
            await self._analytics.close()
            os.close(self._lock)


async def _figures(analytics: Analytics, cut: Cut, fresh: Instant, directory: CustomerDirectory) -> Mapping[str, Any]:
    said = {"by": cut.by, "from": cut.first_day, "to": cut.last_day, "limit": cut.limit}
    query = fitting(SalesQuery, {**said, "time_zone": cut.time_zone, "currency": cut.currency})
    figures = await asyncio.to_thread(analytics.service.sales, query)
    if query.by == "customer":
        with_customers(figures["items"], await directory.cards(customers_of(figures["items"])))
    return {**figures, "fresh_as_of": clock.as_text(fresh)}


class AllOrders:
    """Orders, in and out in bulk."""

    def __init__(self, contexts: Contexts) -> None:
        """Ask and write these contexts."""
        self._contexts = contexts

    async def page(
        self, filters: Mapping[str, str], caller: Principal, after: str | None
    ) -> tuple[Sequence[Mapping[str, Any]], str | None]:
        """Return some of the orders `caller` may see, the earliest first."""
        more = {} if after is None else {"cursor": after}
        wanted = fitting(ListOrders, {**filters, "sort": "placed_at", "limit": _PAGE, **more})
        return await self._contexts.orders.database.scan(exports.page, wanted, caller)

    async def take(self, source: str, file: Path, report: Path, *, update: bool, told: Told) -> Mapping[str, Any]:
        """Import a source's file."""
        if source not in SOURCES:
            raise SourceUnknown(f"Known formats: {', '.join(SOURCES)}.")
        with SOURCES[source](file, file.parent) as opened, report.open("w", encoding="utf-8") as written:
            came_of_it = await driver.import_from(
                opened,
                orders=self._contexts.orders.database,
                service=self._contexts.orders.service,
                customers=self._contexts.customers.directory,
                update=update,
                report=ReportFile(written),
                progress=lambda progress: told(progress.done, progress.total, progress.stage),
            )
        return {**came_of_it.as_json(), "clean": came_of_it.clean}


class WholeHouse:
    """Everything that is kept for a time only."""

    def __init__(self, contexts: Contexts) -> None:
        """Look after these contexts."""
        self._contexts = contexts

    async def forget(self, before: Instant) -> Mapping[str, int]:
        """Remove what is older than `before`."""
        return await self._contexts.jobs.forget(before)
