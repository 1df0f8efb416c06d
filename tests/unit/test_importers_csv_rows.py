"""Rows of a CSV file: each by itself, told by its line, and a damaged one takes nobody along."""

import gzip
import io
from pathlib import Path

import pytest

from orderhouse.orders.importers import csv_rows
from orderhouse.orders.importers.csv_rows import LONGEST_LINE, BadRow, FileUnreadable


def taken(content: bytes) -> list[tuple[int, list[str] | str]]:
    """What is read of rows of two columns behind a header: the columns, or why not."""

    def row(at: int, columns: list[str]) -> tuple[int, list[str] | str]:
        if len(columns) != 2:
            raise BadRow(f"{len(columns)} columns")
        return at, columns

    file = io.BytesIO(b"a,b\n" + content)
    csv_rows.check_header(file, ("a", "b"))
    return list(csv_rows.read(file, row, lambda at, columns, reason: (at, f"{columns[0]}: {reason}")))


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        (b"1,x\n", ["1", "x"]),
        (b"1,x\r\n", ["1", "x"]),
        (b"1,x", ["1", "x"]),
        (b'1,"x, ""y"""\n', ["1", 'x, "y"']),
        (b'1,"x\r\ny"\n', ["1", "x\r\ny"]),
        (b'1,"x\n\ny"\n', ["1", "x\n\ny"]),
        (b'1,12" RULER\n', ["1", '12" RULER']),
        ("1, £ 5 \n".encode(), ["1", " £ 5 "]),
        (b",\n", ["", ""]),
    ],
)
def test_a_row_is_read_as_it_is(content: bytes, columns: list[str]) -> None:
    assert taken(content) == [(2, columns)]


def test_empty_lines_are_passed_over_and_rows_are_told_by_their_line() -> None:
    assert taken(b'1,x\n\r\n\n2,"y\nz"\n3,x\n') == [(2, ["1", "x"]), (5, ["2", "y\nz"]), (7, ["3", "x"])]


def test_a_quote_that_is_never_closed_takes_no_other_row_along() -> None:
    rows = b"".join(b"%d,x\n" % n for n in range(2, 500))
    found = taken(b'1,"x\n' + rows)
    assert found[0] == (2, "1: not well-formed CSV: unexpected end of data")
    assert found[1:] == [(n + 1, [str(n), "x"]) for n in range(2, 500)]


def test_a_row_over_several_lines_that_is_bad_gives_the_lines_behind_its_first_back() -> None:
    assert taken(b'1,"x\n2,y\n3,",z\n4,z\n') == [
        (2, "1: 3 columns"),
        (3, ["2", "y"]),
        (4, "3: not well-formed CSV: unexpected end of data"),
        (5, ["4", "z"]),
    ]


def test_what_is_not_utf8_is_refused_by_itself() -> None:
    assert taken(b"1,\xff\n2,\xc3\xa9\n") == [(2, "1: not UTF-8"), (3, ["2", "é"])]
    assert taken(b'1,"x\n2,\xff"\n3,x\n')[1:] == [(3, "2: not UTF-8"), (4, ["3", "x"])]


@pytest.mark.parametrize("quote", [b"", b'"'])
def test_a_line_without_end_is_refused_in_constant_memory(quote: bytes) -> None:
    long = b"1," + quote + b"x" * (3 * LONGEST_LINE) + b"\n2,x\n"
    [refused, good] = taken(long)
    assert refused == (2, f"1: a line longer than {LONGEST_LINE} bytes")
    assert good == (3, ["2", "x"])


def test_a_line_without_end_inside_quotes_is_given_back_and_then_refused() -> None:
    found = taken(b'1,"x\n2,' + b"y" * (3 * LONGEST_LINE) + b'"\n3,x\n')
    assert found == [
        (2, "1: not well-formed CSV: unexpected end of data"),
        (3, f"2: a line longer than {LONGEST_LINE} bytes"),
        (4, ["3", "x"]),
    ]


@pytest.mark.parametrize("first", [b"\xef\xbb\xbfa,b\n", b"a,b\r\n", b'"a",b\n', b"a,b"])
def test_a_header_may_have_a_byte_order_mark_and_quotes(first: bytes) -> None:
    csv_rows.check_header(io.BytesIO(first), ("a", "b"))


@pytest.mark.parametrize("first", [b"", b"b,a\n", b"a,b,c\n", b"A,B\n", b"\xff\xfea\0,\0b\0\n", b'"a,b\n', b"PK\3\4\n"])
def test_another_header_is_refused(first: bytes) -> None:
    with pytest.raises(FileUnreadable, match="not the header a,b"):
        csv_rows.check_header(io.BytesIO(first), ("a", "b"))


def test_packed_and_plain_files_read_alike_whatever_they_are_called(tmp_path: Path) -> None:
    content = b"a,b\n" + b"1,x\n" * 50_000
    for name, stored in (("plain.gz", content), ("packed.csv", gzip.compress(content))):
        (tmp_path / name).write_bytes(stored)
        with csv_rows.opened(tmp_path / name) as (file, used):
            assert file.read() == content
            assert used() == len(stored)


def test_a_file_that_is_cut_damaged_or_missing_is_told(tmp_path: Path) -> None:
    file = tmp_path / "cut.csv.gz"
    packed = gzip.compress(bytes(range(256)) * 1000)
    for stored in (packed[:-20], packed[:100] + b"\0" * 50 + packed[150:]):
        file.write_bytes(stored)
        with pytest.raises(FileUnreadable, match="is damaged"), csv_rows.opened(file) as (content, _):
            content.read()
    for missing in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(FileUnreadable, match="cannot be read"), csv_rows.opened(missing) as (content, _):
            content.read()
