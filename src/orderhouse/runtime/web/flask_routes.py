"""How a Flask app becomes routes: a context in Flask behaves as one in FastAPI does, to the byte.

In the event loop a view's route is matched, its caller is authenticated, its body is read, parsed and validated;
FastAPI documents it. Then a thread runs the Flask app, and what blocks there waits for nobody else. Refusals go up to
the front door, as from every route, so all problems are told in one place.
"""

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn
from urllib.parse import quote_from_bytes
from uuid import UUID

from a2wsgi import WSGIMiddleware
from fastapi import APIRouter
from flask import Blueprint, Flask
from starlette.types import Message, Receive, Send
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from orderhouse.kernel.errors import Unavailable
from orderhouse.runtime.blocking import Bridge
from orderhouse.runtime.web.fastapi_edge import Edge, HouseRoute
from orderhouse.runtime.web.flask_edge import GIVEN, Declared, Now
from orderhouse.runtime.web.refusals import Failed, Malformed
from orderhouse.runtime.web.request import Request

_IN_RULE = re.compile(r"<(?:(\w+):)?(\w+)>")
_PATH_KINDS: dict[str | None, type] = {None: str, "string": str, "uuid": UUID}


class ThreadsBusy(Unavailable):
    """More is being asked than can be answered; try again in a moment."""

    code = "threads_busy"


def made(name: str, blueprints: Sequence[Blueprint]) -> Flask:
    """Return a Flask app of the house with these blueprints."""
    app = Flask(name, static_folder=None)
    # What a view raises goes up to the front door.
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.register_error_handler(HTTPException, _refused)
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    return app


def _refused(error: HTTPException) -> NoReturn:
    raise (Malformed() if (error.code or 500) < 500 else Failed()) from error


def routes(app: Flask, edge: Edge, bridge: Bridge, *, threads: int = 8, waiting: int = 256) -> APIRouter:
    """Return every view of `app` as a route: `threads` run it, `waiting` more requests may wait, the rest is refused.

    TypeError when a view declares no permission, or something the edge does not know.
    """
    runner = _Runner(app, bridge, threads=threads, waiting=waiting)
    router = APIRouter()
    for rule in app.url_map.iter_rules():
        router.routes.append(FlaskRoute(rule, app, edge, runner))
    return router


class FlaskRoute(HouseRoute):
    """A route whose endpoint is a view of Flask."""

    def __init__(self, rule: Rule, app: Flask, edge: Edge, runner: "_Runner") -> None:
        """Read what the view behind `rule` declares."""
        view = app.view_functions[rule.endpoint]
        declared: Declared | None = getattr(view, "declared", None)
        if declared is None:
            raise TypeError(f"{rule.endpoint} names no permission: use @needs(…) or @open_to_all(…)")
        self._runner = runner
        self._form = declared.form
        super().__init__(
            _IN_RULE.sub(r"{\2}", rule.rule),
            _documented(view, {**_in_path(rule), **declared.takes}),
            edge,
            methods=sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}),
            tags=[rule.endpoint.partition(".")[0]],
            **declared.more,
        )

    async def take(self, request: Request, receive: Receive) -> None:
        """Read the body, if the view takes one."""
        if self._form:
            await request.read_form(receive)
        else:
            await super().take(request, receive)

    async def serve(self, request: Request, given: dict[str, Any], send: Send) -> None:
        """Let a thread answer."""
        await self._runner(Now(request, given, self._runner.bridge, self._edge), send)


def _in_path(rule: Rule) -> dict[str, type]:
    found = _IN_RULE.findall(rule.rule)
    if unknown := [kind for kind, _ in found if (kind or None) not in _PATH_KINDS]:
        raise TypeError(f"{rule.rule}: the edge knows no {unknown[0]} in a path")
    return {name: _PATH_KINDS[kind or None] for kind, name in found}


def _documented(view: Callable[..., Any], takes: dict[str, Any]) -> Callable[..., Any]:
    """Return a function that is never called: its signature says what the edge gives and FastAPI documents."""

    async def endpoint() -> None: ...

    endpoint.__name__ = view.__name__
    endpoint.__doc__ = view.__doc__
    endpoint.__annotations__ = takes
    kind = inspect.Parameter.KEYWORD_ONLY
    endpoint.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # inspect's own way to say it
        [inspect.Parameter(name, kind, annotation=hint) for name, hint in takes.items()]
    )
    return endpoint


class _Runner:
    """A Flask app in threads of its own."""

    def __init__(self, app: Flask, bridge: Bridge, *, threads: int, waiting: int) -> None:
        self.bridge = bridge
        self._wsgi = WSGIMiddleware(app, workers=threads)  # type: ignore[arg-type]  # its WSGI types are its own
        self._most = threads + waiting
        self._under_way = 0

    async def __call__(self, now: Now, send: Send) -> None:
        if self._under_way >= self._most:
            raise ThreadsBusy
        self.bridge.enter()
        self._under_way += 1
        try:
            await self._wsgi(_for_wsgi(now), _Whole(now.request.body), _Joining(send))  # type: ignore[arg-type]  # likewise
        finally:
            self._under_way -= 1


def _for_wsgi(now: Now) -> dict[str, Any]:
    scope = now.request.scope
    # WSGI's query is ASCII; whoever cares for its words has had them refused or decoded by now.
    asked = quote_from_bytes(scope["query_string"], safe=bytes(range(0x21, 0x7F)))
    return {**scope, "query_string": asked.encode(), GIVEN: now}


class _Whole:
    """A body that was read: no thread waits for a slow sender."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __call__(self) -> Message:
        return {"type": "http.request", "body": self._body, "more_body": False}


class _Joining:
    """Sends an answer as it is sent elsewhere: the end goes with the last part, rather than behind it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._held: Message | None = None

    async def __call__(self, message: Message) -> None:
        held, self._held = self._held, None
        if held is not None and not message["body"] and not message.get("more_body"):
            held = {**held, "more_body": False}
            message = {}
        if held is not None:
            await self._send(held)
        if message.get("more_body"):
            self._held = message
        elif message:
            await self._send(message)
