"""FastAPI routes that cost little: FastAPI documents them from their signatures, and this edge runs them.

A route is an ordinary typed endpoint. Its vocabulary is closed, and read once, when it is made: one body model, one
query model, ids in the path, `caller: Asker`, `once: Once`, `match: IfMatch`, `unless: IfNoneMatch`, `upload: Upload`
for a body that is no JSON and may be long. FastAPI's own
solver is not asked at a request; that is two thirds of what an idiomatic route costs (see docs/reference/performance).
"""

import inspect
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Annotated, Any, cast, get_args, get_type_hints
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, params
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from orderhouse.kernel.errors import NotFound, Refusal, Unauthenticated, Unavailable
from orderhouse.kernel.events import Origin
from orderhouse.kernel.principal import PERMISSIONS, Principal
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.database.errors import StillRunning
from orderhouse.runtime.once import Answer, KeyReused, OnceCall
from orderhouse.runtime.tokens import Verifier
from orderhouse.runtime.web import bodies, problems
from orderhouse.runtime.web.admission import Admission
from orderhouse.runtime.web.bodies import Limits
from orderhouse.runtime.web.refusals import (
    BodyTooLarge,
    Failed,
    HeadersTooLarge,
    KeyInvalid,
    KeyMissing,
    Malformed,
    MatchMissing,
    MediaTypeUnsupported,
    PermissionMissing,
    RequestInvalid,
    TargetTooLong,
)


class _Given:
    """What the edge gives an endpoint itself; FastAPI sees a dependency without parameters."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self) -> None: ...


Once = Annotated[OnceCall, Depends(_Given("once"))]
"""The request done once: `await once(work, wanted, answer=…)`."""

Asker = Annotated[Principal, Depends(_Given("caller"))]
"""Who asks."""

IfMatch = Annotated[int, Depends(_Given("match"))]
"""The version the caller last saw; without If-Match the request is refused."""

IfMatchMaybe = Annotated[int | None, Depends(_Given("match_maybe"))]
"""The version the caller last saw, if it says so."""

IfNoneMatch = Annotated[str | None, Depends(_Given("unless"))]
"""The ETag of what the caller has."""

RetryKey = Annotated[str | None, Depends(_Given("retry_key"))]
"""The Idempotency-Key, where no answer is kept and what is asked for knows by itself what a retry is to hear."""


class UploadedBody:
    """A body that comes in parts, whatever it is."""

    def __init__(self, receive: Receive, headers: dict[bytes, bytes], most: int) -> None:
        """Take up to `most` bytes of it."""
        self._receive = receive
        self._headers = headers
        self._most = most

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield its parts; MediaTypeUnsupported, BodyTooLarge, or Malformed when it ends early."""
        bodies.check_media_type(self._headers.get(b"content-type", b""), bodies.OCTETS)
        async for part in _parts(self._receive, self._headers, self._most):
            yield part


Upload = Annotated[UploadedBody, Depends(_Given("upload"))]
"""The body, part by part, instead of a body model."""


@dataclass(frozen=True, slots=True)
class Streamed:
    """An answer of `size` bytes that is sent as its parts come: status 200, and never kept beside a key."""

    headers: tuple[tuple[str, str], ...]
    size: int
    parts: AsyncIterator[bytes]


_BARE_KEY = re.compile(r"[!#-~][ -~]{0,254}")
_QUOTED_KEY = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\]){1,255})"')
_ESCAPED = re.compile(r'\\(["\\])')
_TAG = re.compile(r'"([0-9]{1,9})"')
_ANY_TAGS = re.compile(r'\*|(W/)?"[^"\x00-\x20\x7f]*"( *, *(W/)?"[^"\x00-\x20\x7f]*")*')
_IN_PATH = re.compile(r"{(\w+)")

# What decides about a request may be said once: of two, a proxy and this edge could each believe another.
_SAID_ONCE = frozenset({b"authorization", b"content-type", b"idempotency-key", b"if-match", b"if-none-match"})

_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Makes the request safe to send again: the same key and body hear the same answer for 24 h.",
    "schema": {"type": "string", "pattern": r'^([!#-~][ -~]{0,254}|"([ !#-\[\]-~]|\\["\\]){1,255}")$'},
    "example": "8e03978e-40d5-43e8-bc93-6894a57f9324",
}
_MATCH = {
    "name": "If-Match",
    "in": "header",
    "description": "The ETag last seen; 412 when somebody has changed it since.",
    "schema": {"type": "string", "pattern": r'^"[0-9]{1,9}"$'},
    "example": '"1"',
}
_UNLESS = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The ETag of what you have; 304 when it is still that.",
    "schema": {"type": "string"},
    "example": '"1"',
}


def needs(permission: str, *refuses: type[Refusal], key: bool = False) -> dict[str, Any]:
    """Return what a route declares: its permission, what it may refuse, and whether it needs an Idempotency-Key."""
    if permission not in PERMISSIONS:
        raise LookupError(f"nobody defined the permission {permission}")
    return {"openapi_extra": {"x-permission": permission, "x-key": key, "x-refuses": list(refuses)}}


def open_to_all(reason: str, *refuses: type[Refusal]) -> dict[str, Any]:
    """Return what a route declares that asks nobody for a token, with the reason."""
    return {"openapi_extra": {"x-open": reason, "x-refuses": list(refuses)}}


class Edge:
    """What the routes of one context share."""

    def __init__(self, verifier: Verifier, limits: Limits, database: Database | None = None) -> None:
        """Verify tokens by `verifier`; `once` writes to `database`."""
        self.verifier = verifier
        self.limits = limits
        self.database = database
        self.admission = Admission(database) if database is not None else None

    def router(self, prefix: str, tag: str) -> APIRouter:
        """Return a router whose routes this edge runs."""
        edge = self

        class Bound(HouseRoute):
            def __init__(self, path: str, endpoint: Endpoint, **more: Any) -> None:
                super().__init__(path, endpoint, edge, **more)

        return APIRouter(prefix=prefix, tags=[tag], route_class=Bound)


Provide = Callable[["Request"], Any]
Endpoint = Callable[..., Awaitable[Answer | Streamed]]
_OCTETS: dict[str, Any] = {bodies.OCTETS.decode(): {"schema": {"type": "string", "format": "binary"}}}


class HouseRoute(APIRoute):
    """A route whose signature FastAPI documents and the edge runs."""

    def __init__(self, path: str, endpoint: Endpoint, edge: Edge, **more: Any) -> None:
        """Read the endpoint's signature; TypeError when it asks for what the edge does not know."""
        declared = more.pop("openapi_extra", None) or {}
        self.permission: str | None = declared.get("x-permission")
        if self.permission is None and "x-open" not in declared:
            raise TypeError(f"{endpoint.__name__} names no permission: use **needs(…) or **open_to_all(…)")
        self._edge = edge
        self._endpoint = endpoint
        self._needs_key = bool(declared.get("x-key"))
        self._operation = f"{'/'.join(sorted(more.get('methods') or ['GET']))} {path}"
        self._reads_body = self._uploads = False
        self._has_ids = False
        self._admission: Admission | None = None
        parameters: list[dict[str, Any]] = []
        self._provide = self._providers(endpoint, path, parameters)
        if self._uploads:
            declared = {**declared, "requestBody": {"required": True, "content": _OCTETS}}
        refuses = [*self._always_refuses(parameters, declared), *declared.get("x-refuses", ())]
        more["openapi_extra"] = {
            **({"parameters": parameters} if parameters else {}),
            **({"requestBody": declared["requestBody"]} if "requestBody" in declared else {}),
            "x-permission": self.permission or "none",
            "security": [{"bearer": []}] if self.permission else [],
        }
        more["responses"] = _both(problems.examples(list(dict.fromkeys(refuses)), path), more.get("responses") or {})
        more["operation_id"] = endpoint.__name__
        super().__init__(path, endpoint, **more)

    def _providers(
        self, endpoint: Endpoint, path: str, parameters: list[dict[str, Any]]
    ) -> tuple[tuple[str, Provide], ...]:
        if not inspect.iscoroutinefunction(endpoint):
            raise TypeError(f"{self._operation}: an endpoint is an async function")
        signature, hints = inspect.signature(endpoint).parameters, get_type_hints(endpoint, include_extras=True)
        if missing := set(_IN_PATH.findall(path)) - set(signature):
            raise TypeError(f"{self._operation}: the endpoint does not take {', '.join(sorted(missing))} of the path")
        defaults = [name for name, one in signature.items() if one.default is not inspect.Parameter.empty]
        if defaults:
            raise TypeError(f"{self._operation}: the edge gives everything, a default for {defaults[0]} is never used")
        return tuple((name, self._provider(name, hints.get(name), path, parameters)) for name in signature)

    def _provider(self, name: str, hint: Any, path: str, parameters: list[dict[str, Any]]) -> Provide:
        for mark in get_args(hint)[1:]:
            if isinstance(mark, params.Depends) and isinstance(mark.dependency, _Given):
                return self._given(mark.dependency.name, parameters)
            if isinstance(mark, params.Query):
                query: TypeAdapter[Any] = TypeAdapter(get_args(hint)[0])
                names = bodies.names_of(get_args(hint)[0])
                return lambda request: bodies.query_of(query, names, request.scope["query_string"])
        if hint is UUID and name in _IN_PATH.findall(path):
            self._has_ids = True
            return lambda request: request.id_in_path(name)
        if hint is str and name in _IN_PATH.findall(path):
            return lambda request: request.scope["path_params"][name]
        if isinstance(hint, type) and issubclass(hint, BaseModel) and not self._reads_body:
            self._reads_body = True
            body = TypeAdapter(hint)
            return lambda request: bodies.validated(body, request.json)
        raise TypeError(f"{self._operation}: the edge does not know what to give for {name}: {hint}")

    def _given(self, name: str, parameters: list[dict[str, Any]]) -> Provide:
        documented: dict[str, dict[str, Any]] = {
            "once": {**_KEY, "required": self._needs_key},
            "match": {**_MATCH, "required": True},
            "match_maybe": _MATCH,
            "unless": _UNLESS,
            "retry_key": {**_KEY, "required": False},
        }
        if name == "once":
            if self._edge.admission is None:
                raise TypeError(f"{self._operation}: an edge whose routes write has a database")
            self._admission = self._edge.admission
        self._uploads |= name == "upload"
        if name in documented:
            parameters.append(documented[name])
        given: dict[str, Provide] = {
            "once": self._once,
            "caller": lambda request: request.caller,
            "match": lambda request: request.match(required=True),
            "match_maybe": lambda request: request.match(required=False),
            "unless": lambda request: request.header(b"if-none-match").removeprefix("W/") or None,
            "upload": lambda request: request.upload,
            "retry_key": lambda request: request.key(),
        }
        return given[name]

    def _always_refuses(self, parameters: list[dict[str, Any]], declared: dict[str, Any]) -> list[type[Refusal]]:
        refuses: list[type[Refusal]] = [Malformed, RequestInvalid, Unavailable, TargetTooLong, HeadersTooLarge, Failed]
        if self.permission:
            refuses += [Unauthenticated, PermissionMissing]
        if self._reads_body or "requestBody" in declared:
            refuses += [BodyTooLarge, MediaTypeUnsupported]
        if self._has_ids:
            refuses.append(NotFound)
        names = {parameter["name"]: parameter.get("required") for parameter in parameters}
        if "Idempotency-Key" in names:
            refuses.append(KeyInvalid)
        if self._admission is not None:
            refuses += [KeyReused, StillRunning, *([KeyMissing] if self._needs_key else [])]
        if names.get("If-Match"):
            refuses.append(MatchMissing)
        return refuses

    def _once(self, request: "Request") -> OnceCall:
        key = request.key()
        if key is None and self._needs_key:
            raise KeyMissing
        caller = request.caller
        return OnceCall(
            cast(Database, self._edge.database),  # Looked at when the route was made.
            caller=caller,
            origin=Origin(caller.subject, request.id, request.scope["state"].get("trace", "")),
            operation=self._operation,
            key=key,
            fingerprint=request.fingerprint() if key is not None else b"",
        )

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, however the router was added: included, FastAPI would run the endpoint without the edge.

        Refusals go up to the front door, which tells them all.
        """
        methods = self.methods or set()
        if scope["method"] not in methods:
            raise HTTPException(405, headers={"Allow": ", ".join(methods)})
        if self._admission is not None and self._admission.full:
            await self._admission.wait()
        request = Request(scope, self._edge)
        if self.permission is not None:
            request.authenticate(self.permission)
        await self.take(request, receive)
        await self.serve(request, {name: provide(request) for name, provide in self._provide}, send)

    async def take(self, request: "Request", receive: Receive) -> None:
        """Read the body, if the endpoint takes one."""
        if self._reads_body:
            await request.read(receive)
        elif self._uploads:
            request.upload = request.uploaded(receive)

    async def serve(self, request: "Request", given: dict[str, Any], send: Send) -> None:  # noqa: ARG002 - others look at it
        """Send what the endpoint makes of what it was given."""
        answer = await self._endpoint(**given)
        await (send_answer(send, answer) if isinstance(answer, Answer) else _send_parts(send, answer))


def _both(refusals: dict[int | str, Any], others: dict[int | str, Any]) -> dict[int | str, Any]:
    """Return what OpenAPI is told of every status; where there are two kinds of content, both."""
    both = {**refusals, **others}
    for status in refusals.keys() & others.keys():
        contents = {**refusals[status]["content"], **others[status].get("content", {})}
        both[status] = {**others[status], "content": contents}
    return both


class Request:
    """One request, as far as the edge has looked at it."""

    __slots__ = ("_edge", "_headers", "body", "caller", "id", "json", "scope", "upload")

    def __init__(self, scope: Scope, edge: Edge) -> None:
        """Look at `scope`; Malformed when a header that decides something comes twice."""
        self.scope = scope
        self.id: str = scope["state"]["request_id"]
        self.body = b""
        self.json: Any = None
        self.caller: Principal
        self.upload: UploadedBody
        self._edge = edge
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        self._headers = dict(headers)
        if len(self._headers) < len(headers):
            _check_said_once(headers)

    def header(self, name: bytes) -> str:
        """Return a header's value; empty when there is none."""
        return self._headers.get(name, b"").decode("latin-1")

    def authenticate(self, permission: str) -> None:
        """Set the caller; Unauthenticated or PermissionMissing."""
        kind, _, token = self.header(b"authorization").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise Unauthenticated
        self.caller = self._edge.verifier.verify(token.strip())
        self.scope["state"]["subject"] = self.caller.subject
        if not self.caller.may(permission):
            raise PermissionMissing

    async def read(self, receive: Receive) -> None:
        """Read and parse the body, never more of it than is taken."""
        bodies.check_media_type(self._headers.get(b"content-type", b""))
        await self._whole(receive)
        self.json = bodies.parsed(self.body, self._edge.limits)

    async def read_form(self, receive: Receive) -> None:
        """Read the body, which is a form, never more of it than is taken."""
        bodies.check_media_type(self._headers.get(b"content-type", b""), bodies.FORM)
        await self._whole(receive)

    async def _whole(self, receive: Receive) -> None:
        parts = [part async for part in _parts(receive, self._headers, self._edge.limits.body_bytes)]
        self.body = parts[0] if len(parts) == 1 else b"".join(parts)

    def uploaded(self, receive: Receive) -> UploadedBody:
        """Return the body as what comes in parts."""
        return UploadedBody(receive, self._headers, self._edge.limits.upload_bytes)

    def id_in_path(self, name: str) -> UUID:
        """Return an id of the path; what is no id names nothing."""
        text = self.scope["path_params"][name]
        try:
            found = UUID(text)
        except ValueError:
            raise NotFound("The id in the path is no UUID.") from None
        if str(found) != text.lower():
            raise NotFound("The id in the path is no UUID.")
        return found

    def key(self) -> str | None:
        """Return the Idempotency-Key, bare (quoted, it is a string of RFC 9651); None without one."""
        if b"idempotency-key" not in self._headers:
            return None
        said = self.header(b"idempotency-key").strip()
        quoted = _QUOTED_KEY.fullmatch(said)
        if quoted:
            return _ESCAPED.sub(r"\1", quoted[1])
        if _BARE_KEY.fullmatch(said):
            return said
        raise KeyInvalid

    def fingerprint(self) -> bytes:
        """Return a digest of the path and of what the body says, in whatever order and spacing it says it."""
        try:
            said = orjson.dumps(self.json, option=orjson.OPT_SORT_KEYS)
        except TypeError:  # An integer beyond 64 bits: rare, and still the caller's to repeat.
            said = json.dumps(self.json, sort_keys=True).encode()
        return blake2b(self.scope["path"].encode() + b"\0" + said, digest_size=16).digest()

    def match(self, *, required: bool) -> int | None:
        """Return the version in If-Match; MatchMissing when it is required and not there, Malformed for no ETag."""
        if b"if-match" not in self._headers:
            if required:
                raise MatchMissing
            return None
        said = self.header(b"if-match").strip()
        tag = _TAG.fullmatch(said)
        if tag:
            return int(tag[1])
        if not _ANY_TAGS.fullmatch(said):
            raise Malformed("If-Match holds an ETag, in its quotes.")
        return -1  # It is no version of ours: whatever it names is not what is there.


async def _parts(receive: Receive, headers: dict[bytes, bytes], most: int) -> AsyncIterator[bytes]:
    declared = headers.get(b"content-length", b"0")
    if len(declared) > 18 or (declared.isdigit() and int(declared) > most):
        raise BodyTooLarge(f"At most {most} bytes.")
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Malformed("The body ended early.")
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            raise BodyTooLarge(f"At most {most} bytes.")
        yield part
        more = message.get("more_body", False)


def _check_said_once(headers: list[tuple[bytes, bytes]]) -> None:
    names = [name for name, _ in headers if name in _SAID_ONCE]
    if len(names) > len(set(names)):
        raise Malformed("A header that may come once came twice.")


def etag(version: int) -> tuple[str, str]:
    """Return the ETag header of a version."""
    return ("etag", f'"{version}"')


def json_answer(value: Any, *headers: tuple[str, str], status: int = 200) -> Answer:
    """Return `value` as a JSON answer."""
    return Answer(status, headers, orjson.dumps(value))


def head_of(answer: Answer) -> list[tuple[bytes, bytes]]:
    """Return every header `answer` is sent with."""
    headers = [
        (b"cache-control", b"private, no-cache" if answer.status in (200, 304) else b"no-store"),
        *((name.encode(), value.encode()) for name, value in answer.headers),
    ]
    if answer.status not in (204, 304):
        headers.append((b"content-length", str(len(answer.body)).encode()))
        if not any(name == "content-type" for name, _ in answer.headers):
            headers.append((b"content-type", b"application/json"))
    if answer.replayed:
        headers.append((b"idempotency-replayed", b"true"))
    return headers


async def send_answer(send: Send, answer: Answer) -> None:
    """Send `answer`."""
    await send({"type": "http.response.start", "status": answer.status, "headers": head_of(answer)})
    await send({"type": "http.response.body", "body": answer.body})


async def _send_parts(send: Send, answer: Streamed) -> None:
    headers = head_of(Answer(200, answer.headers, b""))
    headers = [(name, str(answer.size).encode() if name == b"content-length" else value) for name, value in headers]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    async for part in answer.parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def send_refusal(send: Send, scope: Scope, refusal: Refusal, *more: tuple[bytes, bytes]) -> None:
    """Send `refusal` as a problem."""
    body = problems.body_of(refusal, scope["state"]["request_id"], scope["raw_path"].decode("latin-1"))
    headers = [
        (b"content-type", problems.MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *problems.headers_of(refusal),
        *more,
    ]
    scope["state"]["refused"] = refusal.code
    await send({"type": "http.response.start", "status": problems.status_of(type(refusal)), "headers": headers})
    await send({"type": "http.response.body", "body": body})
