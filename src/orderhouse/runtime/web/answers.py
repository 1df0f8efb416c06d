"""What goes back to a caller: answers of JSON, nothing, parts or a refusal, and how they are sent."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.types import Scope, Send

from orderhouse.kernel.errors import Refusal
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web import problems


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer of `size` bytes that is sent as its parts come: status 200, and never kept beside a key."""

    headers: tuple[tuple[str, str], ...]
    size: int
    parts: AsyncIterator[bytes]


def etag(version: int) -> tuple[str, str]:
    """Return the ETag header of a version."""
    return ("etag", f'"{version}"')


def json_answer(value: Any, *headers: tuple[str, str], status: int = 200) -> Answer:
    """Return `value` as a JSON answer."""
    return Answer(status, headers, orjson.dumps(value))


def unchanged(tag: tuple[str, str], unless: str | None, *more: tuple[str, str]) -> Answer | None:
    """Return the 304 for whoever has what is tagged so already; None for whoever is to be told."""
    return Answer(304, (tag, *more), b"") if unless == tag[1] else None


DONE = Answer(204, (), b"")
"""What is heard where there is nothing to be told."""


def done(_outcome: object) -> Answer:
    """Return DONE, whatever it was that was done."""
    return DONE


def head_of(answer: Answer) -> list[tuple[bytes, bytes]]:
    """Return every header `answer` is sent with."""
    status, said, body, replayed = answer
    headers = [(name.encode(), value.encode()) for name, value in said]
    headers.append((b"cache-control", b"private, no-cache" if status in (200, 304) else b"no-store"))
    if status not in (204, 304):
        headers.append((b"content-length", b"%d" % len(body)))
        if "content-type" not in dict(said):
            headers.append((b"content-type", b"application/json"))
    if replayed:
        headers.append((b"idempotency-replayed", b"true"))
    return headers


def carried(request_id: str) -> tuple[tuple[bytes, bytes], ...]:
    """Return what every answer carries, whoever makes it."""
    return (b"x-request-id", request_id.encode()), (b"x-content-type-options", b"nosniff")


async def send_answer(send: Send, answer: Answer) -> None:
    """Send `answer`."""
    await send({"type": "http.response.start", "status": answer.status, "headers": head_of(answer)})
    await send({"type": "http.response.body", "body": answer.body})


async def send_parts(send: Send, answer: Streamed) -> None:
    """Send `answer` as its parts come."""
    headers = head_of(Answer(200, answer.headers, b""))
    headers = [(name, str(answer.size).encode() if name == b"content-length" else value) for name, value in headers]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    async for part in answer.parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def send_refusal(send: Send, scope: Scope, refusal: Refusal, *more: tuple[bytes, bytes]) -> None:
    """Send `refusal` as a problem."""
    status, headers, body = problem_of(refusal, scope["state"]["request_id"], scope["raw_path"].decode("latin-1"))
    scope["state"]["refused"] = refusal.code
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *more]})
    await send({"type": "http.response.body", "body": body})


def problem_of(refusal: Refusal, request_id: str, path: str) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return the status, the headers and the body by which `refusal` is told."""
    body = problems.body_of(refusal, request_id, path)
    headers = [
        (b"content-type", problems.MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *problems.headers_of(refusal),
    ]
    return problems.status_of(type(refusal)), headers, body
