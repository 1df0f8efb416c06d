"""Checkpoints beside the writer: what was committed goes from the log into the database file while commits go on.

SQLite would do it inside whichever commit made the log too long, and everybody would wait for that one.
"""

import sqlite3
import threading
from collections.abc import Callable

import structlog

log = structlog.get_logger(__name__)

_EVERY_ROWS = 4_000
"""Some megabytes of log: few enough to be moved in a moment."""


class Checkpointer:
    """A thread with a connection of its own, made when there is something to move for the first time."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        """Work on what `connect` opens."""
        self._connect = connect
        self._due = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._checked = 0

    def committed(self, rows: int) -> None:
        """Hear how many rows the writer has changed in all."""
        if rows - self._checked < _EVERY_ROWS:
            return
        self._checked = rows
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
            self._thread.start()
        self._due.set()

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        while self._is_due():
            try:
                connection = connection or self._connect()
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            except sqlite3.Error as error:
                # Nobody waits for it, and the writer checkpoints by itself when the log is very long.
                log.warning("checkpoint_failed", error=repr(error))
        if connection:
            connection.close()

    def _is_due(self) -> bool:
        """Wait until there is something to move; return False at the end."""
        self._due.wait()
        self._due.clear()
        return not self._closed

    def close(self) -> None:
        """End, when what is being moved is moved."""
        self._closed = True
        self._due.set()
        if self._thread is not None:
            self._thread.join()
