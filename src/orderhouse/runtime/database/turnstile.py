"""A fair queue for processes that write to one SQLite file.

SQLite's own lock is a race: whoever polls at the right moment wins, and an import that commits back to back can keep
a server waiting for seconds. Two file locks make it a turn: who waits holds the gate, so the one that just wrote
cannot be first again. The kernel drops both when a process dies.
"""

import fcntl
import os
import threading
import time
from pathlib import Path

from orderhouse.runtime.database.errors import DatabaseUnavailable

_OFTEN_S = 0.001
"""How often a lock that somebody else holds is tried: the kernel lets nobody wait for one with a limit."""


class Turnstile:
    """Lets one process at a time through, each in its turn."""

    def __init__(self, database: Path) -> None:
        """Keep the locks beside the file of `database`."""
        self._gate, self._room = (
            os.open(database.with_name(f"{database.name}-{name}"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            for name in ("gate", "room")
        )

    def enter(self, patience_s: float) -> None:
        """Wait for our turn, which lasts until we leave; DatabaseUnavailable when it does not come within `patience_s`.

        Without patience, nothing is waited for.
        """
        until = time.monotonic() + patience_s
        _lock(self._gate, until)
        try:
            _lock(self._room, until)
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)

    def leave(self) -> None:
        """End our turn."""
        fcntl.flock(self._room, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the files."""
        os.close(self._gate)
        os.close(self._room)


def _lock(file: int, until: float) -> None:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise DatabaseUnavailable("Another process writes, and does not end.") from None
            threading.Event().wait(_OFTEN_S)
        else:
            return
