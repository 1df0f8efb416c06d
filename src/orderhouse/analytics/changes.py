"""What facts come to in the projection's file: rows that are new or replaced, what changes on others, and codes."""

from collections.abc import Iterable, Mapping
from itertools import count
from operator import itemgetter
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from orderhouse.analytics.errors import FactsMissing
from orderhouse.kernel import money
from orderhouse.kernel.events import Fact
from orderhouse.orders import contract

if TYPE_CHECKING:
    import duckdb

WORDS = {
    "kind": "VARCHAR",
    "status": "VARCHAR",
    "currency": "VARCHAR",
    "customer": "UUID",
    "owner": "VARCHAR",
    "country": "VARCHAR",
}
"""Columns that hold codes, and what the words of each are."""

TYPES = {
    "order_id": "UUID",
    "kind": "UTINYINT",
    "status": "UTINYINT",
    "currency": "UTINYINT",
    "customer": "UINTEGER",
    "owner": "UINTEGER",
    "country": "UINTEGER",
    "placed_at": "BIGINT",
    "amount": "BIGINT",
}
"""The columns of a document, in their order."""

_PLACE = {column: n for n, column in enumerate(TYPES)}

_REMEMBERED = 20_000
"""How many words of a column are remembered with their codes; the file knows them all."""


class Words:
    """The codes of words: from 0, in the order in which the file first met them."""

    def __init__(self) -> None:
        """Know none yet."""
        self._known: dict[str, dict[str, int]] = {column: {} for column in WORDS}

    def forget(self) -> None:
        """Ask the file again: codes that were given in a transaction that is undone are none."""
        for known in self._known.values():
            known.clear()

    def codes(self, cursor: "duckdb.DuckDBPyConnection", column: str, words: Iterable[str | None]) -> list[int | None]:
        """Return the code of each word, None for none; a word that is new gets one, within this transaction."""
        known = self._known[column]
        if len(known) > _REMEMBERED:
            known.clear()
        wanted = list(words)
        missing = [word for word in dict.fromkeys(wanted) if word is not None and word not in known]
        if missing:
            table, types = f"{column}_words", {"word": WORDS[column]}
            found = cursor.execute(
                f"SELECT word::VARCHAR, code FROM {table} WHERE word IN ({_from_json(types)})", [_json(word=missing)]
            )
            known.update(found.fetchall())
            new = [word for word in missing if word not in known]
            ((first,),) = cursor.execute(f"SELECT count(*) FROM {table}").fetchall()
            given = dict(zip(new, count(first), strict=False))
            _insert(cursor, table, {"code": TYPES[column], **types}, code=given.values(), word=given)
            known.update(given)
        return [None if word is None else known[word] for word in wanted]


class Changes:
    """What facts come to that go on behind a position: rows that are new or replaced, and what changes on others."""

    def __init__(self, after: int) -> None:
        """Begin behind position `after`."""
        self.after = self.position = after
        self._rows: dict[UUID, list[Any]] = {}
        self._replaced: set[UUID] = set()
        self._changed: dict[str, dict[UUID, Any]] = {"status": {}, "owner": {}}

    def add(self, facts: Iterable[Fact]) -> "Changes":
        """Fold `facts`, in order; those at or below the position change nothing. FactsMissing when one is missing."""
        for fact in facts:
            position, name, order, data = fact.position, fact.name, fact.aggregate, fact.data
            if position <= self.position:
                continue
            if position != self.position + 1:
                raise FactsMissing(f"Expected position {self.position + 1}, got {position}.")
            self.position = position
            if name in (contract.PLACED, contract.REPLACED):
                self._rows[order] = _row(order, data)
                if name == contract.REPLACED:
                    self._forget(order)
            elif name == contract.MOVED:
                self._set(order, "status", data["to"])
            elif name == contract.ASSIGNED:
                self._set(order, "owner", data["owner_id"])
        return self

    def _forget(self, order: UUID) -> None:
        """Have what the file holds of `order`, and what was to change on it, give way to its new row."""
        self._replaced.add(order)
        for changed in self._changed.values():
            changed.pop(order, None)

    def _set(self, order: UUID, column: str, value: Any) -> None:
        row = self._rows.get(order)
        if row is None:
            self._changed[column][order] = value
        else:
            row[_PLACE[column]] = value

    def make(self, cursor: "duckdb.DuckDBPyConnection", words: Words) -> None:
        """Make them within a transaction."""
        if self._replaced:
            gone = f"DELETE FROM documents WHERE order_id IN ({_from_json({'order_id': 'UUID'})})"
            cursor.execute(gone, [_json(order_id=self._replaced)])
        if self._rows:
            columns = dict(zip(TYPES, zip(*self._rows.values(), strict=True), strict=True))
            codes = {column: words.codes(cursor, column, columns[column]) for column in WORDS}
            _insert(cursor, "documents", TYPES, **{**columns, **codes})
        for column, changed in self._changed.items():
            if changed:
                # The ids go up with time, so the join passes over row groups that cannot hold them.
                cursor.execute(
                    f"UPDATE documents SET {column} = new.value "
                    f"FROM ({_from_json({'order_id': 'UUID', 'value': TYPES[column]})}) AS new "
                    "WHERE documents.order_id = new.order_id",
                    [_json(order_id=changed, value=words.codes(cursor, column, changed.values()))],
                )


def _row(order: UUID, data: Mapping[str, Any]) -> list[Any]:
    """Return the columns of a document, in the order of the table."""
    return [order, *_said(data), money.exact(data["amount"])]


_said = itemgetter("kind", "status", "currency", "customer_id", "owner_id", "country", "placed_at")


def _insert(
    cursor: "duckdb.DuckDBPyConnection", table: str, types: Mapping[str, str], **columns: Iterable[object]
) -> None:
    cursor.execute(f"INSERT INTO {table} {_from_json(types)}", [_json(**columns)])


# Column by column in one JSON text: the driver takes that twice as fast as lists, whose every value it looks at.
def _json(**columns: Iterable[object]) -> str:
    return orjson.dumps({name: list(values) for name, values in columns.items()}).decode()


def _from_json(types: Mapping[str, str]) -> str:
    """Return the query whose rows `_json` holds, as its one parameter."""
    shape = orjson.dumps({name: [kind] for name, kind in types.items()}).decode()
    columns = ", ".join(f"unnest(given.{name}) AS {name}" for name in types)
    return f"SELECT {columns} FROM (SELECT from_json($1, '{shape}') AS given)"
