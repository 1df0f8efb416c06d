"""Orders and customers over real, migrated databases, as an import sees them. As a program: one import into them."""

import asyncio
import io
import json
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orderhouse.customers.wiring import Customers
from orderhouse.kernel import money
from orderhouse.orders.importers.driver import Progress, import_from
from orderhouse.orders.importers.online_retail import OnlineRetail
from orderhouse.orders.importers.report import ImportReport, ReportFile
from orderhouse.orders.repository import lines_of
from orderhouse.orders.service import OrderService
from orderhouse.orders.wiring import Orders
from orderhouse.runtime import facts
from orderhouse.runtime.database.database import Database
from tests.installation import Installation


@dataclass(frozen=True)
class World:
    """Both contexts, open."""

    folder: Path
    customers: Customers
    orders: Orders

    async def take(
        self,
        file: Path,
        *,
        update: bool = False,
        report: io.StringIO | None = None,
        orders: Database | None = None,
        service: OrderService | None = None,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> ImportReport:
        with OnlineRetail(file, self.folder) as source:
            return await import_from(
                source,
                orders=orders or self.orders.database,
                service=service or self.orders.service,
                customers=self.customers.directory,
                update=update,
                report=ReportFile(report) if report else None,
                progress=progress,
            )

    async def rows(self, sql: str, **values: object) -> list[tuple[Any, ...]]:
        found = await self.orders.database.scan(lambda reading: reading.rows(sql, **values))
        return [tuple(row) for row in found]

    async def totals(self) -> dict[str, tuple[int, int, int]]:
        """Documents, lines and exact amount by kind, from the lines up."""
        found = await self.rows("SELECT kind, amount, line_count, lines FROM orders")
        totals: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for kind, amount, line_count, kept in found:
            lines = lines_of(kept)
            if (amount, line_count) == (sum(line.amount for line in lines), len(lines)):
                totals[kind].update(documents=1, lines=line_count, amount=amount)
        return {kind: (one["documents"], one["lines"], one["amount"]) for kind, one in totals.items()}

    async def everything(self) -> dict[str, Any]:
        """All an import can have written, but for what is different each time: ids and the time of writing."""
        customers = await self.customers.database.scan(
            lambda r: r.rows("SELECT external_id, name, country, version FROM customers ORDER BY external_id")
        )
        return {
            "customers": [tuple(row) for row in customers],
            "orders": await self.rows(
                "SELECT external_reference, kind, status, currency, customer_id IS NULL, country, placed_at, source, "
                "amount, total, line_count, version, fingerprint FROM orders ORDER BY external_reference"
            ),
            "lines": [
                (reference, *line)
                for reference, kept in await self.rows(
                    "SELECT external_reference, lines FROM orders ORDER BY external_reference"
                )
                for line in lines_of(kept)
            ],
            "facts": await self.rows(
                "SELECT f.name, o.external_reference, f.sequence FROM facts AS f JOIN orders AS o "
                "ON o.id = f.aggregate ORDER BY o.external_reference, f.sequence"
            ),
            "positions": await self.orders.database.read(facts.head),
        }


@asynccontextmanager
async def opened(installation: Installation) -> AsyncIterator[World]:
    customers = Customers.opened(installation.place("customers"))
    orders = Orders.opened(installation.place("orders"), bound=2048)
    try:
        yield World(installation.folder, customers, orders)
    finally:
        await orders.database.close()
        await customers.database.close()


def told(report: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in report.getvalue().splitlines()]


def shown(amount: int) -> str:
    return money.exact_text(amount, "GBP")


async def _take(installation: Installation, file: Path) -> None:
    async with opened(installation) as world:
        print("begun", flush=True)  # noqa: T201 - whoever started this program waits for it
        await world.take(file)


if __name__ == "__main__":
    asyncio.run(_take(Installation(Path(sys.argv[1]), sys.argv[3]), Path(sys.argv[2])))
