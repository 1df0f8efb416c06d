"""The projection: every document as one narrow row in a DuckDB file, filled by the orders' facts.

Only the serving process opens the file. Effects and position are committed together, so a kill anywhere loses and
doubles nothing; a file that is deleted, damaged or of another version is made anew from the facts.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog

from orderhouse.analytics.errors import FactsMissing
from orderhouse.analytics.zones import DAY, LocalDays
from orderhouse.kernel import money
from orderhouse.kernel.events import Fact
from orderhouse.orders import contract

if TYPE_CHECKING:
    import duckdb

log = structlog.get_logger(__name__)

_VERSION = 1
"""Of the file's tables: another one is not mended but made anew."""

_TYPES = {
    "order_id": "UUID",
    "kind": "VARCHAR",
    "status": "VARCHAR",
    "currency": "VARCHAR",
    "customer": "UUID",
    "owner": "VARCHAR",
    "country": "VARCHAR",
    "placed_at": "BIGINT",
    "amount": "BIGINT",
}
_COLUMNS = ", ".join(_TYPES)

KEYS = {"customer": "customer::VARCHAR", "user": "owner", "country": "country", "status": "status"}
"""Cuts and the column each goes by."""

_FIGURES = """
    count(*) FILTER (kind = 'sale') AS orders,
    count(*) FILTER (kind = 'credit') AS credits,
    coalesce(sum(amount) FILTER (kind = 'sale'), 0) AS gross,
    coalesce(sum(amount) FILTER (kind = 'credit'), 0) AS credit_total,
    coalesce(sum(amount) FILTER (kind = 'adjustment'), 0) AS adjustments
"""
_COUNTED = "placed_at >= $begin AND placed_at < $end AND currency = $currency AND status <> 'cancelled'"

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
            "preserve_insertion_order": False,
        }
        self._writing = threading.Lock()
        self._connection = self._opened()
        self._position = int(self._rows("SELECT position FROM progress")[0][0])

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
        columns = ", ".join(f"{name} {kind}" for name, kind in _TYPES.items())
        connection.execute(
            f"BEGIN; CREATE TABLE documents ({columns}); CREATE TABLE progress (position BIGINT, version INTEGER); "
            f"INSERT INTO progress VALUES (0, {_VERSION}); COMMIT"
        )
        return connection

    def position(self) -> int:
        """Return the position of the last fact applied."""
        return self._position

    def apply(self, facts: Sequence[Fact]) -> None:
        """Apply facts in order, with the position, in one transaction; what was applied before changes nothing.

        FactsMissing when one is missing before or among them.
        """
        with self._writing:
            new = [fact for fact in facts if fact.position > self._position]
            for expected, fact in enumerate(new, self._position + 1):
                if fact.position != expected:
                    raise FactsMissing(f"Expected position {expected}, got {fact.position}.")
            if not new:
                return
            changes = _Changes.of(new)
            cursor = self._connection.cursor()
            cursor.execute("BEGIN")
            try:
                changes.make(cursor)
                cursor.execute("UPDATE progress SET position = $1", [new[-1].position])
                cursor.execute("COMMIT")
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            finally:
                cursor.close()
            self._position = new[-1].position

    def currencies(self, days: LocalDays) -> list[str]:
        """Return every currency there is in a range."""
        found = self._rows(
            "SELECT DISTINCT currency FROM documents WHERE placed_at >= $begin AND placed_at < $end "
            "AND status <> 'cancelled' ORDER BY 1",
            begin=days.begin,
            end=days.end,
        )
        return [row[0] for row in found]

    def by_day(self, days: LocalDays, currency: str) -> list[tuple[int, int, int, int, int, int]]:
        """Return a row for each local day with documents: days after 1970, then the figures of a Cell."""
        # The zone's clock as integers: telling every row's day by a calendar would cost ten times the rest.
        changes = " ".join(f"WHEN placed_at < {stretch.end} THEN {stretch.offset}" for stretch in days.stretches[:-1])
        last = days.stretches[-1].offset
        offset = f"CASE {changes} ELSE {last} END" if changes else str(last)
        # A million days earlier, so that the division is of positive numbers for every year.
        day = f"(placed_at + {offset} + {1_000_000 * DAY}) // {DAY} - 1000000"
        return self._rows(
            f"SELECT {day} AS day, {_FIGURES} FROM documents WHERE {_COUNTED} GROUP BY day ORDER BY day",
            begin=days.begin,
            end=days.end,
            currency=currency,
        )

    def by_key(self, cut: str, days: LocalDays, currency: str, limit: int) -> tuple[list[Cell], Cell, Cell]:
        """Return the cells of falling net up to `limit`, the cell of what has no key, and the sum of all."""
        found = self._rows(
            f"WITH cells AS MATERIALIZED (SELECT {KEYS[cut]} AS key, {_FIGURES} FROM documents "
            f"WHERE {_COUNTED} GROUP BY key) "
            "SELECT 0 AS part, key, orders, credits, gross, credit_total, adjustments FROM ("
            "SELECT * FROM cells WHERE key IS NOT NULL AND orders + credits > 0 "
            "ORDER BY gross + credit_total DESC, key LIMIT $limit) "
            "UNION ALL SELECT 1, NULL, orders, credits, gross, credit_total, adjustments FROM cells WHERE key IS NULL "
            "UNION ALL SELECT 2, NULL, sum(orders), sum(credits), sum(gross), sum(credit_total), sum(adjustments) "
            "FROM cells",
            begin=days.begin,
            end=days.end,
            currency=currency,
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

    def _rows(self, sql: str, **values: object) -> list[Any]:
        cursor = self._connection.cursor()
        try:
            return cursor.execute(sql, values).fetchall()
        finally:
            cursor.close()

    def close(self) -> None:
        """Close the file."""
        with self._writing:
            self._connection.close()


def _has_tables(connection: "duckdb.DuckDBPyConnection") -> bool:
    found = connection.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name IN ('documents', 'progress')")
    return bool(found.fetchall()[0][0] == 2)


class _Changes:
    """What a batch of facts comes to: rows that are new or replaced, and what changes on others."""

    def __init__(self) -> None:
        self._rows: dict[UUID, dict[str, object]] = {}
        self._replaced: set[UUID] = set()
        self._changed: dict[UUID, dict[str, object]] = {}

    @classmethod
    def of(cls, facts: Iterable[Fact]) -> "_Changes":
        """Fold `facts`, in order."""
        changes = cls()
        for fact in facts:
            if fact.name in (contract.PLACED, contract.REPLACED):
                changes._rows[fact.aggregate] = _row(fact.aggregate, fact.data)
                changes._changed.pop(fact.aggregate, None)
                if fact.name == contract.REPLACED:
                    changes._replaced.add(fact.aggregate)
            elif fact.name == contract.MOVED:
                changes._set(fact.aggregate, "status", fact.data["to"])
            elif fact.name == contract.ASSIGNED:
                changes._set(fact.aggregate, "owner", fact.data["owner_id"])
        return changes

    def _set(self, order: UUID, column: str, value: object) -> None:
        target = self._rows.get(order)
        if target is None:
            target = self._changed.setdefault(order, {})
        target[column] = value

    def make(self, cursor: "duckdb.DuckDBPyConnection") -> None:
        """Make them within a transaction."""
        if self._replaced:
            cursor.execute(
                "DELETE FROM documents WHERE order_id IN (SELECT unnest($1::UUID[]))",
                [[str(order) for order in self._replaced]],
            )
        if self._rows:
            source = ", ".join(f"unnest(${n}::{kind}[])" for n, kind in enumerate(_TYPES.values(), 1))
            columns = [[row[name] for row in self._rows.values()] for name in _TYPES]
            cursor.execute(f"INSERT INTO documents ({_COLUMNS}) SELECT {source}", columns)
        for column in ("status", "owner"):
            changed = [(str(order), new[column]) for order, new in self._changed.items() if column in new]
            if changed:
                # The ids go up with time, so the join passes over row groups that cannot hold them.
                cursor.execute(
                    f"UPDATE documents SET {column} = new.value FROM "
                    "(SELECT unnest($1::UUID[]) AS order_id, unnest($2::VARCHAR[]) AS value) AS new "
                    "WHERE documents.order_id = new.order_id",
                    [list(values) for values in zip(*changed, strict=True)],
                )


def _row(order: UUID, data: Mapping[str, Any]) -> dict[str, object]:
    return {
        "order_id": str(order),
        "kind": data["kind"],
        "status": data["status"],
        "currency": data["currency"],
        "customer": data["customer_id"],
        "owner": data["owner_id"],
        "country": data["country"],
        "placed_at": data["placed_at"],
        "amount": money.exact(data["amount"]),
    }
