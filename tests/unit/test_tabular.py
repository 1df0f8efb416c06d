"""Tables as files: nothing in them is run, and nothing is lost."""

import csv
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from orderhouse.kernel.clock import from_text
from orderhouse.runtime.tabular import Column, write_csv, write_json_lines, write_parquet

COLUMNS = (Column("name"), Column("count", "integer"), Column("amount", "decimal"), Column("at", "instant"))
AT = "2026-11-20T09:30:00.000001Z"
LIVE = ["=1+1", "+1", "-1", "@sum(a1)", "\t=1", "\r=1", "\n=1", "＝1", '=cmd|"/c calc"!A1']


def read(file: Path) -> list[list[str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.reader(opened))


@pytest.mark.parametrize("text", LIVE)
def test_text_that_a_spreadsheet_would_run_begins_with_an_apostrophe(tmp_path: Path, text: str) -> None:
    write_csv(tmp_path / "t.csv", COLUMNS, [(text, -1, "-2.50", AT)])
    assert read(tmp_path / "t.csv")[1] == [f"'{text}", "-1", "-2.50", AT]


@pytest.mark.parametrize("text", ["Ada's Tea Room", "a,b", 'say "x"', "two\nlines", "1=1", "Café", ""])
def test_any_other_text_is_written_as_it_is(tmp_path: Path, text: str) -> None:
    assert write_csv(tmp_path / "t.csv", COLUMNS[:1], [(text,), (None,)]) == 2
    assert read(tmp_path / "t.csv")[1] == ([text] if text else [""])


def test_parquet_keeps_types_and_what_is_nothing(tmp_path: Path) -> None:
    rows: list[tuple[Any, ...]] = [
        ("=1", 2**40, "-1234567890123456789012.123456", AT),
        ("", None, None, None),
        (None,) * 4,
    ]
    assert write_parquet(tmp_path / "it's.parquet", COLUMNS, rows) == 3
    found = duckdb.read_parquet(str(tmp_path / "it's.parquet"))
    assert [str(one) for one in found.types] == ["VARCHAR", "BIGINT", "DECIMAL(38,6)", "TIMESTAMP WITH TIME ZONE"]
    first, second, third = found.project('name, "count", amount, epoch_us("at")').fetchall()
    assert first == ("=1", 2**40, Decimal("-1234567890123456789012.123456"), from_text(AT))
    assert (second, third) == (("", None, None, None), (None,) * 4)
    assert [file.name for file in tmp_path.iterdir()] == ["it's.parquet"]


def test_a_table_without_rows_is_a_table(tmp_path: Path) -> None:
    assert write_parquet(tmp_path / "t.parquet", COLUMNS, []) == 0
    assert duckdb.read_parquet(str(tmp_path / "t.parquet")).fetchall() == []
    assert write_csv(tmp_path / "t.csv", COLUMNS, []) == 0
    assert read(tmp_path / "t.csv") == [["name", "count", "amount", "at"]]


def test_rows_that_end_in_an_error_leave_nothing_beside_the_file(tmp_path: Path) -> None:
    def rows() -> Any:
        yield ("a", 1, "1.00", AT)
        raise LookupError

    with pytest.raises(LookupError):
        write_parquet(tmp_path / "t.parquet", COLUMNS, rows())
    assert list(tmp_path.iterdir()) == []


def test_json_lines_are_one_object_a_line(tmp_path: Path) -> None:
    assert write_json_lines(tmp_path / "t.jsonl", [{"a": "two\nlines"}, {"b": None}]) == 2
    assert (tmp_path / "t.jsonl").read_text() == '{"a":"two\\nlines"}\n{"b":null}\n'
