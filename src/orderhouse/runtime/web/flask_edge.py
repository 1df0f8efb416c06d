"""Flask views behind the house's edge: what one declares, and what it asks about the request it is answering.

A view declares with `needs` what it takes and answers; from that `flask_routes` makes a route like any other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, Concatenate, ParamSpec, TypeVar, cast

import flask
from fastapi import Query
from flask import Response
from pydantic import BaseModel

from orderhouse.kernel import clock
from orderhouse.kernel.errors import Refusal
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
    IfMatch,
    IfMatchMaybe,
    IfNoneMatch,
    Once,
    RetryKey,
)
from orderhouse.runtime.web.request import Request

P = ParamSpec("P")
W = TypeVar("W")
R = TypeVar("R")
M = TypeVar("M", bound=BaseModel)
View = Callable[P, Answer | Response]

GIVEN = "flask"
"""Where in a scope a view's `Now` is."""


@dataclass(frozen=True, slots=True)
class Declared:
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
    return _declare(Declared(taken, more, form is not None))


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
    return _declare(Declared(taken, more, form=form is not None))


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


def _declare(declared: Declared) -> Callable[[View[P]], Callable[P, Response]]:
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


def _origin(now: "Now", who: Principal) -> Origin:
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
class Now:
    """The request a thread is answering, and what the edge made of it."""

    request: Request
    given: dict[str, Any]
    bridge: Bridge
    edge: Edge

    @property
    def database(self) -> Database:
        """The database of the view's context; TypeError where its edge has none."""
        if self.edge.database is None:
            raise TypeError("an edge whose views read or write has a database")
        return self.edge.database


def _now() -> Now:
    return cast(Now, flask.request.environ["asgi.scope"][GIVEN])


def _taken(name: str, kind: type[R]) -> R:
    found = _now().given.get(name)
    if not isinstance(found, kind):
        raise TypeError(f"{flask.request.endpoint} does not declare that it takes {name}: {kind.__name__}")
    return found
