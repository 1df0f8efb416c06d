"""A context's database as one SQLite file: WAL, every commit durable, one writer at a time, readers never wait."""

import asyncio
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection, MetaData, Table, UniqueConstraint, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from orderhouse.runtime import facts
from orderhouse.runtime.database.errors import DatabaseUnavailable
from orderhouse.runtime.database.sql import Row, for_sqlite
from orderhouse.runtime.database.transaction import ConstraintBroken, Outdated, Performed, Reading, Transaction
from orderhouse.runtime.database.turnstile import Turnstile

R = TypeVar("R")

VERSION = sqlite3.sqlite_version_info
"""The SQLite this Python came with."""

OLDEST = (3, 35, 0)
"""The first that knows RETURNING."""

sqlite3.register_adapter(UUID, attrgetter("bytes"))
# What the driver takes as it is: unless told so, it looks for another way each time, and catches an exception.
for _kind in (bytes, type(None)):
    sqlite3.register_adapter(_kind, lambda value: value)

_PRAGMAS = (
    "journal_mode = WAL",
    # Commits are shared by everyone who waits, so full durability costs nothing that NORMAL would save.
    "synchronous = FULL",
    "foreign_keys = ON",
    "temp_store = MEMORY",
    "cache_size = -16384",
    # Often and short: measured, a thread that made them beside the writer gained nothing, for while somebody writes
    # it never gets to the end of the log, and the commit that has to wait for a long one in the end waits for long.
    "wal_autocheckpoint = 1000",
)
# Whoever waits for a write is told within a second that it cannot be had: our processes take turns, the rest lock.
_TURN_S = 0.6
_BUSY_MS = 250

_MOST_ROWS = 64
"""In one statement."""

_MOST_AT_ONCE = 2048
"""How many rows are written where the event loop waits for them: a few milliseconds' worth."""

# Somebody holds it, or what is read and written there is not what it was: trying one thing alone would not help.
_AWAY = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PROTOCOL,
    }
)

_UNIQUE = re.compile(r"UNIQUE constraint failed: (.+)")
_OTHER_CONSTRAINT = re.compile(r"(\w+(?: \w+)?) constraint failed(?:: (\S+))?")


def connect(file: Path, *, busy_ms: int = 5000, read_only: bool = False) -> sqlite3.Connection:
    """Open `file` as every connection of ours does; made when it is not there, unless `read_only`."""
    connection = sqlite3.connect(
        file, isolation_level=None, check_same_thread=False, cached_statements=512, timeout=busy_ms / 1000
    )
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    return connection


class SqliteReading(Reading):
    """Questions on one connection."""

    dialect = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Ask on `connection`."""
        self._connection = connection

    def rows(self, sql: str, **values: object) -> Sequence[Row]:
        """Return every row of the answer."""
        return self._connection.execute(*for_sqlite(sql, values)).fetchall()


class SqliteTransaction(Transaction):
    """What one turn of the writer does."""

    dialect = "sqlite"
    for_update = ""

    def __init__(self, connection: sqlite3.Connection, orm: Callable[[], Session]) -> None:
        """Work on `connection`, on which a transaction was begun."""
        super().__init__()
        self._connection = connection
        self._orm = orm
        self._session: Session | None = None

    def rows(self, sql: str, **values: object) -> Sequence[Row]:
        """Return every row of the answer."""
        return self._connection.execute(*for_sqlite(sql, values)).fetchall()

    def run(self, sql: str, **values: object) -> int:
        """Run one statement now and return how many rows it touched."""
        return self._connection.execute(*for_sqlite(sql, values)).rowcount

    @property
    def session(self) -> Session:
        """The ORM on this transaction."""
        if self._session is None:
            self._session = self._orm()
        return self._session

    def finish(self) -> None:
        """Write what was kept back; all that is left is to commit."""
        if self._session is not None:
            self._session.flush()
        for table, versions in self._expected.items():
            self._check(table, dict(versions))
        for table, rows in self._added.items():
            self._insert(table.name, rows)
        for (table, columns), rows in self._changed.items():
            keys = [column.name for column in table.primary_key]
            numbered = {name: number for number, name in enumerate([*keys, *columns], 1)}
            settings = ", ".join(f"{name} = ?{numbered[name]}" for name in columns)
            where = " AND ".join(f"{name} = ?{numbered[name]}" for name in keys)
            self._connection.executemany(f"UPDATE {table.name} SET {settings} WHERE {where}", rows)
        if self._facts:
            (after,) = self._connection.execute(
                "UPDATE fact_head SET position = position + ? RETURNING position - ?",
                (len(self._facts), len(self._facts)),
            ).fetchall()[0]
            self.logged = facts.rows_of(self._facts, after)
            self._insert("facts", self.logged)

    def _check(self, table: Table, versions: Mapping[UUID, int]) -> None:
        (key,) = table.primary_key.columns.keys()
        found = self.rows(f"SELECT {key}, version FROM {table.name} WHERE {key} IN :keys", keys=list(versions))
        if dict(found) != {one.bytes: version for one, version in versions.items()}:
            raise Outdated

    def _insert(self, table: str, rows: Sequence[Row]) -> None:
        """Insert `rows` in few statements: the driver lets go of the interpreter at each, and may not get it back soon.

        Their sizes are powers of two, so that few different ones are prepared.
        """
        width, begin = len(rows[0]), 0
        while begin < len(rows):
            size = min(1 << (len(rows) - begin).bit_length() - 1, _MOST_ROWS)
            values = chain.from_iterable(rows[begin : begin + size])
            self._connection.execute(_insertion(table, width, size), tuple(values))
            begin += size

    def close(self) -> None:
        """Let go of the ORM's session, after the end of the transaction."""
        if self._session is not None:
            self._session.close()


@lru_cache(maxsize=512)
def _insertion(table: str, width: int, rows: int) -> str:
    marks = f"({', '.join('?' * width)})"
    return f"INSERT INTO {table} VALUES {', '.join([marks] * rows)}"


class SqliteWriter:
    """The one writer of this process: a connection that takes its turn among the processes that write this file."""

    def __init__(self, file: Path, tables: MetaData) -> None:
        """Open `file`; `tables` tell which constraint a refused row broke."""
        self._turnstile = Turnstile(file)
        self._connection = connect(file)
        # The event loop waits for nobody; the thread does, and says for how long.
        self._connection.execute("PRAGMA busy_timeout = 0")
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        self._uniques = _uniques_of(tables)
        # Made before any transaction: the ORM asks the database about itself first, and ends what it finds open.
        self._orm = self._under_orm()

    async def perform(self, work: Callable[[Transaction], R], *, briefly: bool) -> Performed[R]:
        """Run `work` in one durable transaction; return its result and what it told.

        What is brief is decided and written right here: a thread beside a busy event loop would get the interpreter
        back late after each statement. What waits for the disk or for another process, and what is much, is done in a
        thread.
        """
        run = asyncio.get_running_loop().run_in_executor
        with _translated(self._uniques):
            if not briefly or not self._begun_at_once():
                return await run(self._thread, self._performed, work)
            transaction = SqliteTransaction(self._connection, self._session)
            with self._or_undone(transaction):
                result = work(transaction)
                much = transaction.size > _MOST_AT_ONCE
                if not much:
                    transaction.finish()
            await run(self._thread, self._kept, transaction, much)
        return result, transaction.logged

    def _begun_at_once(self) -> bool:
        """Begin, unless that has to wait for somebody."""
        try:
            self._begin(0)
        except (DatabaseUnavailable, sqlite3.OperationalError):
            return False
        return True

    def _begin(self, patience_s: float) -> None:
        self._turnstile.enter(patience_s)
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except BaseException:
            self._turnstile.leave()
            raise

    def _begun(self) -> None:
        """Begin, when whoever is before us has ended."""
        self._connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
        try:
            self._begin(_TURN_S)
        finally:
            self._connection.execute("PRAGMA busy_timeout = 0")

    def _performed(self, work: Callable[[Transaction], R]) -> Performed[R]:
        self._begun()
        transaction = SqliteTransaction(self._connection, self._session)
        with self._or_undone(transaction):
            result = work(transaction)
        self._kept(transaction, True)
        return result, transaction.logged

    def _kept(self, transaction: SqliteTransaction, finish: bool) -> None:  # noqa: FBT001 - an executor passes no names
        with self._or_undone(transaction):
            if finish:
                transaction.finish()
            self._connection.execute("COMMIT")
        transaction.close()
        self._turnstile.leave()

    @contextmanager
    def _or_undone(self, transaction: SqliteTransaction) -> Iterator[None]:
        try:
            yield
        except BaseException:
            try:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            finally:
                transaction.close()
                self._turnstile.leave()
            raise

    def _session(self) -> Session:
        return Session(self._orm, expire_on_commit=False)

    def _under_orm(self) -> Connection:
        engine = create_engine(
            "sqlite://",
            creator=lambda: self._connection,
            poolclass=StaticPool,
            isolation_level="AUTOCOMMIT",
            pool_reset_on_return=None,
        )
        return engine.connect()

    def close(self) -> None:
        """Close the file."""
        self._thread.shutdown()
        self._connection.close()
        self._turnstile.close()


class SqliteReader:
    """A connection that only asks; every question sees one state of the file, whatever is written meanwhile."""

    def __init__(self, file: Path) -> None:
        """Open `file` for questions."""
        self._connection = connect(file, read_only=True)
        self._reading = SqliteReading(self._connection)

    def ask(self, question: Callable[[Reading], R]) -> R:
        """Return the answer of `question`."""
        with _translated({}):
            self._connection.execute("BEGIN")
            try:
                return question(self._reading)
            finally:
                self._connection.execute("COMMIT")

    def version(self) -> int:
        """Return a number that changes whenever another connection has committed."""
        with _translated({}):
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


@contextmanager
def _translated(uniques: Mapping[frozenset[str], str]) -> Iterator[None]:
    """Turn the driver's errors, also those the ORM wrapped, into ours."""
    try:
        yield
    except DBAPIError as error:
        if not isinstance(error.orig, sqlite3.Error):
            raise
        raise _ours(error.orig, uniques) from error
    except sqlite3.Error as error:
        raise _ours(error, uniques) from error


def _ours(error: sqlite3.Error, uniques: Mapping[frozenset[str], str]) -> Exception:
    message = str(error)
    if isinstance(error, sqlite3.IntegrityError):
        if found := _UNIQUE.match(message):
            columns = frozenset(found[1].split(", "))
            return ConstraintBroken(uniques.get(columns, found[1]))
        if found := _OTHER_CONSTRAINT.match(message):
            return ConstraintBroken(found[2] or found[1])
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return DatabaseUnavailable() if code in _AWAY else error


def _uniques_of(tables: MetaData) -> dict[frozenset[str], str]:
    """Return the name of every unique constraint by its columns: all SQLite tells of one is those."""
    found: dict[frozenset[str], str] = {}
    for table in tables.tables.values():
        found[_columns(table, table.primary_key.columns.keys())] = f"{table.name}_pkey"
        for constraint in table.constraints:
            if isinstance(constraint, UniqueConstraint):
                found[_columns(table, constraint.columns.keys())] = str(constraint.name)
        for index in table.indexes:
            if index.unique:
                found[_columns(table, [column.name for column in index.columns])] = str(index.name)
    return found


def _columns(table: Table, columns: Sequence[str]) -> frozenset[str]:
    return frozenset(f"{table.name}.{column}" for column in columns)
