"""Rows of a CSV file (RFC 4180, UTF-8), each by itself: a damaged one never takes its neighbours along."""

import csv
import gzip
import io
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from orderhouse.kernel.errors import Invalid

T = TypeVar("T")

LONGEST_LINE = 65_536
"""Bytes of one line of the file; a line that is longer is no row of anything."""

MOST_LINES = 64
"""Lines that one row with line ends inside its quotes may go over; beyond that, a quote was never closed."""

_GZIP = b"\x1f\x8b"
_BUFFER = 1 << 18
_BOM = b"\xef\xbb\xbf"


class FileUnreadable(Invalid):
    """This file cannot be read as what it is said to be."""

    code = "file_unreadable"


class BadRow(Exception):
    """A row cannot be taken; it says why."""


@contextmanager
def opened(file: Path) -> Iterator[tuple[BinaryIO, Callable[[], int]]]:
    """Open `file`, packed by gzip or plain; yield its content and a way to ask how many of its bytes are read.

    FileUnreadable when there is none, or when what is packed turns out to be damaged.
    """
    try:
        with io.BufferedReader(file.open("rb", buffering=0), _BUFFER) as stored:
            packed = stored.peek(2)[:2] == _GZIP
            content = io.BufferedReader(gzip.GzipFile(fileobj=stored), _BUFFER) if packed else stored
            yield content, stored.raw.tell if stored.seekable() else lambda: 0
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileUnreadable(f"{file.name} is damaged: {error}") from error
    except OSError as error:
        raise FileUnreadable(f"{file.name} cannot be read: {error.strerror or error}") from error


def check_header(content: BinaryIO, columns: Sequence[str]) -> None:
    """Read the first line; FileUnreadable unless it names exactly `columns`, in their order."""
    first = content.readline(LONGEST_LINE).removeprefix(_BOM)
    try:
        named = next(csv.reader([first.decode().rstrip("\r\n")], strict=True), [])
    except (UnicodeDecodeError, csv.Error):
        named = []
    if named != list(columns):
        raise FileUnreadable(f"Its first line is not the header {','.join(columns)}")


def read(
    content: BinaryIO,
    row: Callable[[int, list[str]], T],
    refused: Callable[[int, list[str], str], T],
) -> Iterator[T]:
    """Yield what `row` makes of each row behind the header, or `refused` of one that is damaged or raises BadRow.

    A row is told by the line of the file it starts on; the header is line 1. Empty lines are passed over. When a row
    that goes over several lines is bad in any way, only its first line is: a quote that was never closed must not
    swallow what follows.
    """
    readline = content.readline
    again: deque[bytes] = deque()
    at = 1
    while raw := again.popleft() if again else readline(LONGEST_LINE):
        at += 1
        if len(raw) == LONGEST_LINE and _unended(raw):
            _skip_rest(readline)
            yield refused(at, _roughly(raw), f"a line longer than {LONGEST_LINE} bytes")
            continue
        following: list[bytes] = []
        columns: list[str] = []
        try:
            text = raw.decode()
            if '"' in text:
                columns = _quoted(text, again, readline, following)
            else:
                columns = text.rstrip("\r\n").split(",")
                if columns == [""]:
                    continue
            yield row(at, columns)
        except UnicodeDecodeError:
            again.extendleft(reversed(following))
            yield refused(at, _roughly(raw), "not UTF-8")
        except csv.Error as error:
            again.extendleft(reversed(following))
            yield refused(at, _roughly(raw), f"not well-formed CSV: {error}")
        except BadRow as bad:
            again.extendleft(reversed(following))
            yield refused(at, _roughly(raw) if following else columns, str(bad))
        else:
            at += len(following)


def _quoted(first: str, again: deque[bytes], readline: Callable[[int], bytes], following: list[bytes]) -> list[str]:
    """Return the columns of a row with quotes; further lines it needs are moved to `following`."""

    def lines() -> Iterator[str]:
        yield first
        while len(following) < MOST_LINES and (raw := again.popleft() if again else readline(LONGEST_LINE)):
            following.append(raw)
            if len(raw) == LONGEST_LINE and _unended(raw):
                return
            yield raw.decode()

    return next(csv.reader(lines(), strict=True))


def _unended(raw: bytes) -> bool:
    return not raw.endswith(b"\n")


def _skip_rest(readline: Callable[[int], bytes]) -> None:
    while (rest := readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
        pass


def _roughly(raw: bytes) -> list[str]:
    """Return the columns a damaged line seems to have: enough to know whose row it may be."""
    return [column.strip('"') for column in raw.decode(errors="replace").rstrip("\r\n").split(",")]
