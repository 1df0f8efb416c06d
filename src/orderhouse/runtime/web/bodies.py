"""Bodies and queries, parsed once and strictly: what is not exactly JSON is refused, never guessed."""

import re
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import jiter
from pydantic import BaseModel, TypeAdapter, ValidationError

from orderhouse.runtime.web import problems
from orderhouse.runtime.web.refusals import Malformed, MediaTypeUnsupported, RequestInvalid

M = TypeVar("M", bound=BaseModel)

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of anything a request may hold."""

    body_bytes: int = 1_048_576
    header_bytes: int = 32_768
    headers: int = 100
    target_bytes: int = 8_192
    depth: int = 32
    digits: int = 30


def parsed(body: bytes, limits: Limits) -> Any:
    """Return the JSON in `body`; Malformed for anything else, for repeated names, and past the limits."""
    _bounded(body, limits)
    try:
        return jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError as error:
        # The parser's words name a place in the caller's own text, and nothing else.
        raise Malformed(f"Not JSON: {error}") from None


def _bounded(body: bytes, limits: Limits) -> None:
    """Refuse what would be dear to parse. Counting brackets comes first: hardly any request has so many."""
    many_brackets = body.count(b"[") + body.count(b"{") > limits.depth
    many_digits = len(body) > limits.digits and _digits(limits.digits + 1).search(body)
    if not many_brackets and not many_digits:
        return
    bare = _STRING.sub(b'""', body)
    if _digits(limits.digits + 1).search(bare):
        raise Malformed(f"Numbers have at most {limits.digits} digits here.")
    depth = 0
    for bracket in re.findall(rb"[\[\]{}]", bare):
        depth += 1 if bracket in b"[{" else -1
        if depth > limits.depth:
            raise Malformed(f"Nested deeper than {limits.depth} levels.")


_patterns: dict[int, re.Pattern[bytes]] = {}


def _digits(count: int) -> re.Pattern[bytes]:
    if count not in _patterns:
        _patterns[count] = re.compile(rb"[0-9]{%d}" % count)
    return _patterns[count]


def check_media_type(content_type: bytes) -> None:
    """Refuse a body that does not say it is JSON in UTF-8."""
    kind, _, parameters = content_type.lower().partition(b";")
    charset = parameters.strip().replace(b'"', b"")
    if kind.strip() != b"application/json" or charset not in (b"", b"charset=utf-8"):
        raise MediaTypeUnsupported


def validated(adapter: TypeAdapter[M], value: Any) -> M:
    """Return `value` as the schema has it; RequestInvalid says where it does not fit."""
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        raise problems.of_validation(error) from None


def query_of(adapter: TypeAdapter[M], query: bytes, target: type[M]) -> M:
    """Return the query as its schema has it; a name that is unknown or comes twice is refused."""
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=50)
    except ValueError:
        raise Malformed("The query is not UTF-8, percent-encoded.") from None
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise RequestInvalid("Each parameter may come once.")
    unknown = [name for name in names if name not in target.model_fields]
    try:
        if unknown:
            raise RequestInvalid(f"Known parameters are {', '.join(target.model_fields)}.")
        return adapter.validate_strings(dict(pairs))
    except ValidationError as error:
        raise problems.of_validation(error, "?") from None
