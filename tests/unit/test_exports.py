"""Lists as files: what is written is what is read back, and nothing in it is live."""

import csv
import io
import json

import pytest

from orderhouse.runtime.web import exports


@pytest.mark.parametrize("said", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x")'])
def test_no_cell_begins_like_a_formula(said: str) -> None:
    told = exports.as_csv(["said"], [{"said": said}]).decode()
    assert list(csv.reader(io.StringIO(told, newline=""))) == [["said"], [f"'{said}"]]


def test_what_needs_quotes_has_them_and_what_is_not_there_is_empty() -> None:
    items = [{"a": 'one, "two"\nthree', "b": None, "c": {"role": "clerk"}}]
    told = exports.as_csv(["a", "b", "c"], items).decode()
    assert list(csv.reader(io.StringIO(told, newline="")))[1] == ['one, "two"\nthree', "", '{"role":"clerk"}']


def test_a_line_is_an_item() -> None:
    items: list[dict[str, object]] = [{"a": "one\ntwo"}, {"a": None}]
    assert [json.loads(line) for line in exports.as_ndjson(items).splitlines()] == items
