"""Text as people type it: kept to the byte, or refused."""

from typing import Annotated

from pydantic import Field

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
