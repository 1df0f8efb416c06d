"""A fair queue for processes that write to one SQLite file.

SQLite's own lock is a race: whoever polls at the right moment wins, and an import that commits back to back can keep
a server waiting for seconds. Two file locks make it a turn: who waits holds the gate, so the one that just wrote
cannot be first again. The kernel drops both when a process dies.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Turnstile:
    """Lets one process at a time through, each in its turn."""

    def __init__(self, database: Path) -> None:
        """Keep the locks beside the file of `database`."""
        self._gate, self._room = (
            os.open(database.with_name(f"{database.name}-{name}"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            for name in ("gate", "room")
        )

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for our turn, and hold it."""
        fcntl.flock(self._gate, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._room, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._room, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the files."""
        os.close(self._gate)
        os.close(self._room)
