"""One SQL text for both databases: `:name` parameters, and `IN :names` for a list of values."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal
from uuid import UUID

import orjson

from orderhouse.kernel.ids import id_of, text_of

Dialect = Literal["sqlite", "postgresql"]
Row = tuple[Any, ...]

# A quoted text and a PostgreSQL cast hold no parameter of ours; both are matched first so that they are passed over.
_PARAMETER = re.compile(r"'(?:[^']|'')*'|::\w+|(\bIN\s+)?:([a-z_][a-z0-9_]*)", re.IGNORECASE)


@lru_cache(maxsize=1024)
def _for_postgresql(sql: str) -> tuple[str, tuple[str, ...]]:
    names: list[str] = []

    def numbered(found: re.Match[str]) -> str:
        name = found[2]
        if name is None:
            return found[0]
        if name not in names:
            names.append(name)
        number = f"${names.index(name) + 1}"
        return f"= ANY({number})" if found[1] else number

    return _PARAMETER.sub(numbered, sql), tuple(names)


def for_postgresql(sql: str, values: Mapping[str, object]) -> tuple[str, list[object]]:
    """Return `sql` with numbered parameters and their values in that order; a list goes as one array."""
    text, names = _for_postgresql(sql)
    return text, [values[name] for name in names]


@lru_cache(maxsize=1024)
def _for_sqlite(sql: str, lengths: tuple[tuple[str, int], ...]) -> str:
    known = dict(lengths)

    def expanded(found: re.Match[str]) -> str:
        name = found[2]
        if name is None or name not in known:
            return found[0]
        return f"{found[1]}({', '.join(f':{name}_{n}' for n in range(known[name]))})"

    return _PARAMETER.sub(expanded, sql)


def for_sqlite(sql: str, values: Mapping[str, object]) -> tuple[str, Mapping[str, object]]:
    """Return `sql` with every list spelled out, and its values.

    Lists are filled up to a power of two by repeating a member, so that few different statements are prepared.
    """
    lists = {name: list(value) for name, value in values.items() if isinstance(value, list | tuple | set | frozenset)}
    if not lists:
        return sql, values
    flat = {name: value for name, value in values.items() if name not in lists}
    lengths = []
    for name, members in lists.items():
        length = 1 << (len(members) - 1).bit_length() if members else 1
        # An empty list matches nothing: nothing equals NULL.
        padded = members + [members[-1] if members else None] * (length - len(members))
        flat.update((f"{name}_{n}", member) for n, member in enumerate(padded))
        lengths.append((name, length))
    return _for_sqlite(sql, tuple(lengths)), flat


def as_id(value: UUID | bytes) -> UUID:
    """Return the id a row holds: SQLite keeps its 16 bytes, PostgreSQL has a type for it."""
    if type(value) is UUID:
        return value
    # The driver of PostgreSQL has a class of its own, which JSON does not know.
    return id_of(int.from_bytes(value if isinstance(value, bytes) else value.bytes))


def as_id_or_none(value: UUID | bytes | None) -> UUID | None:
    """Return the id a row holds, or None where it holds none."""
    return None if value is None else as_id(value)


def id_text(value: UUID | bytes) -> str:
    """Return the text of an id, as a row holds it or as itself: what is only shown needs no object."""
    if type(value) is UUID:
        # JSON spells one in a third of the time that it takes to spell itself.
        return orjson.dumps(value)[1:-1].decode()
    return text_of(value.hex()) if isinstance(value, bytes) else str(value)


def names(columns: Sequence[str]) -> str:
    """Return column names as a list in SQL."""
    return ", ".join(columns)
