"""Tables as files: CSV that no spreadsheet takes for formulas, JSON lines, and Parquet with its types."""

import csv
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, NamedTuple

import orjson

# What begins so is run by spreadsheets: https://owasp.org/www-community/attacks/CSV_Injection
_LIVE = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")

_PARQUET = {"text": "VARCHAR", "integer": "BIGINT", "decimal": "DECIMAL(38, 6)", "instant": "TIMESTAMPTZ"}
_MEMORY = "128MB"


class Column(NamedTuple):
    """A column. Decimals and instants are texts in a row, exact and in RFC 3339; None is nothing."""

    name: str
    kind: Literal["text", "integer", "decimal", "instant"] = "text"


Table = Iterable[Sequence[Any]]


def write_csv(file: Path, columns: Sequence[Column], rows: Table) -> int:
    """Write `rows` under their columns' names, and return how many they were.

    Text that a spreadsheet would run begins with an apostrophe, which spreadsheets do not show.
    """
    texts = [n for n, column in enumerate(columns) if column.kind == "text"]
    count = 0
    with file.open("w", encoding="utf-8", newline="") as written:
        writer = csv.writer(written)
        writer.writerow(column.name for column in columns)
        for row in rows:
            cells = list(row)
            for n in texts:
                cells[n] = inert(cells[n]) if cells[n] else cells[n]
            writer.writerow(cells)
            count += 1
    return count


def inert(text: str) -> str:
    """Return `text` as a cell that no spreadsheet runs."""
    return f"'{text}" if text.startswith(_LIVE) else text


def write_json_lines(file: Path, things: Iterable[object]) -> int:
    """Write one JSON object to a line, and return how many they were."""
    count = 0
    with file.open("wb") as written:
        for thing in things:
            written.write(orjson.dumps(thing, option=orjson.OPT_APPEND_NEWLINE))
            count += 1
    return count


def write_parquet(file: Path, columns: Sequence[Column], rows: Table) -> int:
    """Write `rows`, each column of its type, and return how many they were."""
    # A fifth of a second and 30 MB: only who writes Parquet pays for it.
    import duckdb

    lines = file.with_suffix(".jsonl")
    names = [column.name for column in columns]
    try:
        count = write_json_lines(lines, (dict(zip(names, row, strict=True)) for row in rows))
        read = ", ".join(f"'{one.name}': '{'BIGINT' if one.kind == 'integer' else 'VARCHAR'}'" for one in columns)
        cast = ", ".join(f'"{one.name}"::{_PARQUET[one.kind]} AS "{one.name}"' for one in columns)
        settings: dict[str, Any] = {
            "memory_limit": _MEMORY,
            "threads": 1,
            "temp_directory": str(file.with_suffix(".spill")),
        }
        with closing(duckdb.connect(config=settings)) as made:
            # The paths are ours, and a quote in one is doubled.
            found = f"read_json({_quoted(lines)}, columns = {{{read}}}, format = 'newline_delimited')"
            made.execute(f"COPY (SELECT {cast} FROM {found}) TO {_quoted(file)} (FORMAT parquet)")
    finally:
        lines.unlink(missing_ok=True)
    return count


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
