"""The projection: every document as one narrow row in a DuckDB file, filled by the orders' facts.

A word that many documents share (a customer, a status) is kept once, and rows hold its code: grouping goes by small
integers, and only the cells of an answer are turned into words. Only the serving process opens the file. Effects and
position are committed together, so a kill anywhere loses and doubles nothing; a file that is deleted, damaged or of
another version is made anew from the facts.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from orderhouse.analytics.changes import TYPES, WORDS, Changes, Words
from orderhouse.analytics.zones import DAY, LocalDays
from orderhouse.kernel.clock import Instant
from orderhouse.kernel.events import Fact
from orderhouse.orders import contract

if TYPE_CHECKING:
    import duckdb

log = structlog.get_logger(__name__)

_VERSION = 2
"""Of the file's tables: another one is not mended but made anew."""

KEYS = {"customer": "customer", "user": "owner", "country": "country", "status": "status"}
"""Cuts and the column each goes by."""

_KINDS = ("sale", "credit", "adjustment")
"""Kinds of documents, in the order their figures have in a Cell."""

_EPOCH = date(1970, 1, 1).toordinal()

_ARRAY_BITS = 18
"""How many bits of codes are summed in an array rather than in a hash table: twice as fast, for 10 MB at most."""

Cell = tuple[str | None, int, int, int, int, int]
"""A key, then orders, credits, gross, credit_total and adjustments; amounts in exact millionths."""


EMPTY: Cell = (None, 0, 0, 0, 0, 0)
"""What nothing adds up to."""


class Projection:
    """The file, and what is asked of it. Safe to use from threads; one of them applies facts at a time."""

    def __init__(self, file: Path, *, memory_mb: int = 96, threads: int = 2) -> None:
        """Open `file`, or make it; it may use so much memory and so many threads."""
        self._file = file
        self._settings: dict[str, Any] = {
            "memory_limit": f"{memory_mb}MB",
            "threads": threads,
            "temp_directory": str(file.with_suffix(".spill")),
            # New rows stay in memory, uncompressed, until they are written into the file: a usual 16 MB is 350,000.
            "wal_autocheckpoint": "4MB",
            "preserve_insertion_order": False,
            "perfect_ht_threshold": _ARRAY_BITS,
        }
        self._writing = threading.Lock()
        self._door = _Door()
        self._open()

    def _open(self) -> None:
        self._connection = self._opened()
        self._position = int(self._rows("SELECT position FROM progress")[0][0])
        self._words = Words()
        # No code ever changes, and the words that figures are told by are in every file from its first moment.
        self._codes: dict[tuple[str, str], int] = {}
        self._kinds = dict(self._rows("SELECT word, code FROM kind_words"))

    def _opened(self) -> "duckdb.DuckDBPyConnection":
        # A fifth of a second and 30 MB: only who serves analytics pays for it.
        import duckdb

        try:
            connection = duckdb.connect(str(self._file), config=self._settings)
            found = connection.execute(
                "SELECT version FROM progress" if _has_tables(connection) else "SELECT NULL"
            ).fetchall()[0][0]
            if found == _VERSION:
                return connection
            connection.close()
        except duckdb.Error as error:
            if "lock" in str(error):
                raise
            found = "damaged"
        if self._file.exists() and found is not None:
            log.warning("projection_made_anew", file=self._file.name, found=found)
        self._file.unlink(missing_ok=True)
        self._file.with_name(f"{self._file.name}.wal").unlink(missing_ok=True)
        connection = duckdb.connect(str(self._file), config=self._settings)
        connection.execute(f"BEGIN; {_schema()}; COMMIT")
        return connection

    def position(self) -> int:
        """Return the position of the last fact applied."""
        return self._position

    def apply(self, facts: Sequence[Fact]) -> None:
        """Apply facts in order, with the position, in one transaction; what was applied before changes nothing.

        FactsMissing when one is missing before or among them.
        """
        while not self.keep(Changes(self._position).add(facts)):
            pass

    def keep(self, changes: Changes) -> bool:
        """Make `changes`, with where they lead, in one transaction, and return True.

        False, with nothing changed, when they do not begin where the file is by now: it may have been made anew.
        """
        with self._writing:
            if changes.after != self._position:
                return False
            if changes.position == changes.after:
                return True
            cursor = self._connection.cursor()
            cursor.execute("BEGIN")
            try:
                changes.make(cursor, self._words)
                cursor.execute("UPDATE progress SET position = $1", [changes.position])
                cursor.execute("COMMIT")
            except BaseException:
                self._words.forget()
                cursor.execute("ROLLBACK")
                raise
            finally:
                cursor.close()
            self._position = changes.position
            return True

    def replace_by(self, made: "Projection") -> bool:
        """Go on with all that `made` holds, and return True; its file takes the place of this one.

        False, with nothing changed, when it has not come as far. Whoever asks meanwhile waits for some milliseconds.
        """
        with self._writing:
            if made.position() < self._position:
                return False
            made.close()
            with self._door.closed():
                self._connection.close()
                # What was still to be written into this file is not to be written into the other.
                self._file.with_name(f"{self._file.name}.wal").unlink(missing_ok=True)
                made._file.replace(self._file)  # noqa: SLF001 - it is one of us
                self._open()
            return True

    def currencies(self, days: LocalDays) -> list[str]:
        """Return every currency there is in a range."""
        with self._door.passed():
            return self._currencies(days)

    def _currencies(self, days: LocalDays) -> list[str]:
        known = dict(self._rows("SELECT code, word FROM currency_words"))
        # Most shops have one: then the first document found says that it is there.
        looked_for = "1" if len(known) == 1 else "DISTINCT currency"
        found = self._rows(
            f"SELECT {looked_for} FROM documents WHERE placed_at >= $begin AND placed_at < $end "
            f"AND status <> $cancelled LIMIT {len(known)}",
            begin=days.begin,
            end=days.end,
            cancelled=self._code("status", "cancelled"),
        )
        return list(known.values()) if found and len(known) == 1 else sorted(known[code] for (code,) in found)

    def by_day(self, days: LocalDays, currency: str) -> list[tuple[int, int, int, int, int, int]]:
        """Return a row for each local day with documents: days after 1970, then the figures of a Cell."""
        with self._door.passed():
            return self._by_day(days, currency)

    def _by_day(self, days: LocalDays, currency: str) -> list[tuple[int, int, int, int, int, int]]:
        # The zone's clock as integers: telling every row's day by a calendar would cost ten times the rest. Each
        # stretch between two changes of the clock is a pass of its own, over its own rows and with one offset.
        # Days are counted from a little before the range, so that every division is of positive numbers.
        zero = days.first.toordinal() - _EPOCH - 2
        passes = [
            self._sums(
                f"(placed_at + {stretch.offset - zero * DAY}) // {DAY}",
                "day",
                max(stretch.begin, days.begin),
                min(stretch.end, days.end),
            )
            for stretch in days.stretches
            if stretch.begin < days.end and stretch.end > days.begin
        ]
        if not passes:  # A day that a zone left out when it went over the date line.
            return []
        # A day that the clock was changed on is in two of them. To have the few sums added up where they are would take
        # longer to plan than to do here.
        counts, amounts = Counter[tuple[int, int]](), Counter[tuple[int, int]]()
        for day, kind, n, amount in self._rows(" UNION ALL ".join(passes), **self._counted(currency)):
            counts[day, kind] += n
            amounts[day, kind] += amount
        sale, credit, adjustment = (self._kinds[kind] for kind in _KINDS)
        return [
            (
                zero + day,
                counts[day, sale],
                counts[day, credit],
                amounts[day, sale],
                amounts[day, credit],
                amounts[day, adjustment],
            )
            for day in sorted({day for day, _ in counts})
        ]

    def by_key(self, cut: str, days: LocalDays, currency: str, limit: int) -> tuple[list[Cell], Cell, Cell]:
        """Return the cells of falling net up to `limit`, the cell of what has no key, and the sum of all."""
        with self._door.passed():
            return self._by_key(cut, days, currency, limit)

    def _by_key(self, cut: str, days: LocalDays, currency: str, limit: int) -> tuple[list[Cell], Cell, Cell]:
        sums = self._sums(KEYS[cut], "code", days.begin, days.end)
        found = self._rows(
            f"WITH cells AS MATERIALIZED (SELECT code, {self._figures()} FROM ({sums}) GROUP BY code) "
            "SELECT 0 AS part, word, orders, credits, gross, credit_total, adjustments FROM ("
            f"SELECT word::VARCHAR AS word, cells.* FROM cells JOIN {KEYS[cut]}_words AS words USING (code) "
            "WHERE orders + credits > 0 ORDER BY gross + credit_total DESC, word LIMIT $limit) "
            "UNION ALL SELECT 1, NULL, orders, credits, gross, credit_total, adjustments FROM cells WHERE code IS NULL "
            "UNION ALL SELECT 2, NULL, sum(orders), sum(credits), sum(gross), sum(credit_total), sum(adjustments) "
            "FROM cells",
            **self._counted(currency),
            limit=limit,
        )
        items: list[Cell] = []
        others: dict[int, Cell] = {}
        for part, key, *figures in found:
            orders, credits_, gross, credit_total, adjustments = (int(figure or 0) for figure in figures)
            cell: Cell = (key, orders, credits_, gross, credit_total, adjustments)
            if part:
                others[part] = cell
            else:
                items.append(cell)
        items.sort(key=lambda cell: (-(cell[3] + cell[4]), cell[0]))
        return items, others.get(1, EMPTY), others.get(2, EMPTY)

    def _sums(self, key: str, name: str, begin: Instant, end: Instant) -> str:
        """Return one pass over the documents of a time that count: how many of each `key` and kind, and their sum."""
        return (
            f"SELECT {key} AS {name}, kind, count(*) AS n, sum(amount) AS amount FROM documents "
            f"WHERE placed_at >= {begin} AND placed_at < {end} AND currency = $currency AND status <> $cancelled "
            f"GROUP BY {name}, kind"
        )

    def _figures(self) -> str:
        """Return the figures of a Cell from such sums."""
        sale, credit, adjustment = (f"kind = {self._kinds[kind]}" for kind in _KINDS)
        return ", ".join(
            f"coalesce(sum({what}) FILTER ({kind}), 0) AS {name}"
            for what, kind, name in (
                ("n", sale, "orders"),
                ("n", credit, "credits"),
                ("amount", sale, "gross"),
                ("amount", credit, "credit_total"),
                ("amount", adjustment, "adjustments"),
            )
        )

    def _counted(self, currency: str) -> dict[str, object]:
        return {"currency": self._code("currency", currency), "cancelled": self._code("status", "cancelled")}

    def _code(self, column: str, word: str) -> int | None:
        if (column, word) not in self._codes:
            found = self._rows(f"SELECT code FROM {column}_words WHERE word = $word", word=word)
            if not found:
                return None
            self._codes[column, word] = int(found[0][0])
        return self._codes[column, word]

    def _rows(self, sql: str, **values: object) -> list[Any]:
        cursor = self._connection.cursor()
        try:
            return cursor.execute(sql, values).fetchall()
        finally:
            cursor.close()

    def remove(self) -> None:
        """Close the file, and remove it."""
        self.close()
        self._file.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file."""
        with self._writing:
            self._connection.close()


class _Door:
    """Whoever passes holds it open; who closes it waits for them, and they for it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0

    @contextmanager
    def passed(self) -> Iterator[None]:
        with self._changed:
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def closed(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._inside)
            yield


def _has_tables(connection: "duckdb.DuckDBPyConnection") -> bool:
    found = connection.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name IN ('documents', 'progress')")
    return bool(found.fetchall()[0][0] == 2)


def _schema() -> str:
    tables = [
        f"CREATE TABLE documents ({', '.join(f'{name} {kind}' for name, kind in TYPES.items())})",
        *(f"CREATE TABLE {column}_words (code {TYPES[column]}, word {kind})" for column, kind in WORDS.items()),
        *(
            f"INSERT INTO {column}_words VALUES {', '.join(f'({code}, {word!r})' for code, word in enumerate(words))}"
            for column, words in (("kind", contract.KINDS), ("status", contract.STATUSES))
        ),
        "CREATE TABLE progress (position BIGINT, version INTEGER)",
        f"INSERT INTO progress VALUES (0, {_VERSION})",
    ]
    return "; ".join(tables)
