"""The front door: what every request passes before a route, as one ASGI callable.

It gives each request its id and its place in a trace, bounds its headers, logs it in one line, and answers what
nobody else did: unknown paths, wrong methods, and whatever broke.
"""

import re
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from itertools import chain
from typing import Any

import structlog
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orderhouse.kernel import clock
from orderhouse.kernel.errors import Refusal, Unavailable
from orderhouse.kernel.ids import new_id, new_request_id
from orderhouse.runtime import telemetry
from orderhouse.runtime.refused import Recorder, Refused
from orderhouse.runtime.web.answers import carried, send_refusal
from orderhouse.runtime.web.bodies import Limits
from orderhouse.runtime.web.fastapi_edge import HouseRoute
from orderhouse.runtime.web.refusals import (
    Failed,
    HeadersTooLarge,
    Malformed,
    MethodNotAllowed,
    PathUnknown,
    TargetTooLong,
)

log = structlog.get_logger("orderhouse.requests")

_LONGEST_PATH = 512
# What a script of another origin may send and read, besides what every script may.
_MAY_SEND = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "X-Request-ID",
    "traceparent",
)
_MAY_READ = (
    "Content-Disposition",
    "ETag",
    "Idempotency-Replayed",
    "Location",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-ID",
)
_PARAMETER, _ANY_ID, _ID_LENGTH = re.compile(r"{\w+}"), "{}", 36
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._~:-]{1,128}")


class Front:
    """Runs an app behind the front door."""

    def __init__(
        self, app: FastAPI, limits: Limits, recorder: Recorder | None = None, *, origins: Sequence[str] = ()
    ) -> None:
        """Run `app`: its router is called directly, for everything its middleware would do is done here.

        `recorder` is told of callers who are known and were refused something because of who they are. Browsers let
        scripts of these `origins` call, and of no others but its own.
        """
        app.router.redirect_slashes = False  # One address a thing; and a redirect would trust the caller's Host.
        self._app = app
        self._direct = {
            (method, _PARAMETER.sub(_ANY_ID, route.path)): route
            for route in app.router.routes
            if isinstance(route, HouseRoute)
            for method in route.methods or ()
        }
        self._limits = limits
        self._recorder = recorder
        self._door: ASGIApp = _open_to(origins, self._answered) if origins else self._answered

    def openapi(self) -> dict[str, Any]:
        """Return the document of everything behind this door."""
        return self._app.openapi()

    def served(self) -> set[str]:
        """Return every operation behind this door, documented or not."""
        return {
            f"{method} {route.path}"
            for route in self._app.router.routes
            if isinstance(route, Route)
            for method in (route.methods or set()) - {"HEAD"}
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the app's lifespan, as a server does around all requests."""
        async with self._app.router.lifespan_context(self._app):
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter_ns()
        state = scope.setdefault("state", {})
        sent = state["headers"] = dict(scope["headers"])
        state["request_id"] = _request_id(sent.get(b"x-request-id", b""))
        state["trace"] = telemetry.trace_of(sent.get(b"traceparent", b""))
        telemetry.enter(state["request_id"], state["trace"])
        asked = scope
        if scope["method"] == "HEAD":
            # Whoever can GET can ask for the headers alone; the server below still sees a HEAD in its own scope.
            asked = {**scope, "method": "GET"}
        told = state["told"] = {"status": 0, "bytes": 0}
        also = carried(state["request_id"])

        def watched(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                told["status"] = message["status"]
                message["headers"] = [*message["headers"], *also]
            elif asked is not scope:
                message["body"] = b""
            else:
                told["bytes"] += len(message.get("body", b""))
            return send(message)

        try:
            await self._door(asked, receive, watched)
        finally:
            _logged(scope["method"], asked, began)

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or say why not."""
        try:
            self._check_bounds(scope)
            found = self._found(scope["method"], scope["path"])
            if found is not None:
                route, scope["path_params"] = found
                scope["route"] = route
                await route.handle(scope, receive, send)
            else:
                scope["app"] = self._app
                await self._app.router(scope, receive, send)
        except Refusal as refusal:
            await self._explained(refusal, scope)
            await send_refusal(send, scope, refusal)
        except HTTPException as error:
            await self._told(error, scope, send)
        except Exception:  # the last resort: the caller is told that it was us, and the log is told everything
            log.exception("request_failed", method=scope["method"], path=scope["path"])
            if scope["state"]["told"]["status"]:
                raise
            await send_refusal(send, scope, Failed())

    def _found(self, method: str, path: str) -> tuple[HouseRoute, dict[str, str]] | None:
        """Return the route of ours at `path`, and its ids; None where the router has to look at one after the other.

        It would try as many patterns as there are routes before it. What is as long as an id is taken for one; what is
        not, and stands where an id belongs, names nothing, and the router finds that out.
        """
        ids: list[str] = []
        if len(path) > _ID_LENGTH:
            parts = path.split("/")
            ids = [part for part in parts if len(part) == _ID_LENGTH]
            path = "/".join(_ANY_ID if len(part) == _ID_LENGTH else part for part in parts)
        route = self._direct.get((method, path))
        if route is None or len(route.param_convertors) != len(ids):
            return None
        return route, dict(zip(route.param_convertors, ids, strict=True)) if ids else {}

    def _check_bounds(self, scope: Scope) -> None:
        limits, headers = self._limits, scope["headers"]
        if len(headers) > limits.headers:
            raise HeadersTooLarge(f"At most {limits.headers} headers.")
        if sum(map(len, chain.from_iterable(headers))) > limits.header_bytes:
            raise HeadersTooLarge(f"At most {limits.header_bytes} bytes of headers.")
        if len(scope["raw_path"]) + len(scope["query_string"]) > limits.target_bytes:
            raise TargetTooLong(f"At most {limits.target_bytes} bytes.")

    async def _explained(self, refusal: Refusal, scope: Scope) -> None:
        """Tell the operator why something is gone, and the audit log who was refused; the caller hears no more."""
        if isinstance(refusal, Unavailable) and refusal.__cause__ is not None:
            log.warning("unavailable", refused=refusal.code, error=repr(refusal.__cause__))
        if refusal.because_of_caller and self._recorder is not None and "subject" in scope["state"]:
            await self._recorder(_refused(scope, refusal))

    async def _told(self, error: HTTPException, scope: Scope, send: Send) -> None:
        if error.status_code == 405:
            await send_refusal(send, scope, MethodNotAllowed(), (b"allow", self._allowed(scope, error).encode()))
        elif error.status_code == 404:
            await send_refusal(send, scope, PathUnknown())
        else:
            await send_refusal(send, scope, Malformed() if error.status_code < 500 else Failed())

    def _allowed(self, scope: Scope, error: HTTPException) -> str:
        """Return every method some route takes at this path: the router itself names only those of the first."""
        routes = [route for route in self._app.router.routes if isinstance(route, Route)]
        matching = [route for route in routes if route.matches(scope)[0] is not Match.NONE]
        methods = {method for route in matching for method in route.methods or ()}
        methods |= {one for one in (error.headers or {}).get("Allow", "").split(", ") if one}
        return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))


def _open_to(origins: Sequence[str], app: ASGIApp) -> ASGIApp:
    """Let scripts of these origins call `app`, with a token: nothing here goes by cookies."""
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=_MAY_SEND,
        expose_headers=_MAY_READ,
    )


def _request_id(sent: bytes) -> str:
    """Return the caller's request id where it is a safe one, or a new one."""
    return sent.decode() if sent and _REQUEST_ID.fullmatch(sent) else new_request_id()


def _refused(scope: Scope, refusal: Refusal) -> Refused:
    state, client = scope["state"], scope.get("client")
    return Refused(
        new_id(),
        clock.now(),
        state["subject"],
        client[0] if client else "",
        f"{scope['method']} {getattr(scope.get('route'), 'path', 'unknown')}",
        scope["raw_path"].decode("ascii", "backslashreplace")[:_LONGEST_PATH],
        refusal.code,
        state["request_id"],
    )


def _logged(method: str, scope: Scope, began: int) -> None:
    route = scope.get("route")
    state = scope["state"]
    told = state["told"]
    telemetry.tell_request(
        method=method,
        route=getattr(route, "path", None) or "unknown",
        status=told["status"],
        ms=(time.perf_counter_ns() - began) // 1000 / 1000,
        bytes=told["bytes"],
        subject=state.get("subject"),
        refused=state.get("refused"),
        request_id=state["request_id"],
        trace_id=state["trace"][3:35],
    )
