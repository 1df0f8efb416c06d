"""Asking a neighbour: what is sent, how long it takes at most, how often it is asked, and when it is left alone."""

import time
from collections.abc import Callable

import httpx2
import pytest
import structlog

from orderhouse.runtime import calls, telemetry
from orderhouse.runtime.calls import Breaker, Budget, Neighbour, NeighbourUnavailable


class Answering:
    """A neighbour that answers as it is told, one call after the other, the last one for ever."""

    def __init__(self, *answers: int | Exception | bytes) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, bytes):
            return httpx2.Response(200, content=answer)
        return httpx2.Response(answer, json={"type": "/problems/some_code"} if answer >= 400 else {"ok": True})


def neighbour(answering: Callable[[httpx2.Request], httpx2.Response], **more: float) -> Neighbour:
    transport = httpx2.MockTransport(answering)
    return Neighbour("users", "http://users.test", lambda: "a-token", transport=transport, **more)


def test_a_call_says_who_asks_and_for_which_request() -> None:
    answering = Answering(200)
    trace = telemetry.trace_of(b"")
    telemetry.enter("request-7", trace)
    assert neighbour(answering).call("POST", "/v1/x", {"a": 1}).body == {"ok": True}
    telemetry.enter("", "")
    sent = answering.requests[0]
    assert sent.headers["authorization"] == "Bearer a-token"
    assert sent.headers["x-request-id"] == "request-7"
    assert sent.headers["traceparent"][:36] == trace[:36]
    assert sent.headers["traceparent"][36:52] != trace[36:52]
    assert sent.content == b'{"a":1}'


def test_outside_of_a_request_a_call_names_none() -> None:
    telemetry.enter("", "")
    answering = Answering(200)
    neighbour(answering).call("GET", "/v1/x")
    assert not {"x-request-id", "traceparent"} & set(answering.requests[0].headers)


def test_a_problem_is_told_by_its_code() -> None:
    told = neighbour(Answering(404)).call("GET", "/v1/x")
    assert (told.status, told.code) == (404, "some_code")


@pytest.mark.parametrize("trouble", [503, 502, 500, 429, httpx2.ConnectError("no"), httpx2.ReadTimeout("no"), b"{"])
def test_what_may_be_over_in_a_moment_is_tried_once_more(trouble: int | Exception | bytes) -> None:
    answering = Answering(trouble, 200)
    assert neighbour(answering).call("GET", "/v1/x").status == 200
    assert len(answering.requests) == 2


def test_a_neighbour_that_refuses_us_is_our_trouble_and_not_the_callers() -> None:
    with structlog.testing.capture_logs() as lines, pytest.raises(NeighbourUnavailable):
        neighbour(Answering(401)).call("GET", "/v1/x")
    assert "neighbour_refuses_us" in {line["event"] for line in lines}


def test_an_answer_without_end_is_not_read() -> None:
    with pytest.raises(NeighbourUnavailable):
        neighbour(Answering(b'"' + b"x" * calls._MOST_BYTES + b'"')).call("GET", "/v1/x")


def test_a_neighbour_that_is_down_is_hardly_asked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bar 19: retries are no more than a tenth of the calls, also after it worked for long."""
    monkeypatch.setattr(Breaker, "_IN_A_ROW", 1_000_000)
    answering = Answering(*[200] * 300, httpx2.ConnectError("down"))
    asked = neighbour(answering, deadline_s=5)
    for _ in range(300):
        asked.call("GET", "/v1/x")
    for _ in range(300):
        with pytest.raises(NeighbourUnavailable):
            asked.call("GET", "/v1/x")
    assert len(answering.requests) - 300 <= 300 * 1.1


def test_bar_19_control_retries_without_a_budget_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Breaker, "_IN_A_ROW", 1_000_000)
    monkeypatch.setattr(Budget, "spend", lambda _: True)
    answering = Answering(httpx2.ConnectError("down"))
    asked = neighbour(answering, deadline_s=5)
    for _ in range(20):
        with pytest.raises(NeighbourUnavailable):
            asked.call("GET", "/v1/x")
    assert len(answering.requests) > 20 * 1.1


def test_all_tries_share_one_deadline() -> None:
    def slow(request: httpx2.Request) -> httpx2.Response:
        left = request.extensions["timeout"]["read"]
        time.sleep(left)
        raise httpx2.ReadTimeout("slow")

    began = time.monotonic()
    with pytest.raises(NeighbourUnavailable):
        neighbour(slow, deadline_s=0.2).call("GET", "/v1/x")
    assert time.monotonic() - began < 0.4


def test_who_fails_in_a_row_is_left_alone_and_then_one_call_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget, "spend", lambda _: False)
    answering = Answering(*[503] * 5, 200)
    asked = neighbour(answering)
    for _ in range(8):
        with pytest.raises(NeighbourUnavailable):
            asked.call("GET", "/v1/x")
    assert len(answering.requests) == 5
    monkeypatch.setattr(asked._breaker, "_rests_until", 0.0)
    assert asked.call("GET", "/v1/x").status == 200
    assert asked.call("GET", "/v1/x").status == 200


def test_while_one_call_sees_nobody_else_is_let_through(monkeypatch: pytest.MonkeyPatch) -> None:
    breaker = Breaker()
    for _ in range(5):
        with pytest.raises(calls._Trouble), breaker:
            raise calls._Trouble
    monkeypatch.setattr(breaker, "_rests_until", 0.0)
    with breaker, pytest.raises(calls._Trouble, match="breaker_open"):
        breaker.__enter__()
    with breaker:
        pass


def test_a_call_is_one_line_of_the_log_without_what_was_asked_for() -> None:
    with structlog.testing.capture_logs() as lines:
        neighbour(Answering(200)).call("GET", "/v1/customers?email=ada%40example.com")
    (line,) = [line for line in lines if line["event"] == "call"]
    assert (line["neighbour"], line["path"], line["outcome"], line["tries"]) == ("users", "/v1/customers", 200, 1)
    assert line["ms"] >= 0
    assert "ada" not in str(lines)
