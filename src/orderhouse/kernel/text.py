"""Text as people type it: kept to the byte, or refused."""

import re
from typing import Annotated

from pydantic import AfterValidator

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


Line = Annotated[str, AfterValidator(_one_line)]
"""One line of text, without control characters."""

Lines = Annotated[str, AfterValidator(_lines)]
"""Text of several lines, without other control characters."""
