"""What is looked for in a body before it is parsed."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderhouse.runtime.web import bodies
from orderhouse.runtime.web.refusals import Malformed, RequestInvalid

DIGITS = 5


class Counted:
    """A pattern that counts how often it is looked for."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self._pattern = pattern
        self.times = 0

    def search(self, *where: Any) -> re.Match[bytes] | None:
        self.times += 1
        return self._pattern.search(*where)


mantissas = st.sampled_from(["0", "7", "12345", "123456", "0.5", "12.34567", "1.2345678"])
exponents = st.sampled_from(["", "", "e5", "E-99", "e100", "E999", "e+000", "e-1000"])
numbers = st.tuples(st.sampled_from(["", "-"]), mantissas, exponents).map("".join)
texts = st.text('0123456789eE+-.[{ ,:\\"', max_size=12).map(json.dumps)
spaces = st.sampled_from(["", " ", "\n", "\t "])


def _composed(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = st.lists(st.tuples(spaces, parts, spaces).map("".join), max_size=4)
    named = st.lists(st.tuples(texts, spaces, st.just(":"), spaces, parts, spaces).map("".join), max_size=4)
    return members.map(lambda some: f"[{','.join(some)}]") | named.map(lambda some: f"{{{','.join(some)}}}")


documents = st.tuples(spaces, st.recursive(numbers | texts | st.just("null"), _composed, max_leaves=12)).map("".join)


@settings(max_examples=400)
@given(documents)
def test_a_large_number_is_never_overlooked_and_a_text_never_taken_for_one(document: str) -> None:
    outside_texts = re.sub(r'"(?:[^"\\]|\\.)*"', '""', document)
    large = re.search(rf"[0-9]{{{DIGITS + 1}}}|[0-9][eE][+-]?[0-9]{{3}}", outside_texts) is not None
    try:
        bodies.parsed(document.encode(), bodies.Limits(digits=DIGITS))
        refused = False
    except Malformed as refusal:
        refused = "digits" in str(refusal)
    except RequestInvalid:
        refused = False
    assert refused == large


def test_a_text_full_of_exponents_is_not_looked_at_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(bodies._NUMBER)
    monkeypatch.setattr(bodies, "_NUMBER", counted)
    text = "a8e123" * 10_000
    assert bodies.parsed(json.dumps([text]).encode(), bodies.Limits()) == [text]
    assert 0 < counted.times < 100
