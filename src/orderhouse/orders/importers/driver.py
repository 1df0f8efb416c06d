"""Takes the documents of a source's file into orders, many to a transaction, each whole or not at all.

Every batch is durable before the next is written, and a document is imported once by (source, reference), so an
import that was killed is gone on with by running it again.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Literal, NamedTuple, TypeVar
from uuid import UUID

from orderhouse.customers.contract import CustomerDirectory, SourceCustomer
from orderhouse.kernel import clock
from orderhouse.kernel.errors import Refusal, Unavailable
from orderhouse.kernel.events import Origin
from orderhouse.kernel.principal import Principal
from orderhouse.orders import reads
from orderhouse.orders.errors import AlreadyImported, DocumentChanged
from orderhouse.orders.importers.documents import Document, Found, RefusedRow, Source
from orderhouse.orders.importers.report import ImportReport, ReportFile
from orderhouse.orders.models import Order
from orderhouse.orders.reads import Imported
from orderhouse.orders.schemas import ImportOrder
from orderhouse.orders.service import OrderService, Wanted
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
from orderhouse.runtime.waiting import PASSING

R = TypeVar("R")

_DELAYS_S = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)
"""How long to wait before each further try: longer, all in all, than a database takes to come back."""

_THERE = (AlreadyImported, DocumentChanged)

_GIVE_WAY_EVERY = 8
"""Documents: some hundred lines, half a millisecond."""

_LOOK_EVERY_S = 0.1
_REMEMBERED_CUSTOMERS = 10_000


class ImportStopped(Unavailable):
    """The import stopped half-way; run it again and it goes on where it was."""

    code = "import_stopped"


class Progress(NamedTuple):
    """How far an import is: in bytes while the file is read, in rows while its documents are taken."""

    stage: Literal["reading", "importing"]
    done: int
    total: int


async def import_from(
    source: Source,
    *,
    orders: Database,
    service: OrderService,
    customers: CustomerDirectory,
    update: bool = False,
    report: ReportFile | None = None,
    progress: Callable[[Progress], None] = lambda _: None,
) -> ImportReport:
    """Import all documents of `source` that are not there yet, and tell what came of each.

    A document that changed since it was imported is left alone, unless `update` asks for it to be taken anew. Raises
    what `source` raises when it cannot be read, with nothing written, and ImportStopped when a database stays away.
    """
    rows = await _read(source, progress)
    taking = _Import(source, rows, orders, service, customers, update=update, file=report, progress=progress)
    return await taking.run(source.documents())


async def _read(source: Source, progress: Callable[[Progress], None]) -> int:
    reading = asyncio.ensure_future(asyncio.to_thread(source.read))
    try:
        while not reading.done():
            progress(Progress("reading", source.used(), source.size))
            await asyncio.wait([reading], timeout=_LOOK_EVERY_S)
    finally:
        # A thread cannot be called off: what it reads must not be closed under it.
        await asyncio.wait([reading])
    return reading.result()


class _Pace:
    """How many lines go into a transaction: as many as keep it short on this machine, now."""

    _WISHED_S = 0.06
    _FEWEST, _FIRST, _MOST = 50, 500, 3_000

    def __init__(self) -> None:
        """Begin carefully."""
        self.lines = self._FIRST

    def took(self, lines: int, seconds: float) -> None:
        """Learn from a transaction: slow down at once, speed up by and by."""
        fitting = int(lines / seconds * self._WISHED_S)
        if fitting > self.lines:
            fitting = (self.lines + fitting) // 2
        self.lines = min(max(fitting, self._FEWEST), self._MOST)


class _Import:
    """One run of an import."""

    def __init__(
        self,
        source: Source,
        rows: int,
        orders: Database,
        service: OrderService,
        customers: CustomerDirectory,
        *,
        update: bool,
        file: ReportFile | None,
        progress: Callable[[Progress], None],
    ) -> None:
        """Import into `orders`."""
        self._orders = orders
        self._service = service
        self._directory = customers
        self._update = update
        self._file = file
        self._progress = progress
        self._report = ImportReport(source.name, source.currency, rows)
        self._source = source.name
        self._caller = Principal(f"import:{source.name}", "service")
        self._origin = Origin(self._caller.subject)
        self._ids: dict[str, UUID] = {}
        self._pace = _Pace()
        self._done = 0

    async def run(self, documents: Iterator[Found]) -> ImportReport:
        """Take `documents`, batch by batch."""
        batch = await self._next(documents)
        while batch:
            # PostgreSQL works by itself, and the next batch is prepared while it does. SQLite works in a thread of
            # ours: beside it, we would take the interpreter's lock from it at every row, and both would be slower.
            ahead = asyncio.ensure_future(self._next(documents)) if self._orders.dialect == "postgresql" else None
            try:
                await self._take(batch)
            except BaseException:
                if ahead:
                    ahead.cancel()
                raise
            self._done += sum(map(_rows, batch))
            self._progress(Progress("importing", self._done, self._report.rows))
            batch = await (ahead or self._next(documents))
        if self._file:
            self._file.end(self._report)
        return self._report

    async def _next(self, documents: Iterator[Found]) -> list[Found]:
        """Return the next of `documents` that have some lines together; none at the end. Everybody else has a turn."""
        batch: list[Found] = []
        lines = self._pace.lines
        while lines > 0 and (found := next(documents, None)):
            batch.append(found)
            lines -= _rows(found)
            if len(batch) % _GIVE_WAY_EVERY == 0:
                await asyncio.sleep(0)
        return batch

    async def _take(self, batch: Sequence[Found]) -> None:
        """Report what is refused, and settle the rest."""
        documents = []
        for found in batch:
            if isinstance(found, RefusedRow):
                self._refuse(found)
                continue
            self._report.find(found)
            if isinstance(found, Document):
                documents.append(found)
        if documents:
            await self._settle(documents)

    async def _settle(self, documents: Sequence[Document]) -> None:
        """Place what is not there yet, and report what orders holds then."""
        known = await self._known([document.reference for document in documents])
        placed = await self._place([one for one in documents if self._wanted(one, known.get(one.reference))])
        if raced := [reference for reference, outcome in placed.items() if isinstance(outcome, _THERE)]:
            # Another import was quicker, or an earlier try of ours was kept although we were told otherwise.
            known.update(await self._known(raced))
        for document in documents:
            self._tell(document, placed.get(document.reference), known.get(document.reference))

    async def _known(self, references: Sequence[str]) -> dict[str, Imported]:
        return await self._patiently(lambda: self._orders.read(reads.imported, self._source, references))

    def _wanted(self, document: Document, known: Imported | None) -> bool:
        return known is None or (self._update and known.fingerprint != document.wanted.fingerprint)

    async def _place(self, documents: Sequence[Document]) -> dict[str, Order | Refusal]:
        """Place `documents` in one transaction, and try again those that a database was not up to."""
        if not documents:
            return {}
        ids = await self._admitted(documents)
        wanted = [
            one.wanted._replace(
                customer_id=ids[one.customer.external_id] if one.customer else None, replace=self._update
            )
            for one in documents
        ]
        outcomes: dict[str, Order | Refusal] = {}

        async def attempt() -> None:
            left = [one for one in wanted if one.external_reference not in outcomes]
            told = await self._write(left)
            for one, outcome in zip(left, told, strict=True):
                if not isinstance(outcome, PASSING):
                    outcomes[one.external_reference] = outcome
            for outcome in told:
                if isinstance(outcome, PASSING):
                    raise outcome

        await self._patiently(attempt)
        return outcomes

    async def _write(self, wanted: Sequence[ImportOrder]) -> list[Order | Refusal]:
        at, began = clock.now(), 0.0

        def work(tx: Transaction, asked: Sequence[Asked[Wanted]]) -> Sequence[Order | Refusal]:
            nonlocal began
            # Only our own turn is measured: while others have theirs, nobody waits for us.
            began = began or time.perf_counter()
            return self._service.place(tx, asked)

        asked: list[Asked[Wanted]] = [Asked(one, self._caller, at, self._origin) for one in wanted]
        outcomes = await self._orders.write_many(work, asked)
        self._pace.took(sum(len(one.lines) for one in wanted), time.perf_counter() - began)
        return outcomes

    async def _admitted(self, documents: Sequence[Document]) -> Mapping[str, UUID]:
        """Return the id of every customer of `documents`; who is new has the country of its first document."""
        if len(self._ids) > _REMEMBERED_CUSTOMERS:
            self._ids.clear()
        new: dict[str, SourceCustomer] = {}
        for document in documents:
            if document.customer and document.customer.external_id not in self._ids:
                new.setdefault(document.customer.external_id, document.customer)
        if new:
            wanted = list(new.values())
            self._ids.update(await self._patiently(lambda: self._directory.admit(self._source, wanted)))
        return self._ids

    def _tell(self, document: Document, outcome: Order | Refusal | None, known: Imported | None) -> None:
        """Report what became of one document."""
        if isinstance(outcome, Order):
            self._report.settle("replaced" if known else "new", document.lines)
            self._report.hold(outcome.kind, outcome.line_count, outcome.amount)
        elif known is None:
            assert outcome is not None, "what is not there was asked for"
            self._report.settle("refused", document.lines)
            self._refuse(RefusedRow(document.row, document.reference, outcome.detail or outcome.title))
        else:
            same = known.fingerprint == document.wanted.fingerprint
            self._report.settle("there" if same else "changed", document.lines)
            self._report.hold(known.kind, known.line_count, known.amount)
            if not same and self._file:
                self._file.changed(document.reference)

    def _refuse(self, row: RefusedRow) -> None:
        self._report.refuse(row)
        if self._file:
            self._file.refuse(row)

    async def _patiently(self, attempt: Callable[[], Awaitable[R]]) -> R:
        """Return what `attempt` returns, tried again while it fails for a reason that passes; ImportStopped at last."""
        for delay in _DELAYS_S:
            with suppress(*PASSING):
                return await attempt()
            await asyncio.sleep(delay * random.uniform(0.5, 1.5))  # noqa: S311 - nothing secret about it
        try:
            return await attempt()
        except PASSING as refusal:
            done = f"{self._done} of {self._report.rows} rows are settled"
            raise ImportStopped(f"{refusal.title} {done}; run it again to go on.") from refusal


def _rows(found: Found) -> int:
    """How many rows of the file it stands for: those of a refused document follow it, each by itself."""
    if isinstance(found, Document):
        return found.lines
    return 1 if isinstance(found, RefusedRow) else 0
