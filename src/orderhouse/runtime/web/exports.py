"""Lists as files: CSV and NDJSON, made of the same items a page shows."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence

import orjson

from orderhouse.runtime.tabular import inert

CSV = "text/csv; charset=utf-8; header=present"
NDJSON = "application/x-ndjson"

DOCUMENTED = {
    "text/csv": {"schema": {"type": "string"}},
    NDJSON: {"schema": {"type": "string"}},
}
"""How the API's document tells of them."""


def as_csv(columns: Sequence[str], items: Iterable[Mapping[str, object]]) -> bytes:
    """Return a table with a row for each item. No spreadsheet takes a cell of it for a formula."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([_cell(item[column]) for column in columns] for item in items)
    return out.getvalue().encode()


def as_ndjson(items: Iterable[Mapping[str, object]]) -> bytes:
    """Return a line of JSON for each item."""
    return b"".join(orjson.dumps(item, option=orjson.OPT_APPEND_NEWLINE) for item in items)


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return inert(text)
