"""FastAPI routes that cost little: FastAPI documents them from their signatures, and this edge runs them.

A route is an ordinary typed endpoint. Its vocabulary is closed, and read once, when it is made: one body model, one
query model, ids in the path, `caller: Asker`, `once: Once`, `match: IfMatch`, `unless: IfNoneMatch`, `upload: Upload`
for a body that is no JSON and may be long. FastAPI's own
solver is not asked at a request; that is two thirds of what an idiomatic route costs (see docs/reference/performance).
"""

import inspect
import re
from collections.abc import Awaitable, Callable
from operator import attrgetter
from typing import Annotated, Any, get_args, get_type_hints
from uuid import UUID

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
from orderhouse.runtime.web.answers import Streamed, send_answer, send_parts
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
from orderhouse.runtime.web.request import Request, UploadedBody


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


Upload = Annotated[UploadedBody, Depends(_Given("upload"))]
"""The body, part by part, instead of a body model."""


_IN_PATH = re.compile(r"{(\w+)")

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


_UNCHANGED: dict[int | str, Any] = {304: {"description": "It is still what you have."}}


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
        others = {**(_UNCHANGED if _UNLESS in parameters else {}), **(more.get("responses") or {})}
        more["responses"] = _both(problems.examples(list(dict.fromkeys(refuses)), path), others)
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
            "caller": attrgetter("caller"),
            "match": lambda request: request.match(required=True),
            "match_maybe": lambda request: request.match(required=False),
            "unless": lambda request: request.header(b"if-none-match").removeprefix("W/") or None,
            "upload": attrgetter("upload"),
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
        caller, database = request.caller, self._edge.database
        assert database is not None, "looked at when the route was made"
        return OnceCall(
            database,
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
        await (send_answer(send, answer) if isinstance(answer, Answer) else send_parts(send, answer))


def _both(refusals: dict[int | str, Any], others: dict[int | str, Any]) -> dict[int | str, Any]:
    """Return what OpenAPI is told of every status; where there are two kinds of content, both."""
    both = {**refusals, **others}
    for status in refusals.keys() & others.keys():
        contents = {**refusals[status]["content"], **others[status].get("content", {})}
        both[status] = {**others[status], "content": contents}
    return both
