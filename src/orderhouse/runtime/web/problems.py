"""Refusals as RFC 9457 problems: one table from kinds to HTTP, the same from every edge."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
from pydantic import ValidationError

from orderhouse.kernel import errors, text
from orderhouse.kernel.errors import Refusal
from orderhouse.runtime.database.errors import StillRunning
from orderhouse.runtime.web import refusals

STATUS: Mapping[type[Refusal], int] = {
    errors.Invalid: 422,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Stale: 412,
    errors.Unavailable: 503,
    errors.TooMany: 429,
    errors.Unauthenticated: 401,
    refusals.Malformed: 400,
    refusals.KeyMissing: 400,
    refusals.KeyInvalid: 400,
    refusals.MethodNotAllowed: 405,
    refusals.BodyTooLarge: 413,
    refusals.TargetTooLong: 414,
    refusals.MediaTypeUnsupported: 415,
    refusals.MatchMissing: 428,
    refusals.HeadersTooLarge: 431,
    refusals.Failed: 500,
}
"""Kinds to statuses; the most special class that stands here decides. Only the edge's own refusals stand here alone."""

_LONGEST_PATH = 1024
_LONGEST_PART = 100
_MOST_ERRORS = 20

MEDIA_TYPE = "application/problem+json"

SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "Why something was not done (RFC 9457). Nothing of it was kept.",
    "required": ["type", "title", "status", "request_id"],
    "properties": {
        "type": {"type": "string", "description": "/problems/ and the code of the refusal."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "The path that was asked for."},
        "request_id": {"type": "string", "description": "Also in the header X-Request-Id and in every log line."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "Where: a JSON pointer, or ?name of a parameter."},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}


def status_of(refusal: type[Refusal]) -> int:
    """Return the HTTP status of a class of refusals."""
    return next(STATUS[kind] for kind in refusal.__mro__ if kind in STATUS)


def body_of(refusal: Refusal, request_id: str, path: str) -> bytes:
    """Return the problem's JSON: what was refused, of which request to which path."""
    problem = {
        "type": f"/problems/{refusal.code}",
        "title": refusal.title,
        "status": status_of(type(refusal)),
        **({"detail": refusal.detail} if refusal.detail else {}),
        **refusal.more,
        "instance": path[:_LONGEST_PATH],
        "request_id": request_id,
    }
    return orjson.dumps(problem)


def headers_of(refusal: Refusal) -> list[tuple[bytes, bytes]]:
    """Return the headers that go with the problem, besides its type and length."""
    if isinstance(refusal, errors.Unauthenticated):
        return [(b"www-authenticate", b'Bearer realm="orderhouse", error="invalid_token"')]
    if isinstance(refusal, errors.Unavailable | StillRunning):
        return [(b"retry-after", b"1")]
    if isinstance(refusal, errors.TooMany):
        return [(b"retry-after", str(refusal.retry_after_s).encode())]
    return []


def of_validation(error: ValidationError, prefix: str = "/") -> refusals.RequestInvalid:
    """Return what pydantic found, place by place; never the values, which may be secrets."""
    found = [
        {"pointer": prefix + "/".join(map(_escaped, one["loc"])) if one["loc"] else "", "detail": _detail(one)}
        for one in error.errors(include_url=False, include_input=False)[:_MOST_ERRORS]
    ]
    return refusals.RequestInvalid(errors=found)


def _escaped(part: int | str) -> str:
    text = str(part).replace("~", "~0").replace("/", "~1")
    return text[:_LONGEST_PART]


def _detail(one: Any) -> str:
    # Two of pydantic's own messages quote what was sent.
    if one["type"] in ("uuid_parsing", "union_tag_invalid"):
        return "Input is not one of those that are known" if one["type"] == "union_tag_invalid" else "Input is no UUID"
    if one["type"] == "string_pattern_mismatch" and one["ctx"]["pattern"] in text.REASONS:
        return text.REASONS[one["ctx"]["pattern"]]
    return str(one["msg"]).removeprefix("Value error, ")


def examples(kinds: Sequence[type[Refusal]], path: str) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI's responses for these refusals of requests to `path`, an example for each."""
    responses: dict[int | str, dict[str, Any]] = {}
    for kind in sorted(kinds, key=status_of):
        status = status_of(kind)
        response = responses.setdefault(
            status,
            {
                "description": "",
                "content": {
                    MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}},
                },
            },
        )
        told = kind()
        response["description"] = f"{response['description']} {told.title}".strip()
        response["content"][MEDIA_TYPE]["examples"][told.code] = {
            "value": orjson.loads(body_of(told, "01997a3e-5d2c-7f4a-8a3f-0c7d4e2b9f10", path))
        }
    return responses


def catalogue() -> list[type[Refusal]]:
    """Return every refusal of the loaded code of ours, by code."""
    kinds = {kind.code: kind for kind in _below(Refusal) if kind.__module__.startswith("orderhouse.")}
    return sorted(kinds.values(), key=lambda kind: kind.code)


def _below(kind: type[Refusal]) -> Iterator[type[Refusal]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)
