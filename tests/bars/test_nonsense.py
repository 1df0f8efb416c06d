"""Bar 22: whatever is sent as JSON is taken as it is or refused; nothing crashes, no string comes back changed."""

import json
from typing import Any

import jiter
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderhouse.runtime.web import bodies
from tests.bars.counts import count
from tests.integration.orders_world import House

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(3600)]

NONSENSE = [
    b"",
    b" ",
    b"{",
    b"}",
    b"nul",
    b"[",
    b'{"name"}',
    b'{"name":}',
    b"{'name': 'x'}",
    b'{"name": "x",}',
    b'{"name": NaN}',
    b'{"name": Infinity}',
    b'{"name": -Infinity}',
    b'{"name": 1e999}',
    b'{"name": ' + b"9" * 5000 + b"}",
    b'{"name": "x", "name": "y"}',
    b'{"name": "\\ud800"}',
    b'{"name": "\\udc00\\ud800"}',
    b'{"name": "\\u0000"}',
    b'{"name": "\x00"}',
    b'{"name": "\xff\xfe"}',
    b'{"name": "\xed\xa0\x80"}',
    b"[" * 100_000,
    b'{"a":' * 10_000,
    b"[" * 10_000 + b"]" * 10_000,
    b'\xef\xbb\xbf{"name": "x"}\x00',
    b"0x10",
    b"\xfe\xff\x00{\x00}",
    b'"' + b"\\" * 9_999,
]


async def posted(house: House, body: bytes, key: str) -> Any:
    headers = {**house.bearer(), "Idempotency-Key": key, "Content-Type": "application/json"}
    return await house.client.post("/v1/customers", content=body, headers=headers)


@pytest.mark.parametrize("body", NONSENSE, ids=lambda body: repr(body[:24]))
async def test_bar_22_nonsense_is_refused(house: House, body: bytes) -> None:
    answer = await posted(house, body, "k")
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await house("GET", "/v1/customers")).json()["items"] == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
TEXTS = st.text(max_size=250)


async def test_bar_22_made_json_never_crashes_and_strings_come_back_as_they_went(house: House) -> None:
    drawn: list[bytes] = []
    names: list[str] = []

    @settings(max_examples=count(60, 5000), database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(JSON, TEXTS, st.binary(max_size=60))
    def draw(value: Any, name: str, raw: bytes) -> None:
        drawn.extend([json.dumps(value).encode(), json.dumps({"name": value}).encode(), raw])
        names.append(name)

    draw()
    for n, body in enumerate(drawn):
        assert (await posted(house, body, f"d{n}")).status_code in (201, 400, 422)
    for n, name in enumerate(names):
        answer = await posted(house, json.dumps({"name": name}).encode(), f"n{n}")
        assert answer.status_code in (201, 400, 422)
        if answer.status_code == 201:
            back = await house("GET", answer.headers["location"])
            assert back.json()["name"] == name


async def test_bar_22_control_a_lenient_parser_is_caught(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "parsed", lambda body, _limits: json.loads(body))
    doubled = await posted(house, b'{"name": "x", "name": "y"}', "k")
    assert doubled.status_code == 201, "the defect is not seeded"
    assert (await house("GET", "/v1/customers")).json()["items"] != []


def test_the_parser_refuses_names_that_come_twice() -> None:
    with pytest.raises(ValueError, match=r"[Dd]uplicate"):
        jiter.from_json(b'{"a": 1, "a": 2}', catch_duplicate_keys=True)
