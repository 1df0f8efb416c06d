"""The front door: limits, request ids, traces, the access log, and what nobody else answered."""

import logging
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Message

from tests.unit import edge_world
from tests.unit.edge_world import FRAMEWORKS, LIMITS, THING, Api, scope

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(scope="module", params=FRAMEWORKS)
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with edge_world.opened(tmp_path_factory.mktemp("limits"), request.param) as opened:
        yield opened


def code(answer: Any) -> str:
    return str(answer.json()["type"].removeprefix("/problems/"))


async def endless(taken: list[int]) -> AsyncIterator[Message]:
    while True:
        taken.append(1000)
        yield {"type": "http.request", "body": b"x" * 1000, "more_body": True}


async def cut_off() -> AsyncIterator[Message]:
    yield {"type": "http.request", "body": b'{"name": ', "more_body": True}
    yield {"type": "http.disconnect"}


async def in_pieces(body: bytes) -> AsyncIterator[Message]:
    for at in range(len(body)):
        yield {"type": "http.request", "body": body[at : at + 1], "more_body": True}
    yield {"type": "http.request", "body": b"", "more_body": False}


def authorized(api: Api, *more: tuple[bytes, bytes]) -> tuple[tuple[bytes, bytes], ...]:
    token = f"Bearer {api.token('owner')}".encode()
    return ((b"authorization", token), (b"content-type", b"application/json"), *more)


# Bodies


def test_a_body_without_end_is_read_up_to_the_limit_and_no_further(api: Api) -> None:
    taken: list[int] = []
    start, _ = api.asgi(scope("/v1/things/echo", *authorized(api)), endless(taken))
    assert start["status"] == 413
    assert sum(taken) <= LIMITS.body_bytes + 1000


@pytest.mark.parametrize("length", [b"4097", b"9" * 30, b"9" * 1000])
def test_a_body_that_says_it_is_too_large_is_not_read(api: Api, length: bytes) -> None:
    taken: list[int] = []
    start, _ = api.asgi(scope("/v1/things/echo", *authorized(api, (b"content-length", length))), endless(taken))
    assert (start["status"], taken) == (413, [])


def test_a_body_is_not_read_for_a_stranger(api: Api) -> None:
    taken: list[int] = []
    start, _ = api.asgi(scope("/v1/things/echo"), endless(taken))
    assert (start["status"], taken) == (401, [])


def test_a_body_may_come_in_pieces(api: Api) -> None:
    start, body = api.asgi(scope("/v1/things/echo", *authorized(api)), in_pieces(b'{"name": "tea"}'))
    assert start["status"] == 200
    assert b'"name":"tea"' in body["body"]


def test_a_body_that_ends_early_is_malformed(api: Api) -> None:
    start, _ = api.asgi(scope("/v1/things/echo", *authorized(api)), cut_off())
    assert start["status"] == 400


# Headers and targets


def test_headers_are_bounded_in_number_and_size(api: Api) -> None:
    many = api("GET", "/v1/things", headers={f"x-{n}": "1" for n in range(41)})
    large = api("GET", "/v1/things", headers={"x-large": "x" * 4096})
    assert [(one.status_code, code(one)) for one in (many, large)] == [(431, "headers_too_large")] * 2


def test_targets_are_bounded(api: Api) -> None:
    for target in (f"/{'a' * 2048}", f"/v1/things?from={'a' * 2048}"):
        refused = api("GET", target)
        assert (refused.status_code, code(refused)) == (414, "target_too_long")
        assert len(refused.content) < 2048


# Request ids and traces


@pytest.mark.parametrize("request_id", ["a", "x" * 128, "8e03978e-40d5-43e8-bc93-6894a57f9324", "a.b_c~d:e"])
def test_a_safe_request_id_is_kept(api: Api, request_id: str) -> None:
    answer = api("GET", "/v1/things", headers={"X-Request-Id": request_id})
    assert answer.headers["x-request-id"] == request_id


@pytest.mark.parametrize("request_id", ["", "x" * 129, "a b", "a\tb", '"', "<b>", "a;b", "\xe9", "{}"])
def test_another_request_id_is_replaced(api: Api, request_id: str) -> None:
    answer = api("GET", "/v1/things", headers={"X-Request-Id": request_id.encode("latin-1")})
    assert UUID(answer.headers["x-request-id"]).version == 4


def test_every_answer_has_its_own_request_id_whoever_gives_it(api: Api) -> None:
    paths = ("/v1/things", "/nowhere", "/v1/troubles/broken", "/openapi.json", "/docs", f"/v1/things/{THING}")
    ids = {api("GET", path).headers["x-request-id"] for path in paths}
    assert len(ids) == len(paths)


def traced(api: Api, traceparent: str) -> str:
    with structlog.testing.capture_logs() as lines:
        api("GET", "/v1/things", headers={"traceparent": traceparent})
    return str(lines[-1]["trace_id"])


def test_a_trace_goes_on(api: Api) -> None:
    assert traced(api, f"00-{TRACE}-b7ad6b7169203331-01") == TRACE


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        f"00-{TRACE}-b7ad6b7169203331",
        f"00-{TRACE}-b7ad6b7169203331-01-x",
        f"ff-{TRACE}-b7ad6b7169203331-01",
        f"00-{TRACE.upper()}-b7ad6b7169203331-01",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}g-b7ad6b7169203331-01",
    ],
)
def test_what_is_no_trace_begins_a_new_one(api: Api, traceparent: str) -> None:
    found = traced(api, traceparent)
    assert re.fullmatch("[0-9a-f]{32}", found)
    assert found not in (TRACE, "0" * 32)


# The log


def test_each_request_is_one_line(api: Api) -> None:
    with structlog.testing.capture_logs() as lines:
        answer = api("GET", f"/v1/things/{THING}")
    (line,) = lines
    assert line.pop("ms") > 0
    assert re.fullmatch("[0-9a-f]{32}", line.pop("trace_id"))
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "GET",
        "route": "/v1/things/{thing_id}",
        "status": 200,
        "bytes": len(answer.content),
        "subject": "me",
        "refused": None,
        "request_id": answer.headers["x-request-id"],
    }


def test_a_refusal_is_logged_by_its_code_and_a_stranger_by_nothing_it_said(api: Api) -> None:
    with structlog.testing.capture_logs() as lines:
        api("GET", "/nowhere/secret?token=hunter2", role=None)
    (line,) = lines
    assert (line["route"], line["refused"], line["status"], line["subject"]) == ("unknown", "path_unknown", 404, None)
    assert "hunter2" not in str(line)
    assert "secret" not in str(line)


# What broke


def test_what_broke_is_logged_whole_and_told_by_its_request_id_alone(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = api("GET", "/v1/troubles/broken", headers={"X-Request-Id": "r1"})
    assert (answer.status_code, code(answer)) == (500, "internal_error")
    assert answer.json() == {
        "type": "/problems/internal_error",
        "title": "Something of ours broke; it is logged under the request id.",
        "status": 500,
        "instance": "/v1/troubles/broken",
        "request_id": "r1",
    }
    with structlog.testing.capture_logs() as lines:
        api("GET", "/v1/troubles/broken")
    assert [line["event"] for line in lines] == ["request_failed", "request"]
    assert lines[0]["exc_info"] is True


def test_what_is_not_there_now_says_when_to_try_again(api: Api) -> None:
    answer = api("GET", "/v1/troubles/down")
    assert (answer.status_code, code(answer)) == (503, "database_unavailable")
    assert int(answer.headers["retry-after"]) > 0


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300) | st.text(max_size=100).map(str.encode), query=st.binary(max_size=40))
def test_no_request_whatever_breaks_anything(api: Api, body: bytes, query: bytes) -> None:
    logging.disable()
    more = {"query_string": query.replace(b" ", b"+")}
    for path, method in (("/v1/things/echo", "POST"), ("/v1/things", "GET")):
        start, _ = api.asgi(scope(path, *authorized(api), method=method, **more), in_pieces(body))
        assert start["status"] in (200, 400, 422)
    logging.disable(logging.NOTSET)
