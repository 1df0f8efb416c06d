"""Bodies and queries, parsed once and strictly: what is not exactly JSON is refused, never guessed."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import jiter
from pydantic import BaseModel, TypeAdapter, ValidationError

from orderhouse.runtime.web import problems
from orderhouse.runtime.web.refusals import Malformed, MediaTypeUnsupported, RequestInvalid

M = TypeVar("M", bound=BaseModel)

# Possessive, and content with a string that never ends: a body made to be slow to look at costs what any other does.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*+\\u0000")
_OPENING = b"[{"
_ALIKE = bytes.maketrans(b"0123456789E", b"0000000000e")
_LARGE_EXPONENT = re.compile(rb"0e[+-]?000")
_NUMBER = re.compile(rb"(?:^|[:,\s])-?0++(?:\.0++)?$")
JSON = b"application/json"
FORM = b"application/x-www-form-urlencoded"
OCTETS = b"application/octet-stream"

_FEW = 16
_LONGEST_DETAIL = 200
_MOST_PARAMETERS = 50


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of anything a request may hold."""

    body_bytes: int = 1_048_576
    upload_bytes: int = 536_870_912
    header_bytes: int = 32_768
    headers: int = 100
    target_bytes: int = 8_192
    depth: int = 32
    digits: int = 30


def parsed(body: bytes, limits: Limits) -> Any:
    """Return the JSON in `body`; Malformed for anything else, for repeated names, and past the limits."""
    _bounded(body, limits)
    try:
        found = jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError as error:
        # The parser's words name a place in the caller's own text, or a repeated name, and nothing else.
        raise Malformed(f"Not JSON: {error}"[:_LONGEST_DETAIL]) from None
    # JSON may hold U+0000, and PostgreSQL's text may not: what cannot be kept everywhere is kept nowhere.
    if body.find(b"\\u0000") >= 0 and _NUL.search(body):
        raise RequestInvalid("Text may not hold U+0000.")
    return found


def _bounded(body: bytes, limits: Limits) -> None:
    """Refuse what would be dear to parse. Counting comes first: hardly any request has so many brackets or digits."""
    alike = body.translate(_ALIKE, _OPENING)
    if len(body) - len(alike) <= limits.depth and not _may_hold_large_number(alike, limits.digits):
        return
    bare = _STRING.sub(b'""', body)
    if _large_number(limits.digits).search(bare):
        raise Malformed(f"Numbers have at most {limits.digits} digits here, and exponents of two.")
    depth = 0
    for bracket in re.findall(rb"[\[\]{}]", bare):
        depth += 1 if bracket in b"[{" else -1
        if depth > limits.depth:
            raise Malformed(f"Nested deeper than {limits.depth} levels.")


def _may_hold_large_number(alike: bytes, digits: int) -> bool:
    # What `_large_number` looks for, in a tenth of its time: every digit is a 0, nothing opens (what stands before a
    # bracket may stand before a number as well), and bytes are searched fast; by `find`, for `in` would first ask
    # whether it is given a number, by way of an exception.
    if alike.find(b"0" * (digits + 1)) >= 0:
        return True
    if alike.find(b"0e000") < 0 and alike.find(b"0e+000") < 0 and alike.find(b"0e-000") < 0:
        return False
    # Ids are full of such exponents, but a number begins where none of them does.
    # Where they are many, looking at each would be dear.
    longest = 2 * digits + 3
    for seen, found in enumerate(_LARGE_EXPONENT.finditer(alike)):
        if seen == _FEW or _NUMBER.search(alike, max(0, found.start() - longest), found.start() + 1):
            return True
    return False


@lru_cache
def _large_number(digits: int) -> re.Pattern[bytes]:
    # 1e999 is infinite as a float, and many megabytes as an exact number.
    return re.compile(rb"[0-9]{%d}|[0-9][eE][+-]?[0-9]{3}" % (digits + 1))


def check_media_type(content_type: bytes, wanted: bytes = JSON) -> None:
    """Refuse a body that does not say it is what is `wanted`, in UTF-8."""
    if content_type == wanted:
        return
    kind, _, parameters = content_type.lower().partition(b";")
    charset = parameters.strip().replace(b'"', b"")
    if kind.strip() != wanted or charset not in (b"", b"charset=utf-8"):
        raise MediaTypeUnsupported(*(() if wanted == JSON else (f"This one is {wanted.decode()}.",)))


def validated(adapter: TypeAdapter[M], value: Any) -> M:
    """Return `value` as the schema has it; RequestInvalid says where it does not fit."""
    try:
        # The adapter itself would first look at a dozen options, none of which is given.
        return adapter.validator.validate_python(value)  # type: ignore[no-any-return]  # pydantic types it so
    except ValidationError as error:
        raise problems.of_validation(error) from None


def query_of(adapter: TypeAdapter[M], names: frozenset[str], query: bytes) -> M:
    """Return the query as its schema has it; a name that is not among `names`, or comes twice, is refused."""
    try:
        pairs = _pairs(query) if query else []
        _without_nul(pairs)
        given = dict(pairs)
        if len(given) != len(pairs):
            raise RequestInvalid("Each parameter may come once.")
        if not names.issuperset(given):
            raise RequestInvalid(f"Known parameters are {', '.join(sorted(names))}.")
        return adapter.validate_strings(given)
    except ValidationError as error:
        raise problems.of_validation(error, "?") from None


def pairs_of(said: bytes) -> list[tuple[str, str]]:
    """Return a query or a form as names and values; Malformed, or RequestInvalid for what no database keeps."""
    pairs = _pairs(said)
    _without_nul(pairs)
    return pairs


def _pairs(query: bytes) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS
        )
    except ValueError:
        raise Malformed(f"A query is percent-encoded UTF-8 of at most {_MOST_PARAMETERS} parameters.") from None
    return pairs


def _without_nul(pairs: list[tuple[str, str]]) -> None:
    if any("\0" in value for _, value in pairs):
        raise RequestInvalid("Text may not hold U+0000.")


def form_of(model: type[M], form: bytes) -> M:
    """Return a form as its schema has it; names that are not known are ignored, as standards with forms want it."""
    names = names_of(model)
    try:
        known = [(name, value) for name, value in _pairs(form) if name in names]
        _without_nul(known)
        given = dict(known)
        if len(given) != len(known):
            raise RequestInvalid("Each parameter may come once.")
        return model.model_validate_strings(given)
    except ValidationError as error:
        raise problems.of_validation(error) from None


def names_of(model: type[BaseModel]) -> frozenset[str]:
    """Return the names the fields of `model` have on the wire."""
    fields = model.model_fields.items()
    return frozenset(
        field.validation_alias if isinstance(field.validation_alias, str) else name for name, field in fields
    )
