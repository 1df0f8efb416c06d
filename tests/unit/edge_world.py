"""A small API that uses everything the edge offers, over a real database, as a caller sees it."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

import httpx2
from fastapi import APIRouter, FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Message, Scope

from orderhouse.kernel.errors import Conflict, Refusal, Stale
from orderhouse.kernel.principal import Role
from orderhouse.kernel.text import Line
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.database.errors import DatabaseUnavailable
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Answer, Asked
from orderhouse.runtime.tokens import SigningKeys, Verifier
from orderhouse.runtime.web import documents, health
from orderhouse.runtime.web.answers import etag, json_answer
from orderhouse.runtime.web.bodies import Limits
from orderhouse.runtime.web.fastapi_edge import (
    Asker,
    Edge,
    IfMatch,
    IfMatchMaybe,
    IfNoneMatch,
    Once,
    needs,
    open_to_all,
)
from orderhouse.runtime.web.front import Front
from tests.integration import things

LIMITS = Limits(body_bytes=4096, header_bytes=4096, headers=40, target_bytes=2048, depth=8, digits=20)
THING = "01997a3e-5d2c-7f4a-8a3f-0c7d4e2b9f10"
KEY = {"Idempotency-Key": "k1"}
UNSPEAKABLE = "postgresql://me:hunter2@db/orders"

Framework = Literal["fastapi", "flask"]
"""In what the API is written: whoever asks it cannot tell."""

FRAMEWORKS: tuple[Framework, ...] = get_args(Framework)


class Secret(Conflict):
    """A refusal that carries more members."""

    code = "secret"


class Strict(BaseModel):
    """As all schemas of the house: nothing unknown, nothing converted."""

    model_config = ConfigDict(strict=True, extra="forbid")


class Part(Strict):
    """A part of a thing."""

    sku: Line
    quantity: int = Field(ge=1, le=1000)


class MakeThing(Strict):
    """What a thing is made of."""

    name: Annotated[str, Field(min_length=1, max_length=100, examples=["tea"])]
    parts: list[Part] = Field(default=[], max_length=20)
    share: float | None = None
    owner: UUID | None = Field(None, strict=False)
    anything: Any = None


class ListThings(Strict):
    """Which things."""

    limit: int = Field(10, ge=1, le=50)
    since: str | None = Field(None, validation_alias="from", max_length=20)


class ThingOut(BaseModel):
    """A thing."""

    name: str


@dataclass(frozen=True, slots=True)
class Changed:
    """What is wanted of which thing."""

    thing: UUID
    wanted: MakeThing | None
    match: int | None


class Service:
    """Makes and changes things."""

    def __init__(self) -> None:
        self.made = things.Things()
        self.calls = 0

    def make(self, tx: Transaction, asked: Sequence[Asked[MakeThing]]) -> Sequence[things.Thing | Refusal]:
        self.calls += len(asked)
        return self.made.make(tx, [Asked(one.wanted.name, one.caller, one.at, one.origin) for one in asked])

    def change(self, _tx: Transaction, asked: Sequence[Asked[Changed]]) -> Sequence[Changed | Refusal]:
        self.calls += len(asked)
        return [Stale() if one.wanted.match not in (None, 1) else one.wanted for one in asked]


def changed(thing: Changed) -> Answer:
    return json_answer({"name": thing.wanted.name if thing.wanted else ""}, etag(2))


def _app(
    framework: Framework, edge: Edge, open_edge: Edge, service: Service, checks: Mapping[str, health.Check]
) -> FastAPI:
    app = FastAPI(title="Things")
    # It says the same things, which are defined here.
    from tests.conformance import things_in_flask

    in_fastapi = [_asked(edge), _written(edge, service), _troubles(open_edge)]
    routers = (
        *(in_fastapi if framework == "fastapi" else [things_in_flask.routes(edge, service)]),
        health.routes(open_edge, checks),
        documents.routes(open_edge),
    )
    for router in routers:
        app.router.routes.extend(router.routes)
    documents.describe(app)
    return app


def _written(edge: Edge, service: Service) -> APIRouter:
    router = edge.router("/v1/things", "things")

    @router.post(
        "",
        status_code=201,
        response_model=ThingOut,
        **needs("orders:place", things.NameTaken, things.NameUgly, key=True),
    )
    async def make_thing(wanted: MakeThing, once: Once) -> Answer:
        """Make a thing."""
        return await once(service.make, wanted, answer=things.told)

    @router.patch("/{thing_id}", response_model=ThingOut, **needs("orders:change", Stale))
    async def change_thing(thing_id: UUID, wanted: MakeThing, match: IfMatch, once: Once) -> Answer:
        """Change a thing."""
        return await once(service.change, Changed(thing_id, wanted, match), answer=changed)

    @router.post("/{thing_id}/retirement", response_model=ThingOut, **needs("orders:assign", Stale))
    async def retire_thing(thing_id: UUID, match: IfMatchMaybe, once: Once) -> Answer:
        """Retire a thing."""
        return await once(service.change, Changed(thing_id, None, match), answer=changed)

    return router


def _asked(edge: Edge) -> APIRouter:
    router = edge.router("/v1/things", "things")

    @router.get("", response_model=list[ThingOut], **needs("orders:read"))
    async def list_things(wanted: Annotated[ListThings, Query()], caller: Asker) -> Answer:
        """List things."""
        return json_answer([{"name": f"{wanted.limit} {wanted.since} {caller.role}"}])

    @router.post("/echo", response_model=MakeThing, **needs("orders:read"))
    async def echo(wanted: MakeThing) -> Answer:
        """Say it again."""
        return json_answer(wanted.model_dump(mode="json"))

    @router.get(
        "/{thing_id}",
        response_model=ThingOut,
        responses={304: {"description": "It is still what you have."}},
        **needs("orders:read"),
    )
    async def get_thing(thing_id: UUID, unless: IfNoneMatch) -> Answer:
        """Get a thing."""
        if unless == '"1"':
            return Answer(304, (etag(1),), b"")
        return json_answer({"name": str(thing_id)}, etag(1))

    return router


def _troubles(edge: Edge) -> APIRouter:
    router = edge.router("/v1/troubles", "troubles")

    @router.get("/broken", response_model=ThingOut, **open_to_all("a test"))
    async def break_down() -> Answer:
        """Break."""
        raise RuntimeError(UNSPEAKABLE)

    @router.get("/down", response_model=ThingOut, **open_to_all("a test"))
    async def be_down() -> Answer:
        """Be down."""
        raise DatabaseUnavailable

    @router.get("/told", response_model=ThingOut, **open_to_all("a test", Secret))
    async def tell() -> Answer:
        """Refuse, with more."""
        raise Secret("This one.", allowed=["a", "b"])

    return router


class Api:
    """The things' API, asked one request after the other."""

    def __init__(
        self,
        framework: Framework,
        runner: asyncio.Runner,
        database: Database,
        keys: SigningKeys,
        /,
        *,
        origins: Sequence[str] = (),
        **checks: health.Check,
    ) -> None:
        self.service = Service()
        self.keys = keys
        verifier = Verifier(keys.jwks())
        self.app = _app(framework, Edge(verifier, LIMITS, database), Edge(verifier, LIMITS), self.service, checks)
        self.front = Front(self.app, LIMITS, origins=origins)
        self._runner = runner

    def __call__(
        self, method: str, path: str, *, role: Role | None = "owner", json: Any = None, **more: Any
    ) -> httpx2.Response:
        """Send a request in `role`, or without a token."""
        headers = httpx2.Headers(more.pop("headers", None))
        if role is not None and "authorization" not in headers:
            headers["Authorization"] = f"Bearer {self.token(role)}"
        return self._runner.run(self._sent(method, path, json=json, headers=headers, **more))

    def token(self, role: Role) -> str:
        return self.keys.issue("me", role, minutes=5, customer_id=UUID(THING) if role == "customer" else None)

    async def _sent(self, method: str, path: str, **more: Any) -> httpx2.Response:
        transport = httpx2.ASGITransport(app=self.front, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://things.test") as client:
            return await client.request(method, path, **more)

    def raw(
        self, body: bytes, content_type: str = "application/json", path: str = "/v1/things/echo"
    ) -> httpx2.Response:
        """Post bytes as they are."""
        return self("POST", path, content=body, headers={"Content-Type": content_type})

    def asgi(self, scope: Scope, parts: AsyncIterator[Message]) -> list[Message]:
        """Serve a request message by message; what is read of `parts` is what the edge asked for."""
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def serve() -> None:
            await self.front(scope, lambda: anext(parts), send)

        self._runner.run(serve())
        return sent


@contextmanager
def opened(
    folder: Path, framework: Framework = "fastapi", /, *, origins: Sequence[str] = (), **checks: health.Check
) -> Iterator[Api]:
    """Yield an API of its own, written in `framework`."""
    things.create(folder / "things.sqlite3")
    with asyncio.Runner() as runner:
        opening = things.opened(folder / "things.sqlite3")
        database = runner.run(opening.__aenter__())
        try:
            yield Api(framework, runner, database, SigningKeys.made(folder / "keys"), origins=origins, **checks)
        finally:
            runner.run(opening.__aexit__(None, None, None))


def scope(path: str = "/v1/things/echo", *headers: tuple[bytes, bytes], method: str = "POST", **more: Any) -> Scope:
    """Return what a server tells of a request."""
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "server": ("things.test", 80),
        "client": ("127.0.0.1", 4711),
        "headers": list(headers),
        "state": {},
        **more,
    }
