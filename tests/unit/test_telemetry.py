"""Logs: each line one JSON object, whatever it is about, and no secret in any."""

import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderhouse.runtime import telemetry
from orderhouse.runtime.telemetry import trace_of

JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJtZSJ9.c2lnbmF0dXJl"
SECRET = "hunter2"


class Log:
    """What was written."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        self.stream = io.TextIOWrapper(self._bytes, encoding="utf-8")

    def alone(self) -> None:
        """Write without what pytest put beside it, which minds mistakes in other people's lines."""
        logging.captureWarnings(False)
        telemetry.set_up("info", "json", self.stream)

    def text(self) -> str:
        """Return what was written since the last time."""
        self.stream.flush()
        return self._bytes.getvalue().decode()

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines written since the last time."""
        text = self.text()
        self._bytes.seek(0)
        self._bytes.truncate()
        assert text.endswith("\n") or not text
        return [json.loads(line) for line in text.split("\n")[:-1]]


@pytest.fixture
def log() -> Iterator[Log]:
    """A log in JSON; what logging was before is put back."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    written = Log()
    written.alone()
    telemetry.enter("", "")
    yield written
    structlog.reset_defaults()
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


class Broken:
    """Cannot even say what it is."""

    def __str__(self) -> str:
        raise RuntimeError(SECRET)

    __repr__ = __str__


def test_a_line_is_one_object(log: Log) -> None:
    structlog.get_logger().info("order_placed", lines=3, order=UUID(int=7))
    (line,) = log.lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "order_placed", "level": "info", "lines": 3, "order": str(UUID(int=7))}


def test_a_line_knows_its_request(log: Log) -> None:
    telemetry.enter("r1", f"00-{'a' * 32}-{'b' * 16}-01")
    structlog.get_logger().info("order_placed")
    logging.getLogger("some.library").warning("careful")
    assert {(line["request_id"], line["trace_id"]) for line in log.lines()} == {("r1", "a" * 32)}


def test_what_is_below_the_level_is_not_written(log: Log) -> None:
    structlog.get_logger().debug("detail")
    logging.getLogger("some.library").debug("detail")
    logging.getLogger("uvicorn.access").info("GET /")
    assert log.lines() == []


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.text(st.characters(categories=["Cs", "Cc"]))
    | st.binary()
    | st.builds(Broken)
    | st.builds(object)
    | st.sampled_from([ValueError("\ud800"), {1, 2}, UUID(int=1), 2**80]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()) | st.integers(), inner),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(event=st.text(st.characters()), value=ANYTHING, name=st.text(st.characters(), min_size=1))
def test_every_line_is_json_whatever_it_holds(log: Log, event: str, value: object, name: str) -> None:
    structlog.get_logger().info(event, **{name if name not in ("event", "self", "level") else "other": value})
    assert len(log.lines()) == 1


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(message=st.text(st.characters()), value=ANYTHING)
def test_a_library_s_line_is_json_whatever_it_holds(log: Log, message: str, value: object) -> None:
    log.alone()
    logging.getLogger("some.library").warning(message, value)
    assert len(log.lines()) == 1


def test_newlines_begin_no_new_line(log: Log) -> None:
    structlog.get_logger().info('x\n{"event":"forged"}\r\n\u2028\x00\x1b[31m')
    (line,) = log.lines()
    assert line["event"].startswith("x\n")


def test_what_goes_in_circles_is_written(log: Log) -> None:
    circle: list[object] = []
    circle.append(circle)
    structlog.get_logger().info("round", circle=circle)
    assert len(log.lines()) == 1


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "Authorization",
        "access_token",
        "refreshToken",
        "set-cookie",
        "client_secret",
        "API_KEY",
        "private_key",
    ],
)
def test_what_is_named_like_a_secret_is_not_written(log: Log, name: str) -> None:
    structlog.get_logger().info(
        "x", **{name: SECRET, "deeper": [{"deep": {name: [SECRET]}}], "none": (1, {name: SECRET})}
    )
    text = log.text()
    assert SECRET not in text
    assert "[redacted]" in text


@pytest.mark.parametrize(
    "value",
    [
        f"Bearer {JWT}",
        [f"Bearer {JWT}"],
        {"headers": [("x", JWT)]},
        JWT.encode(),
        f"postgresql://me:{SECRET}@db/orders",
        {"error": f"could not reach postgresql://me:{SECRET}@db:5432/orders, gave up"},
        ValueError(f"postgresql://:{SECRET}@db"),
    ],
)
def test_what_looks_like_a_secret_is_not_written(log: Log, value: object) -> None:
    structlog.get_logger().info(str(value) if isinstance(value, str) else "x", value=value)
    logging.getLogger("some.library").warning("%s", value)
    text = log.text()
    assert SECRET not in text
    assert JWT not in text


def test_an_exception_is_in_its_line_without_the_secrets_it_names(log: Log) -> None:
    for name in ("ours", "theirs"):
        try:
            raise ValueError(f"postgresql://me:{SECRET}@db {JWT}\nsecond line")
        except ValueError:
            if name == "ours":
                structlog.get_logger().exception("failed")
            else:
                logging.getLogger("some.library").exception("failed")
    text = log.text()
    lines = log.lines()
    assert len(lines) == 2
    assert all("ValueError" in line["exception"] and "second line" in line["exception"] for line in lines)
    assert SECRET not in text
    assert JWT not in text


@pytest.mark.filterwarnings("default")
def test_libraries_write_to_the_same_log(log: Log) -> None:
    own = logging.getLogger("uvicorn.error")
    own.addHandler(logging.StreamHandler(io.StringIO()))
    log.alone()
    own.info("started %s", "well")
    warnings.warn("old", stacklevel=1)
    first, second = log.lines()
    assert (first["event"], first["logger"], first["level"]) == ("started well", "uvicorn.error", "info")
    assert "old" in second["event"]


def test_a_library_s_mistake_in_its_line_is_written(log: Log) -> None:
    log.alone()
    logging.getLogger("some.library").warning("%d of %s", "x")
    logging.getLogger("some.library").warning("%s", Broken())
    logging.getLogger("some.library").warning(Broken())
    assert [line["event"] for line in log.lines()] == ["%d of %s", "%s", "[RuntimeError]"]


def test_in_a_terminal_lines_are_for_people(log: Log) -> None:
    telemetry.set_up("info", "pretty", log.stream)
    structlog.get_logger().info("order_placed", lines=3, password=SECRET)
    text = log.text()
    assert "order_placed" in text
    assert not text.startswith("{")
    assert SECRET not in text


def test_a_trace_s_flags_go_on() -> None:
    trace, span = "a" * 32, "b" * 16
    for flags in ("00", "01"):
        ours = trace_of(f"00-{trace}-{span}-{flags}".encode())
        version, same, new, kept = ours.split("-")
        assert (version, same, kept) == ("00", trace, flags)
        assert new != span
    assert trace_of(b"") != trace_of(b"")


def test_last_words_are_lines_too(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, hook in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(module, hook, getattr(module, hook))
    telemetry.take_over_last_words()

    class Restless:
        def __del__(self) -> None:
            raise ValueError("not even in the end")

    def broken() -> None:
        raise ValueError("the thread's")

    try:
        raise ValueError("the process's")
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    thread = threading.Thread(target=broken, name="lane")
    thread.start()
    thread.join()
    restless = Restless()
    del restless
    lines = log.lines()
    assert [line["event"] for line in lines] == ["process_broke", "thread_broke", "not_raised"]
    assert [line["level"] for line in lines] == ["critical", "error", "error"]
    assert all("ValueError" in line["exception"] for line in lines)
