"""Logs and traces: one JSON object a line, and every line knows the request it belongs to."""

import logging
import re
import sys
import threading
from collections.abc import MutableMapping
from contextvars import ContextVar
from functools import lru_cache
from types import TracebackType
from typing import Any, Literal, TextIO

import orjson
import structlog

from orderhouse.kernel import clock
from orderhouse.kernel.ids import drawn_text
from orderhouse.runtime.log_lines import Lines

_request: ContextVar[tuple[str, str]] = ContextVar("request", default=("", ""))

_TRACEPARENT = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_new_trace = drawn_text(b"00-%b-%b-01", "32s16s")
_new_span = drawn_text(b"%b", "16s")
_SECRET = re.compile(r"authorization|password|secret|token|cookie|api_?key|private", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(\w+://[^\s:/@]*:)[^\s@]+@")
_JWT = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]*")
_DEEPEST = 8


def enter(request_id: str, trace: str) -> None:
    """Say which request this task works for from now on."""
    _request.set((request_id, trace))


def onward() -> dict[str, str]:
    """Return the headers by which a neighbour knows which request, and which trace, it is asked for."""
    request_id, trace = _request.get()
    said = {"x-request-id": request_id} if request_id else {}
    if trace:
        said["traceparent"] = f"{trace[:36]}{_new_span()}{trace[52:]}"
    return said


def trace_of(sent: bytes) -> str:
    """Return the W3C traceparent of our part of the caller's trace, or of a new one: trace id and a new span."""
    if sent:
        found = _TRACEPARENT.fullmatch(sent)
        if found and found[1].strip(b"0") and found[2].strip(b"0"):
            return f"00-{found[1].decode()}-{_new_span()}-{found[3].decode()}"
    return _new_trace()


def tell_request(**told: Any) -> None:
    """Log a request that was answered. There is one for each, so the line is made by hand where it is safe to."""
    config = structlog.get_config()
    lines = config["logger_factory"]
    if isinstance(lines, Lines) and rendered in config["processors"]:
        line = orjson.dumps({**told, "event": "request", "level": "info", "timestamp": clock.as_text(clock.now())})
        if line.find(b"eyJ") < 0 and line.find(b"://") < 0:
            if lines.least <= logging.INFO:
                lines.msg(line)
            return
    structlog.get_logger().info("request", **told)


def set_up(level: str, form: Literal["auto", "json", "pretty"], stream: TextIO | None = None) -> bool:
    """Send every log line, ours and the libraries', to `stream`: one JSON object each, or prettily in a terminal.

    Return whether the lines are for people.
    """
    out = stream or sys.stderr
    pretty = form == "pretty" or (form == "auto" and out.isatty())
    shared: list[structlog.typing.Processor] = [
        _with_request,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redacted,
    ]
    least = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, structlog.dev.ConsoleRenderer() if pretty else rendered],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.WriteLoggerFactory(out) if pretty else Lines(out.buffer, least),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [_ToStructlog()]
    root.setLevel(max(least, logging.INFO))
    logging.captureWarnings(True)
    for own in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(own).handlers.clear()
        logging.getLogger(own).propagate = True
    for chatty in ("uvicorn.access", "asyncio", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    return pretty


def take_over_last_words() -> None:
    """Log what ends a thread or the process, and what nobody could be told: Python would print its traceback."""
    log = structlog.get_logger()

    def of_the_process(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("process_broke", exc_info=(kind, error, trace))

    def of_a_thread(told: threading.ExceptHookArgs) -> None:
        name = told.thread.name if told.thread else ""
        log.error("thread_broke", thread=name, exc_info=(told.exc_type, told.exc_value, told.exc_traceback))

    def of_nobody(told: "sys.UnraisableHookArgs") -> None:
        log.error("not_raised", where=_text(told.object), exc_info=(told.exc_type, told.exc_value, told.exc_traceback))

    sys.excepthook, threading.excepthook, sys.unraisablehook = of_the_process, of_a_thread, of_nobody


class _ToStructlog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Pass a library's line on."""
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - a library's mistake in its own line takes no request down
            message = _text(record.msg)
        logger = structlog.get_logger(record.name)
        logger.log(record.levelno, message, logger=record.name, exc_info=record.exc_info or None)


def _with_request(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    request_id, trace = _request.get()
    if request_id and "request_id" not in event:
        event["request_id"] = request_id
        event["trace_id"] = trace[3:35]
    return event


def redacted(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take out what is named like a secret or looks like a token, and passwords inside addresses, at any depth."""
    for key, value in event.items():
        event[key] = "[redacted]" if _is_secret(key) else _redacted(value, _DEEPEST)
    return event


def _redacted(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return _scrubbed(value) if "://" in value or "eyJ" in value else value
    if isinstance(value, bytes | bytearray):
        return _scrubbed(value.decode("utf-8", "backslashreplace"))
    if not isinstance(value, dict | list | tuple):
        return value
    if not depth:
        return "[deeper]"
    if isinstance(value, dict):
        return {
            str(key): "[redacted]" if _is_secret(str(key)) else _redacted(one, depth - 1) for key, one in value.items()
        }
    return [_redacted(one, depth - 1) for one in value]


def _scrubbed(text: str) -> str:
    return _JWT.sub("[redacted]", _URL_PASSWORD.sub(r"\1[redacted]@", text))


@lru_cache(maxsize=4096)
def _is_secret(key: str) -> bool:
    return bool(_SECRET.search(key))


def rendered(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> bytes:
    """Return the line: valid JSON whatever the event holds."""
    try:
        return orjson.dumps(event, default=_text)
    except TypeError:
        # orjson's errors are all of this kind: half characters, integers beyond 64 bits, keys that are no text.
        return orjson.dumps({_text(key): _text(value) for key, value in event.items()})


def _text(value: object) -> str:
    try:
        text = str(value)
    except Exception as error:  # noqa: BLE001 - a line is written, whatever the thing in it says of itself
        text = f"[{type(error).__name__}]"
    return _scrubbed(text.encode("utf-8", "backslashreplace").decode())
