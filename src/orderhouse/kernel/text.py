"""Text as people type it: kept to the byte, or refused."""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from orderhouse.kernel.clock import as_text, from_text

# A pattern is looked for without asking Python, and with one pydantic takes no lone surrogate, which is half a
# character that no database keeps.
LINE_PATTERN = r"^[^\x00-\x1F\x7F]*$"
LINES_PATTERN = r"^[^\x00-\x08\x0B\x0C\x0E-\x1F\x7F]*$"

Line = Annotated[str, Field(pattern=LINE_PATTERN)]
"""One line of text, without control characters."""

Lines = Annotated[str, Field(pattern=LINES_PATTERN)]
"""Text of several lines, without other control characters."""

REASONS = {
    LINE_PATTERN: "must not hold control characters",
    LINES_PATTERN: "must not hold control characters other than tabs and line ends",
}
"""What a pattern asks for, in words."""


def not_blank(text: str) -> str:
    """Return `text`; ValueError when it is spaces only."""
    if text.isspace():
        raise ValueError("must not be blank")
    return text


NOT_BLANK = {"pattern": r"^[^\x00-\x1F\x7F]*[^\s\x00-\x1F\x7F][^\x00-\x1F\x7F]*$"}
"""What a document says of a line that is not blank."""

Name = Annotated[
    Line,
    Field(min_length=1, max_length=200, examples=["Ada's Tea Room"], json_schema_extra=NOT_BLANK),
    AfterValidator(not_blank),
]
"""What somebody or something is called."""

InstantText = Annotated[str, Field(examples=["2026-11-20T09:30:00.000000Z"], json_schema_extra={"format": "date-time"})]
"""An instant on the wire, in an answer."""


def _instant(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("must be an instant in RFC 3339")  # noqa: TRY004 - pydantic tells ValueErrors
    try:
        # In a query, a plus that nobody encoded arrives as a space.
        return from_text(value.replace(" ", "+"))
    except ValueError:
        raise ValueError("must be an instant in RFC 3339, such as 2026-11-20T09:30:00Z") from None


QueryInstant = Annotated[
    int,
    BeforeValidator(_instant),
    PlainSerializer(as_text, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-20T00:00:00Z"]}),
]
"""An instant in a query: RFC 3339 on the wire, microseconds inside."""


def folded(text: str) -> str:
    """Return what is equal for all spellings of one text: without regard to case, and composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def name_key(name: str) -> str:
    """Return what a name is sorted by: without regard to case, and no longer than an order of names needs."""
    return folded(name)[:64]


def words_of(text: str) -> list[str]:
    """Return the words of a text or a search, as they are compared: folded, and no longer than is worth comparing."""
    return [word[:64] for word in re.findall(r"[^\W_]+", folded(text))]
