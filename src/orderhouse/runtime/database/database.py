"""A context's database, as the rest of the house knows it: writes through a lane, questions beside it."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import MetaData

from orderhouse.kernel.errors import Refusal
from orderhouse.runtime import facts
from orderhouse.runtime.database.lanes import Lane
from orderhouse.runtime.database.postgres import PostgresPlace, PostgresReaders, PostgresWriter
from orderhouse.runtime.database.sql import Dialect, Row
from orderhouse.runtime.database.sqlite import SqliteReader, SqliteWriter
from orderhouse.runtime.database.transaction import Reading, Work
from orderhouse.runtime.database.wakes import Bell, PostgresWakes
from orderhouse.runtime.recent import Recent

A = TypeVar("A")
R = TypeVar("R")
P = ParamSpec("P")

_FEW = 256
"""How many facts are made of what was told in one go; who told more has the followers read them, some at a time."""


class Database(ABC):
    """One context's database. Everything it raises is a Refusal, ConstraintBroken, or a defect of ours."""

    dialect: Dialect
    _lane: Lane

    def __init__(self, context: str) -> None:
        """Belong to `context`."""
        self.name = context
        self.running: dict[int, asyncio.Future[Any]] = {}
        """The keys of the requests that are being done right now, in this process."""
        self._recent: Recent | None = None
        self._listeners: list[asyncio.Event] = []

    async def write(self, work: Work[A, R], asked: A) -> R:
        """Return what `work` decided of `asked`, durably; raise its refusal. It shares a transaction with who waits."""
        return decided(await self.put(work, asked))

    def put(self, work: Work[A, R], asked: A) -> "asyncio.Future[list[R | Refusal]]":
        """Queue `asked` like `write`; what its future holds is for `decided`."""
        return self._lane.put(work, [asked], alone=False)

    async def write_many(self, work: Work[A, R], asked: Sequence[A]) -> list[R | Refusal]:
        """Return what `work` decided of each, durably, in one transaction of their own."""
        return await self._lane.put(work, asked, alone=True)

    @property
    def full(self) -> bool:
        """Whether a write would be refused as DatabaseBusy now."""
        return self._lane.full

    @abstractmethod
    async def read(self, question: Callable[Concatenate[Reading, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the answer of a question that takes a millisecond or less: a row, or a page by an index."""

    @abstractmethod
    async def scan(self, question: Callable[Concatenate[Reading, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the answer of a longer question, without holding up the event loop."""

    @abstractmethod
    async def close(self) -> None:
        """Write what still waits, and let go of everything."""

    def recent(self) -> Recent:
        """Return the latest facts of its log as this process knows them: the same for all, and kept from now on."""
        if self._recent is None:
            self._recent = Recent()
        return self._recent

    def bell(self) -> asyncio.Event:
        """Return an event that is set whenever facts were told here; whoever waits for it clears it before a look.

        What other processes tell is heard on PostgreSQL alone, and may be missed: whoever waits looks now and then.
        """
        event = Bell(self._listen)
        self._listeners.append(event)
        return event

    def patience_s(self, unheard_s: float) -> float:
        """Return how long to wait for a bell before a look: `unheard_s`, and longer while other processes ring it."""
        return unheard_s

    def _hear(self, told: Sequence[Row]) -> None:
        """Let who follows here know what was told: the facts themselves, unless they are many."""
        if self._recent is not None and len(told) <= _FEW:
            self._recent.add(facts.facts_of(told))
        self._ring()

    def _ring(self) -> None:
        for event in self._listeners:
            event.set()

    def _listen(self) -> None:
        """Hear of other processes' facts, where there is a way to."""
        return


def decided(outcomes: Sequence[R | Refusal]) -> R:
    """Return the one outcome, or raise it if it is a refusal."""
    (outcome,) = outcomes
    if isinstance(outcome, Refusal):
        raise outcome
    return outcome


class SqliteDatabase(Database):
    """A file of its own, which other processes may write too."""

    dialect = "sqlite"
    _SCANS_AT_ONCE = 2

    def __init__(self, context: str, file: Path, tables: MetaData, refusals: Mapping[str, type[Refusal]], bound: int):
        """Open `file`, whose schema is `tables`."""
        super().__init__(context)
        self.file = file
        self._writer = SqliteWriter(file, tables)
        self._reader = SqliteReader(file)
        self._idle: list[SqliteReader] = []
        self._scans = asyncio.Semaphore(self._SCANS_AT_ONCE)
        self._lane = Lane([self._writer.perform], bound=bound, refusals=refusals, told=self._hear)

    async def read(self, question: Callable[Concatenate[Reading, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the answer of a short question, asked right here: handing it to a thread would cost more."""
        return self._reader.ask(lambda reading: question(reading, *args, **kwargs))

    async def scan(self, question: Callable[Concatenate[Reading, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the answer of a longer question, asked in a thread."""
        async with self._scans:
            reader = self._idle.pop() if self._idle else await asyncio.to_thread(SqliteReader, self.file)
            try:
                return await asyncio.to_thread(reader.ask, lambda reading: question(reading, *args, **kwargs))
            finally:
                self._idle.append(reader)

    async def close(self) -> None:
        """Write what still waits, and close the file."""
        await self._lane.close()
        for reader in (self._reader, *self._idle):
            reader.close()
        self._writer.close()


class PostgresDatabase(Database):
    """A schema of its own in PostgreSQL."""

    dialect = "postgresql"
    _LANES = 2
    _HEARD_S = 1.0
    """How often to look all the same: who told may have been unable to tell others."""

    def __init__(self, context: str, place: PostgresPlace, refusals: Mapping[str, type[Refusal]], bound: int) -> None:
        """Be at `place`; connections are made when they are needed."""
        super().__init__(context)
        self._writers = [PostgresWriter(place) for _ in range(self._LANES)]
        self._readers = PostgresReaders(place)
        self._lane = Lane([writer.perform for writer in self._writers], bound=bound, refusals=refusals, told=self._tell)
        self._wakes = PostgresWakes(place, self._ring)

    def _tell(self, told: Sequence[Row]) -> None:
        self._hear(told)
        self._wakes.tell()

    def _listen(self) -> None:
        self._wakes.listen()

    def patience_s(self, unheard_s: float) -> float:
        """Return `unheard_s`, and a second at least while other processes are heard: a look is three questions."""
        return max(unheard_s, self._HEARD_S) if self._wakes.heard else unheard_s

    async def read(self, question: Callable[Concatenate[Reading, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the answer of a question."""
        return await self._readers.ask(question, *args, **kwargs)

    async def scan(self, question: Callable[Concatenate[Reading, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the answer of a longer question."""
        return await self._readers.ask(question, *args, **kwargs)

    async def close(self) -> None:
        """Write what still waits, and let go of every connection."""
        await self._lane.close()
        await self._wakes.close()
        for writer in self._writers:
            await writer.close()
        await self._readers.close()


Place = Path | PostgresPlace
"""Where a context's database is: a file, or a schema of PostgreSQL."""


def open_database(
    context: str, place: Place, tables: MetaData, *, refusals: Mapping[str, type[Refusal]], bound: int = 2048
) -> Database:
    """Return the migrated database of `context`; at most `bound` writes wait, more are refused as DatabaseBusy.

    Whoever opens it closes it.
    """
    if isinstance(place, PostgresPlace):
        return PostgresDatabase(context, place, refusals, bound)
    return SqliteDatabase(context, place, tables, refusals, bound)
