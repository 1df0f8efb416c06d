"""A context's database as a schema of PostgreSQL: the same synchronous work, run on a greenlet in the event loop.

Work that only asks and keeps its writes back needs no BEGIN: all it adds, changes and tells is fused into one
statement, which is a transaction by itself. The first statement that must run at once begins one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import asyncpg  # type: ignore[import-untyped]  # it ships no types
from sqlalchemy import Connection
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool
from sqlalchemy.util import await_only, greenlet_spawn

from orderhouse.kernel.errors import Refusal
from orderhouse.runtime import facts
from orderhouse.runtime.database.errors import DatabaseBusy, DatabaseUnavailable, StillRunning
from orderhouse.runtime.database.fused import fused
from orderhouse.runtime.database.sql import Row, for_postgresql
from orderhouse.runtime.database.transaction import ConstraintBroken, Outdated, Performed, Reading, Transaction

R = TypeVar("R")
P = ParamSpec("P")

# What is acknowledged is on the disk, whatever an administrator's default says; a stricter setting stays as it is.
_SYNCED = "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"


@dataclass(frozen=True, slots=True)
class PostgresPlace:
    """Where a context's schema is, and how long anything there may take."""

    url: str
    schema: str
    statement_ms: int = 10_000
    lock_ms: int = 5_000
    connect_s: float = 3.0
    readers: int = 4
    direct_url: str = ""
    """Where `url` is, past any pooler that would not keep a connection that listens."""

    @property
    def settings(self) -> dict[str, str]:
        """What every connection of ours sets."""
        return {
            "application_name": f"orderhouse {self.schema}",
            "search_path": self.schema,
            "statement_timeout": str(self.statement_ms),
            "lock_timeout": str(self.lock_ms),
            "idle_in_transaction_session_timeout": "30000",
            # A prepared plan serves every size of batch: planning anew would cost more than it could win.
            "plan_cache_mode": "force_generic_plan",
        }


class PostgresReading(Reading):
    """Questions on one connection, asked from within a greenlet."""

    dialect = "postgresql"

    def __init__(self, connection: "asyncpg.Connection[Any]") -> None:
        """Ask on `connection`."""
        self._connection = connection

    def rows(self, sql: str, **values: object) -> Sequence[Row]:
        """Return every row of the answer."""
        text, arguments = for_postgresql(sql, values)
        return cast("Sequence[Row]", _waited(self._connection.fetch(text, *arguments)))


class PostgresTransaction(Transaction):
    """One unit of work on a lane's connection."""

    dialect = "postgresql"

    def __init__(self, connection: "asyncpg.Connection[Any]", orm: Connection) -> None:
        """Work on `connection`, which is also under the ORM's connection `orm`."""
        super().__init__()
        self._connection = connection
        self._orm = orm
        self._session: Session | None = None
        self._begun = False

    @property
    def for_update(self) -> str:
        """End of a SELECT that locks its rows."""
        self._begin()
        return " FOR UPDATE"

    @property
    def session(self) -> Session:
        """The ORM on this transaction."""
        if self._session is None:
            self._begin()
            self._session = Session(self._orm, expire_on_commit=False)
        return self._session

    def rows(self, sql: str, **values: object) -> Sequence[Row]:
        """Return every row of the answer."""
        text, arguments = for_postgresql(sql, values)
        return cast("Sequence[Row]", _waited(self._connection.fetch(text, *arguments)))

    def run(self, sql: str, **values: object) -> int:
        """Run one statement now and return how many rows it touched."""
        self._begin()
        text, arguments = for_postgresql(sql, values)
        told = _waited(self._connection.execute(text, *arguments)).rpartition(" ")[2]
        return int(told) if told.isdigit() else 0

    def finish(self) -> None:
        """Write what was kept back, and commit."""
        if self._session is not None:
            self._session.flush()
        if self._expected or self._added or self._changed or self._facts:
            self._write()
        if self._begun:
            _waited(self._connection.execute("COMMIT"))
            self._begun = False

    def undo(self) -> None:
        """Take everything back."""
        if self._begun and not self._connection.is_closed():
            _waited(self._connection.execute("ROLLBACK"))
            self._begun = False

    def close(self) -> None:
        """Let go of the ORM's session, after the end of the transaction."""
        if self._session is not None:
            self._session.close()

    def _begin(self) -> None:
        if not self._begun:
            _waited(self._connection.execute("BEGIN"))
            self._begun = True

    def _write(self) -> None:
        told = facts.rows_of(self._facts, 0)
        sql, arguments = fused(self._expected, self._added, self._changed, told)
        found = _waited(self._connection.fetch(sql, *arguments))
        if not found:
            raise Outdated
        if told:
            after = found[0][0]
            self.logged = [(after + position, *rest) for position, *rest in told]


class PostgresWriter:
    """A lane's connection: made when it is needed, made anew when it was lost."""

    def __init__(self, place: PostgresPlace) -> None:
        """Write at `place`."""
        self._engine: AsyncEngine = create_async_engine(
            make_url(place.url).set(drivername="postgresql+asyncpg"),
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
            # JSON comes as text on every connection, as it does from SQLite.
            json_deserializer=str,
            connect_args={
                "server_settings": place.settings,
                "timeout": place.connect_s,
                "command_timeout": place.statement_ms / 1000 + 5,
            },
        )
        self._connection: AsyncConnection | None = None

    async def perform(self, work: Callable[[Transaction], R], *, briefly: bool) -> Performed[R]:  # noqa: ARG002 - never blocks
        """Run `work` in one durable transaction; return its result and what it told."""
        with _translated():
            connection = await self._connected()
            driver = await _driver_of(connection)
            try:
                return await connection.run_sync(_performed, driver, work)
            except BaseException:
                # Whatever broke may have left the connection in a state nobody knows; a fresh one is cheap.
                if driver.is_closed() or driver.is_in_transaction():
                    await self.close()
                raise

    async def _connected(self) -> AsyncConnection:
        if self._connection is None:
            self._connection = await self._engine.connect()
            try:
                await (await _driver_of(self._connection)).execute(_SYNCED)
            except BaseException:
                await self.close()
                raise
        return self._connection

    async def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.invalidate()
            await connection.close()


async def _driver_of(connection: AsyncConnection) -> "asyncpg.Connection[Any]":
    return (await connection.get_raw_connection()).driver_connection


def _performed(orm: Connection, driver: "asyncpg.Connection[Any]", work: Callable[[Transaction], R]) -> Performed[R]:
    transaction = PostgresTransaction(driver, orm)
    try:
        result = work(transaction)
        transaction.finish()
    except BaseException:
        transaction.undo()
        raise
    finally:
        transaction.close()
    return result, transaction.logged


class PostgresReaders:
    """A few connections that only ask.

    The driver's own pool makes two tasks and a timer for every question, which is a quarter of what a page costs; all
    that is needed here is whose turn it is.
    """

    def __init__(self, place: PostgresPlace) -> None:
        """Ask at `place`; connections are made when they are needed."""
        self._place = place
        self._address = address_of(place.url)
        self._open: set[asyncpg.Connection[Any]] = set()
        self._idle: list[asyncpg.Connection[Any]] = []
        self._turn = asyncio.Semaphore(place.readers)

    async def ask(self, question: Callable[Concatenate[Reading, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the answer of `question`, run on a greenlet."""
        try:
            return await self._asked(question, *args, **kwargs)
        except StillRunning:
            # Nobody asks the same question first: it is a lock on a whole table that was waited for.
            raise DatabaseBusy from None

    async def _asked(self, question: Callable[Concatenate[Reading, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        with _translated():
            await self._wait_for_turn()
            try:
                connection = await self._connection()
                try:
                    found = await greenlet_spawn(lambda: question(PostgresReading(connection), *args, **kwargs))
                except Refusal:
                    self._idle.append(connection)
                    raise
                except BaseException:
                    # It may still be busy with what nobody waits for any more; a fresh one is cheap.
                    self._let_go(connection)
                    raise
                self._idle.append(connection)
                return found
            finally:
                self._turn.release()

    async def _wait_for_turn(self) -> None:
        if not self._turn.locked():
            await self._turn.acquire()
            return
        async with asyncio.timeout(self._place.connect_s):
            await self._turn.acquire()

    async def _connection(self) -> "asyncpg.Connection[Any]":
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
            self._let_go(connection)
        connection = await asyncpg.connect(
            self._address,
            timeout=self._place.connect_s,
            command_timeout=self._place.statement_ms / 1000 + 5,
            server_settings={
                **self._place.settings,
                "default_transaction_read_only": "on",
                # A page is read in the order of its index and ends early; a bitmap reads all of it, and sorts.
                "enable_bitmapscan": "off",
                # What is asked for lies together or in memory; the planner's default is for spinning disks.
                "random_page_cost": "1.1",
            },
        )
        self._open.add(connection)
        return connection

    def _let_go(self, connection: "asyncpg.Connection[Any]") -> None:
        self._open.discard(connection)
        connection.terminate()

    async def close(self) -> None:
        """Close every connection; what is still being asked fails."""
        self._idle.clear()
        while self._open:
            self._open.pop().terminate()


def address_of(url: str) -> str:
    """Return `url` as the driver itself takes it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def _waited(awaitable: Awaitable[R]) -> R:
    """Wait for the driver from within synchronous code."""
    return await_only(awaitable)


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the driver's errors, also those the ORM wrapped, into ours."""
    try:
        yield
    except DBAPIError as error:
        raise _ours(error.orig.__cause__ if error.orig and error.orig.__cause__ else error) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise _ours(error) from error


def _ours(error: BaseException) -> BaseException:
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return ConstraintBroken(error.constraint_name or "")
    if isinstance(error, asyncpg.LockNotAvailableError):
        return StillRunning()
    if isinstance(error, asyncpg.DeadlockDetectedError | asyncpg.SerializationError | asyncpg.QueryCanceledError):
        return DatabaseBusy()
    if isinstance(
        error,
        asyncpg.PostgresConnectionError
        | asyncpg.OperatorInterventionError
        | asyncpg.InsufficientResourcesError
        | asyncpg.InvalidAuthorizationSpecificationError
        | asyncpg.InvalidCatalogNameError
        | OSError
        | TimeoutError,
    ):
        return DatabaseUnavailable()
    # The driver has one class for a connection that is gone and for a call that was wrong.
    if isinstance(error, asyncpg.InterfaceError) and "clos" in str(error):
        return DatabaseUnavailable()
    return error
