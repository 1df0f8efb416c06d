"""Defects that a bar must catch, seeded into a server by name. The product knows nothing of them."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from orderhouse.runtime.database import postgres, sqlite

_LATE_S = 0.03


def answers_before_the_commit() -> None:
    """Answer as soon as the work is done, and commit a moment later."""
    _sqlite_commits_late()
    _postgres_commits_late()


def _sqlite_commits_late() -> None:
    lock = threading.Lock()

    def perform(self: sqlite.SqliteWriter, work: Callable[[Any], Any]) -> tuple[Any, bool]:
        lock.acquire()
        turn = self._turnstile.turn()
        turn.__enter__()
        self._connection.execute("BEGIN IMMEDIATE")
        transaction = sqlite.SqliteTransaction(self._connection, self._session)
        result = work(transaction)
        transaction.finish()

        def commit() -> None:
            time.sleep(_LATE_S)
            self._connection.execute("COMMIT")
            turn.__exit__(None, None, None)
            lock.release()

        threading.Thread(target=commit).start()
        return result, transaction.tells

    sqlite.SqliteWriter.perform = perform  # type: ignore[method-assign]


def _postgres_commits_late() -> None:
    late: set[asyncio.Task[None]] = set()

    async def perform(self: postgres.PostgresWriter, work: Callable[[Any], Any]) -> tuple[Any, bool]:
        await asyncio.gather(*late)
        connection = await self._connected()
        driver: Any = (await connection.get_raw_connection()).driver_connection

        def without_the_end(orm: Connection) -> tuple[Any, postgres.PostgresTransaction]:
            transaction = postgres.PostgresTransaction(driver, orm)
            return work(transaction), transaction

        result, transaction = await connection.run_sync(without_the_end)

        async def commit() -> None:
            await asyncio.sleep(_LATE_S)
            await connection.run_sync(lambda _: transaction.finish())

        late.add(task := asyncio.create_task(commit()))
        task.add_done_callback(late.discard)
        return result, transaction.tells

    postgres.PostgresWriter.perform = perform  # type: ignore[method-assign]


def syncs_now_and_then() -> None:
    """Let SQLite sync its log at checkpoints only."""
    kept = tuple(one for one in sqlite._PRAGMAS if not one.startswith("synchronous"))
    sqlite._PRAGMAS = (*kept, "synchronous = NORMAL")  # type: ignore[assignment]


def leaves_syncing_to_the_database() -> None:
    """Take the database's own word for when a commit is one."""
    postgres._SYNCED = "SELECT"


SEEDED: dict[str, Callable[[], None]] = {
    defect.__name__: defect
    for defect in (answers_before_the_commit, syncs_now_and_then, leaves_syncing_to_the_database)
}
