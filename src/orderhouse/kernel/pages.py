"""Pages of a long list: an opaque cursor says where the last one ended."""

import base64
import binascii
import json
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field

from orderhouse.kernel.errors import Invalid

LARGEST_PAGE = 200
USUAL_PAGE = 50
LARGEST_OFFSET = 10_000
COUNTED_TO = 10_001

Cursor = Annotated[
    str,
    Field(
        max_length=1200,
        description="Where the last page ended: its `next`.",
        # For the API's documents: `key_of` tells what a list did not make.
        json_schema_extra={"pattern": "^[A-Za-z0-9_-]*$"},
    ),
]
"""A cursor in a query."""


def _not_too_far(offset: int) -> int:
    if offset > LARGEST_OFFSET:
        raise ValueError(f"must be at most {LARGEST_OFFSET}; to go further, follow `next`, a cursor")
    return offset


Offset = Annotated[int, Field(ge=0, json_schema_extra={"maximum": LARGEST_OFFSET}), AfterValidator(_not_too_far)]
"""How many to pass over, in a query."""


class PagesDoNotCombine(Invalid):
    """A page is asked for by cursor or by offset, never by both."""

    code = "pages_do_not_combine"


class CursorInvalid(Invalid):
    """This cursor was not made by this list."""

    code = "cursor_invalid"


def cursor_of(list_name: str, *key: int | str | UUID) -> str:
    """Return the cursor that continues `list_name` behind the row whose sort key is `key`."""
    text = json.dumps([list_name, *(str(part) if isinstance(part, UUID) else part for part in key)])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def key_of(list_name: str, cursor: str, *shape: type) -> list[int | str | UUID]:
    """Return the sort key inside `cursor`, each part of its type in `shape`; CursorInvalid when it is none."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        name, *parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if name != list_name or len(parts) != len(shape):
            raise ValueError
        return [_part(part, kind) for part, kind in zip(parts, shape, strict=True)]
    except (binascii.Error, UnicodeDecodeError, ValueError, TypeError, RecursionError):
        raise CursorInvalid("Start again without a cursor.") from None


def _part(part: object, kind: type) -> int | str | UUID:
    if kind is UUID and isinstance(part, str):
        return UUID(part)
    if kind is int and type(part) is int and abs(part) < 2**63:
        return part
    # A cursor can be forged: text that no database takes (NUL, half a character, on which encoding fails) is no key.
    if kind is str and isinstance(part, str) and b"\0" not in part.encode():
        return part
    raise ValueError
