"""Text as people type it: kept to the byte, or refused."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

# A lone surrogate is half a character: no database keeps it, and pydantic looks for it only when it counts the length.
_CONTROLS = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_CONTROLS_BUT_LINES = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def _one_line(text: str) -> str:
    if _CONTROLS.search(text):
        raise ValueError("must not hold control characters or halves of characters")
    return text


def _lines(text: str) -> str:
    if _CONTROLS_BUT_LINES.search(text):
        raise ValueError("must not hold control characters other than tabs and line ends, or halves of characters")
    return text


# The patterns are for the API's documents: they tell what the functions refuse.
Line = Annotated[str, AfterValidator(_one_line), Field(json_schema_extra={"pattern": r"^[^\x00-\x1F\x7F]*$"})]
"""One line of text, without control characters."""

Lines = Annotated[
    str,
    AfterValidator(_lines),
    Field(json_schema_extra={"pattern": r"^[^\x00-\x08\x0B\x0C\x0E-\x1F\x7F]*$"}),
]
"""Text of several lines, without other control characters."""
