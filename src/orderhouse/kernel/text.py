"""Text as people type it: kept to the byte, or refused."""

import re
from typing import Annotated

from pydantic import AfterValidator

_CONTROLS = re.compile("[\x00-\x1f\x7f]")
_CONTROLS_BUT_LINES = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def _one_line(text: str) -> str:
    if _CONTROLS.search(text):
        raise ValueError("must not hold control characters")
    return text


def _lines(text: str) -> str:
    if _CONTROLS_BUT_LINES.search(text):
        raise ValueError("must not hold control characters other than tabs and line ends")
    return text


Line = Annotated[str, AfterValidator(_one_line)]
"""One line of text, without control characters."""

Lines = Annotated[str, AfterValidator(_lines)]
"""Text of several lines, without other control characters."""
