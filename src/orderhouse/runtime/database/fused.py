"""All that a transaction of PostgreSQL keeps back, as the one statement that writes it: a round trip for any number."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Column, Table
from sqlalchemy.dialects import postgresql

from orderhouse.runtime.database.sql import Row
from orderhouse.runtime.database.tables import tables_of

Change = tuple[Table, tuple[str, ...]]
"""A table, and its columns that change."""

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy types no dialect's constructor

_FACTS: Table = tables_of("any").tables["facts"]

_Spell = Callable[[Sequence[object]], object]
"""Makes the argument of a column's values."""


def fused(
    expected: Mapping[Table, Sequence[Row]],
    added: Mapping[Table, Sequence[Row]],
    changed: Mapping[Change, Sequence[Row]],
    told: Sequence[Row],
) -> tuple[str, list[object]]:
    """Return the statement that inserts, updates and appends to the log, and its arguments, an array a column.

    It answers one row, or none and does nothing where a row that is expected is not there in that version. What is told
    is numbered from 1. Where the log ends the statement alone knows: that position is what its row holds, if any.
    """
    rows = [*expected.values(), *added.values(), *changed.values(), *([told] if told else [])]
    columns = [column for some in rows for column in zip(*some, strict=True)]
    sql, spell = _statement(tuple(expected), tuple(added), tuple(changed), tells=bool(told))
    arguments = [argument_of(column) for argument_of, column in zip(spell, columns, strict=True)]
    return sql, [*arguments, len(told)] if told else arguments


def _array(values: Sequence[object]) -> str:
    """Return an array as PostgreSQL reads it: JSON's, but for its brackets, and for what JSON escapes."""
    # Given a list, the driver asks every member whether it is a list itself, which takes longer than all the rest.
    said = orjson.dumps(values, default=_spelled)
    if said.find(b"\\") >= 0 and said.replace(b"\\\\", b"").replace(b'\\"', b"").find(b"\\") >= 0:
        # Before a letter JSON means something by a backslash, and PostgreSQL that very letter.
        return f"{{{','.join(map(_member, values))}}}"
    return f"{{{said[1:-1].decode()}}}"


def _member(value: object) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return orjson.dumps(value, default=_spelled).decode()


def _spelled(value: object) -> str:
    """Return the text of bytes, or of an id of the driver's own class, as PostgreSQL has it; TypeError for others."""
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"no column of an array: {type(value).__name__}")


@lru_cache(maxsize=256)
def _statement(
    expected: tuple[Table, ...], added: tuple[Table, ...], changed: tuple[Change, ...], *, tells: bool
) -> tuple[str, tuple[_Spell, ...]]:
    """Return the statement, and how it takes each of its arrays.

    The row that hands out positions is locked last, when everything else that could make this transaction wait is
    behind it; it is what serialises the commits of a context.
    """
    parts: list[str] = []
    spell: list[_Spell] = []

    def arrays(columns: Iterable[Column[Any]]) -> str:
        sent = [_sent(column.type) for column in columns]
        first = len(spell) + 1
        spell.extend(argument_of for _, argument_of in sent)
        return ", ".join(f"${n}::{cast}" for n, (cast, _) in enumerate(sent, first))

    outdated: list[str] = []
    for table in expected:
        (key,) = table.primary_key
        source = arrays([key, table.columns["version"]])
        # A question for each row, which its key answers: a join might be planned as a look at every row there is.
        outdated.append(
            f"SELECT FROM unnest({source}) AS seen(key, version) WHERE version IS DISTINCT FROM "
            f"(SELECT now.version FROM {table.name} AS now WHERE now.{key.name} = seen.key)"
        )
    checks = [f"outdated AS MATERIALIZED ({' UNION ALL '.join(outdated)})"] if expected else []
    unless = "NOT EXISTS (SELECT FROM outdated)" if expected else "true"
    for n, table in enumerate(added):
        source = arrays(table.columns)
        parts.append(f"a{n} AS (INSERT INTO {table.name} SELECT * FROM unnest({source}) WHERE {unless} RETURNING 1)")
    for n, (table, columns) in enumerate(changed):
        keys = [column.name for column in table.primary_key]
        source = arrays(table.columns[name] for name in (*keys, *columns))
        settings = ", ".join(f"{name} = new.{name}" for name in columns)
        where = " AND ".join(f"{table.name}.{name} = new.{name}" for name in keys)
        names = ", ".join((*keys, *columns))
        parts.append(
            f"c{n} AS (UPDATE {table.name} SET {settings} FROM unnest({source}) AS new({names}) "
            f"WHERE {where} AND {unless} RETURNING 1)"
        )
    if tells:
        behind = " + ".join(f"(SELECT count(*) FROM {part.split(' ', 1)[0]})" for part in parts) or "0"
        source = arrays(_FACTS.columns)
        count = f"${len(spell) + 1}::bigint"
        parts.append(
            f"head AS (UPDATE fact_head SET position = position + {count} WHERE {behind} >= 0 AND {unless} "
            f"RETURNING position - {count} AS after)"
        )
        parts.append(
            "told AS (INSERT INTO facts SELECT head.after + f.position, f.id, f.name, f.version, f.aggregate, "
            f"f.sequence, f.data, f.at, f.actor, f.request_id, f.trace FROM head, unnest({source}) "
            "AS f(position, id, name, version, aggregate, sequence, data, at, actor, request_id, trace))"
        )
    answer = "after FROM head" if tells else f"WHERE {unless}"
    return f"WITH {', '.join([*checks, *parts])} SELECT {answer}", tuple(spell)


def _sent(kind: Any) -> tuple[str, _Spell]:
    """Return what a parameter for values of that type is cast to, and what makes its argument."""
    # Without the order of its texts, which is the column's own.
    name = str(kind.compile(dialect=_DIALECT)).lower().partition(" collate ")[0]
    if name == "jsonb" or (name == "bytea" and kind.length is None):
        # As text, bytes are twice as long, which matters where they may be many; JSON's quotes need a backslash each.
        return f"{name}[]", tuple
    return f"text::{name}[]", _array
