"""A spool: things put down in any order and taken up again group by group, on disk and in constant memory."""

import marshal
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Generic, TypeVar

from orderhouse.kernel.errors import Unavailable
from orderhouse.kernel.ids import new_id

T = TypeVar("T")

_AT_ONCE = 256
_PRAGMAS = ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", "cache_size = -4096")


class SpoolUnavailable(Unavailable):
    """The data folder has no room to sort a file in."""

    code = "spool_unavailable"


class Spool(Generic[T]):
    """Keeps (key, thing) pairs until it is closed; a thing is made of tuples, texts and numbers only.

    What comes one after the other under one key is kept in one piece, so input that is nearly in order already costs
    next to nothing, and input in no order at all is still grouped.
    """

    def __init__(self, folder: Path) -> None:
        """Keep everything in one file in `folder`, which has no name any more: it goes when this process does."""
        sweep(folder)
        file = folder / f"spool-{new_id()}.tmp"
        with _told():
            self._connection = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
            for pragma in _PRAGMAS:
                self._connection.execute(f"PRAGMA {pragma}")
            self._connection.execute(
                "CREATE TABLE pieces (key TEXT NOT NULL, things BLOB NOT NULL, count INTEGER NOT NULL)"
            )
        file.unlink(missing_ok=True)

    def fill(self, pairs: Iterable[tuple[str, T]]) -> int:
        """Put down all `pairs`, once and before anything is taken up; return how many they were."""
        with _told():
            self._connection.execute("BEGIN")
            self._connection.executemany("INSERT INTO pieces VALUES (?, ?, ?)", _pieces(pairs))
            self._connection.execute("COMMIT")
            self._connection.execute("CREATE INDEX pieces_key ON pieces (key)")
        return int(self._connection.execute("SELECT coalesce(sum(count), 0) FROM pieces").fetchone()[0])

    def first_seen(self) -> Iterator[str]:
        """Yield every key once, in the order in which they were first seen."""
        found = self._connection.execute("SELECT key FROM pieces GROUP BY key ORDER BY min(rowid)")
        return (row[0] for row in found)

    def group(self, key: str) -> Iterator[T]:
        """Yield what was put down under `key`, in the order of putting."""
        for (things,) in self._connection.execute("SELECT things FROM pieces WHERE key = ? ORDER BY rowid", (key,)):
            # Nobody else can have written what is read here: the file has had no name since before its first piece.
            yield from marshal.loads(things)  # noqa: S302 - see above

    def close(self) -> None:
        """Forget everything."""
        self._connection.close()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise SpoolUnavailable(f"It says: {error}.") from error


def sweep(folder: Path) -> None:
    """Remove what a process left that was killed between making a spool's file and taking its name away.

    It is safe beside a running import: a file that is in use has lost its name already, or is about to.
    """
    for left in folder.glob("spool-*.tmp"):
        left.unlink(missing_ok=True)


def _pieces(pairs: Iterable[tuple[str, T]]) -> Iterator[tuple[str, bytes, int]]:
    for key, run in groupby(pairs, key=itemgetter(0)):
        things = map(itemgetter(1), run)
        while piece := list(islice(things, _AT_ONCE)):
            # Version 2 keeps no table of what it has seen: a third faster, for things that share little.
            yield key, marshal.dumps(piece, 2), len(piece)
