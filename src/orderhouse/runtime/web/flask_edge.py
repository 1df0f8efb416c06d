"""Flask views behind the house's edge: a context in Flask behaves as one in FastAPI does, to the byte.

A view declares with `needs` what it takes and answers. From that the edge makes a route like any other: in the event
loop it is matched, its caller is authenticated, its body is read, parsed and validated; FastAPI documents it. Then a
thread runs the Flask app, and what blocks there waits for nobody else. Refusals go up to the front door, as from
every route, so all problems are told in one place.
"""

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, Concatenate, NoReturn, ParamSpec, TypeVar, cast
from urllib.parse import quote_from_bytes
from uuid import UUID

import flask
from a2wsgi import WSGIMiddleware
from fastapi import APIRouter, Query
from flask import Blueprint, Flask, Response
from pydantic import BaseModel
from starlette.types import Message, Receive, Send
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Rule

from orderhouse.kernel import clock
from orderhouse.kernel.errors import Refusal, Unavailable
from orderhouse.kernel.events import Origin
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.blocking import Bridge
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.database.transaction import Reading, Work
from orderhouse.runtime.once import Answer, Asked, OnceCall
from orderhouse.runtime.web import bodies, fastapi_edge
from orderhouse.runtime.web.answers import head_of
from orderhouse.runtime.web.fastapi_edge import (
    Asker,
    Edge,
    HouseRoute,
    IfMatch,
    IfMatchMaybe,
    IfNoneMatch,
    Once,
    RetryKey,
)
from orderhouse.runtime.web.refusals import Failed, Malformed
from orderhouse.runtime.web.request import Request

P = ParamSpec("P")
W = TypeVar("W")
R = TypeVar("R")
M = TypeVar("M", bound=BaseModel)
View = Callable[P, Answer | Response]

_IN_RULE = re.compile(r"<(?:(\w+):)?(\w+)>")
_PATH_KINDS: dict[str | None, type] = {None: str, "string": str, "uuid": UUID}
_GIVEN = "flask"


class ThreadsBusy(Unavailable):
    """More is being asked than can be answered; try again in a moment."""

    code = "threads_busy"


@dataclass(frozen=True, slots=True)
class _Declared:
    """What a view takes and answers, and how FastAPI is told."""

    takes: dict[str, Any]
    more: dict[str, Any]
    form: bool = False


def needs(
    permission: str,
    *refuses: type[Refusal],
    body: type[BaseModel] | None = None,
    form: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    answers: Any = None,
    status: int = 200,
    key: bool | None = None,
    match: bool | None = None,
    unless: bool = False,
    exports: dict[str, Any] | None = None,
) -> Callable[[View[P]], Callable[P, Response]]:
    """Declare the permission a view needs, what it may refuse, what it takes and what it answers.

    `key` and `match` say whether an Idempotency-Key and If-Match are required; None that none is taken. A view with a
    key writes through `once`. `exports` are the media types it answers in besides.
    """
    declared = _with_form(fastapi_edge.needs(permission, *refuses, key=bool(key)), form)
    taken = _takes(body, query, caller=True, key=key, match=match, unless=unless)
    more = {**declared, **_answers(answers, status, exports=exports)}
    return _declare(_Declared(taken, more, form is not None))


def open_to_all(
    reason: str,
    *refuses: type[Refusal],
    body: type[BaseModel] | None = None,
    form: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    answers: Any = None,
    status: int = 200,
    retries: bool = False,
    also: dict[int, dict[str, Any]] | None = None,
) -> Callable[[View[P]], Callable[P, Response]]:
    """Declare a view that asks nobody for a token, with the reason; `retries` where it takes an Idempotency-Key.

    A `form` is for whom a standard makes post one; `also` is what OpenAPI is told of answers that are no JSON of ours.
    """
    declared = _with_form(fastapi_edge.open_to_all(reason, *refuses), form)
    more = {**declared, **_answers(answers, status)}
    more["responses"] = {**more["responses"], **(also or {})}
    taken = {**_takes(body, query), **({"retry_key": RetryKey} if retries else {})}
    return _declare(_Declared(taken, more, form=form is not None))


def _with_form(declared: dict[str, Any], form: type[BaseModel] | None) -> dict[str, Any]:
    if form is not None:
        content = {bodies.FORM.decode(): {"schema": form.model_json_schema()}}
        declared["openapi_extra"]["requestBody"] = {"required": True, "content": content}
    return declared


def _takes(
    body: type[BaseModel] | None,
    query: type[BaseModel] | None,
    *,
    caller: bool = False,
    key: bool | None = None,
    match: bool | None = None,
    unless: bool = False,
) -> dict[str, Any]:
    hints: dict[str, Any] = {
        "caller": Asker if caller else None,
        "body": body,
        "query": Annotated[query, Query()] if query else None,
        "match": {True: IfMatch, False: IfMatchMaybe, None: None}[match],
        "unless": IfNoneMatch if unless else None,
        "once": None if key is None else Once,
    }
    return {name: hint for name, hint in hints.items() if hint is not None}


def _answers(answers: Any, status: int, *, exports: dict[str, Any] | None = None) -> dict[str, Any]:
    responses = {status: {"content": exports}} if exports else {}
    return {"response_model": answers, "status_code": status, "responses": responses}


def _declare(declared: _Declared) -> Callable[[View[P]], Callable[P, Response]]:
    def declare(view: View[P]) -> Callable[P, Response]:
        @wraps(view)
        def answered(*args: P.args, **kwargs: P.kwargs) -> Response:
            made = view(*args, **kwargs)
            return _response(made) if isinstance(made, Answer) else made

        answered.declared = declared  # type: ignore[attr-defined]  # read when the route is made
        return answered

    return declare


def _response(answer: Answer) -> Response:
    response = Response(answer.body, answer.status)
    # What Flask says by itself is what our own answers do not say.
    response.headers.clear()
    response.headers.extend((name.decode(), value.decode()) for name, value in head_of(answer))
    return response


# What a view says, about the request it is answering


def body(model: type[M]) -> M:
    """Return the body as `model` has it."""
    return _taken("body", model)


def form(model: type[M]) -> M:
    """Return the form as `model` has it; RequestInvalid."""
    return bodies.form_of(model, _now().request.body)


def form_pairs() -> list[tuple[str, str]]:
    """Return all of a form, as it was sent; RequestInvalid for what no database keeps."""
    return bodies.pairs_of(_now().request.body)


def query_pairs() -> list[tuple[str, str]]:
    """Return all of a query that has no model, as it was sent; RequestInvalid likewise."""
    return bodies.pairs_of(_now().request.scope["query_string"])


def query(model: type[M]) -> M:
    """Return the query as `model` has it."""
    return _taken("query", model)


def caller() -> Principal:
    """Return who asks."""
    return _taken("caller", Principal)


def match() -> int:
    """Return the version the caller last saw."""
    return _taken("match", int)


def match_maybe() -> int | None:
    """Return the version the caller last saw, if it says so."""
    return cast("int | None", _now().given["match"])


def unless() -> str | None:
    """Return the ETag of what the caller has, if it says so."""
    return cast("str | None", _now().given["unless"])


def retry_key() -> str | None:
    """Return the key by which the caller says that it asks again, if it says one."""
    return cast("str | None", _now().given["retry_key"])


def address() -> str:
    """Return where the request came from, as this server sees it; empty when it does not."""
    client = _now().request.scope.get("client")
    return str(client[0]) if client else ""


def asked(wanted: W, *, by: Principal | None = None) -> Asked[W]:
    """Return `wanted` as a service that writes by itself is asked for it: by the caller, or by whom a view names."""
    now, who = _now(), by or caller()
    return Asked(wanted, who, clock.now(), _origin(now, who))


def _origin(now: "_Now", who: Principal) -> Origin:
    return Origin(who.subject, now.request.id, now.request.scope["state"].get("trace", ""))


def once(work: Work[Asked[W], R], wanted: W, *, answer: Callable[[R], Answer]) -> Answer:
    """Do `work` once, in one transaction with its stored answer, and return that answer. See runtime.once."""
    now = _now()
    call: OnceCall = now.given["once"]
    return now.bridge(call(work, wanted, answer=answer))


def write(work: Work[Asked[W], R], wanted: W, *, answer: Callable[[R], Answer], by: Principal | None = None) -> Answer:
    """Do `work` in one transaction and keep no answer: for those that hold a secret, or go to whoever has no token."""
    now = _now()
    who = by or caller()
    call = OnceCall(now.database, caller=who, origin=_origin(now, who), operation="", key=None, fingerprint=b"")
    return now.bridge(call(work, wanted, answer=answer))


def read(question: Callable[Concatenate[Reading, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return the answer of a question that takes a millisecond or less."""
    now = _now()
    return now.bridge(now.database.read(question, *args, **kwargs))


def scan(question: Callable[Concatenate[Reading, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return the answer of a longer question, which holds up no short one."""
    now = _now()
    return now.bridge(now.database.scan(question, *args, **kwargs))


@dataclass(frozen=True, slots=True)
class _Now:
    """The request a thread is answering, and what the edge made of it."""

    request: Request
    given: dict[str, Any]
    bridge: Bridge
    edge: Edge

    @property
    def database(self) -> Database:
        if self.edge.database is None:
            raise TypeError("an edge whose views read or write has a database")
        return self.edge.database


def _now() -> _Now:
    return cast(_Now, flask.request.environ["asgi.scope"][_GIVEN])


def _taken(name: str, kind: type[R]) -> R:
    found = _now().given.get(name)
    if not isinstance(found, kind):
        raise TypeError(f"{flask.request.endpoint} does not declare that it takes {name}: {kind.__name__}")
    return found


# How a Flask app becomes routes


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
        declared: _Declared | None = getattr(view, "declared", None)
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
        await self._runner(_Now(request, given, self._runner.bridge, self._edge), send)


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

    async def __call__(self, now: _Now, send: Send) -> None:
        if self._under_way >= self._most:
            raise ThreadsBusy
        self.bridge.enter()
        self._under_way += 1
        try:
            await self._wsgi(_for_wsgi(now), _Whole(now.request.body), _Joining(send))  # type: ignore[arg-type]  # likewise
        finally:
            self._under_way -= 1


def _for_wsgi(now: _Now) -> dict[str, Any]:
    scope = now.request.scope
    # WSGI's query is ASCII; whoever cares for its words has had them refused or decoded by now.
    asked = quote_from_bytes(scope["query_string"], safe=bytes(range(0x21, 0x7F)))
    return {**scope, "query_string": asked.encode(), _GIVEN: now}


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
