"""The users context over a real, migrated database, and over HTTP; customers beside it as a fake with behaviour."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx2
from fastapi import FastAPI

from orderhouse.customers.contract import CustomerCard
from orderhouse.kernel import clock
from orderhouse.kernel.email import email_key
from orderhouse.kernel.events import Fact, Origin
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import Principal, Role
from orderhouse.runtime import facts
from orderhouse.runtime.database.database import Database, Place
from orderhouse.runtime.once import Asked
from orderhouse.runtime.tokens import SigningKeys, Verifier
from orderhouse.runtime.web import documents
from orderhouse.runtime.web.bodies import Limits
from orderhouse.runtime.web.fastapi_edge import Edge
from orderhouse.runtime.web.front import Front
from orderhouse.users.models import UserState
from orderhouse.users.schemas import AddUser
from orderhouse.users.wiring import Users

W = TypeVar("W")

OWNER = Principal("boss", "owner")


class FakeCustomers:
    """Customers by their addresses."""

    def __init__(self) -> None:
        self.records: dict[str, CustomerCard] = {}

    def add(self, email: str) -> UUID:
        card = CustomerCard(new_id(), None, "Ada", None, active=True, version=1)
        self.records[email_key(email)] = card
        return card.id

    async def cards(self, ids: Collection[UUID]) -> Mapping[UUID, CustomerCard]:
        return {card.id: card for card in self.records.values() if card.id in ids}

    async def with_email(self, email: str) -> CustomerCard | None:
        return self.records.get(email_key(email))


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[Users]:
    users = Users.opened(place)
    users.bridge.enter()
    try:
        yield users
    finally:
        await users.database.close()


def asked(wanted: W, *, caller: Principal = OWNER) -> Asked[W]:
    return Asked(wanted, caller, clock.now(), Origin(caller.subject, "request-1"))


async def added(users: Users, email: str = "ada@example.com", name: str = "Ada", role: str = "clerk") -> UserState:
    return await users.database.write(users.service.add, asked(AddUser(email=email, name=name, role=role)))


async def told(database: Database) -> list[Fact]:
    return await database.read(facts.read, 0, 100_000)


async def facts_of(database: Database) -> list[str]:
    return [fact.name for fact in await told(database)]


class Api:
    """The users' routes as a caller sees them."""

    def __init__(self, users: Users, keys: SigningKeys) -> None:
        self.users = users
        self.customers = FakeCustomers()
        app = FastAPI()
        edge = Edge(Verifier(keys.jwks()), Limits(), users.database)
        routes = users.routes(lambda _: edge, self.customers, threads=4)
        app.router.routes.extend([*routes.routes, *documents.routes(edge).routes])
        documents.describe(app)
        self.openapi: dict[str, Any] = app.openapi()
        self._keys = keys
        transport = httpx2.ASGITransport(app=Front(app, Limits()))
        self._client = httpx2.AsyncClient(transport=transport, base_url="http://orderhouse.test")

    async def __call__(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        role: Role | None = "owner",
        subject: str = "me",
        headers: dict[str, str] | None = None,
    ) -> httpx2.Response:
        """Send a request in `role`, with a fresh Idempotency-Key unless one is given; no role is no token."""
        sent = {"Idempotency-Key": str(new_id())} if method == "POST" else {}
        if role is not None:
            customer = new_id() if role == "customer" else None
            sent["Authorization"] = f"Bearer {self._keys.issue(subject, role, minutes=5, customer_id=customer)}"
        sent.update(headers or {})
        return await self._client.request(method, path, json=json, headers=sent)

    async def made(self, path: str, json: Any) -> dict[str, Any]:
        answer = await self("POST", path, json)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def user(self, name: str = "Ada", role: str = "clerk", **more: Any) -> dict[str, Any]:
        """Return a user who was added."""
        email = more.pop("email", f"{name.lower().replace(' ', '.')}@example.com")
        return await self.made("/v1/users", {"email": email, "name": name, "role": role, **more})


@asynccontextmanager
async def served(place: Place, folder: Path) -> AsyncIterator[Api]:
    async with opened(place) as users:
        yield Api(users, SigningKeys.made(folder / "keys"))


def code(answer: httpx2.Response) -> tuple[int, str]:
    """Return status and code of a refusal."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


async def together(times: int, act: Any) -> list[Any]:
    """Return what `act` comes to, that many times at once."""
    return list(await asyncio.gather(*(act(number) for number in range(times)), return_exceptions=True))
