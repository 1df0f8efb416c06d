"""The customers context over a real, migrated database, and over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx2
from fastapi import FastAPI

from orderhouse.customers.models import CustomerState
from orderhouse.customers.schemas import AddCustomer
from orderhouse.customers.wiring import Customers
from orderhouse.kernel import clock
from orderhouse.kernel.errors import Refusal
from orderhouse.kernel.events import Fact, Origin
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import Principal, Role
from orderhouse.runtime import facts
from orderhouse.runtime.database.database import Database, Place
from orderhouse.runtime.once import Asked
from orderhouse.runtime.tokens import SigningKeys, Verifier
from orderhouse.runtime.web.bodies import Limits
from orderhouse.runtime.web.fastapi_edge import Edge
from orderhouse.runtime.web.front import Front

W = TypeVar("W")

CLERK = Principal("clerk-7", "clerk")


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[Customers]:
    customers = Customers.opened(place)
    try:
        yield customers
    finally:
        await customers.database.close()


def asked(wanted: W, *, caller: Principal = CLERK) -> Asked[W]:
    return Asked(wanted, caller, clock.now(), Origin(caller.subject, "request-1"))


async def added(customers: Customers, name: str = "Ada", **more: str) -> CustomerState:
    wanted = AddCustomer.model_validate({"name": name, **more})
    outcome: CustomerState = await customers.database.write(customers.service.add, asked(wanted))
    return outcome


async def added_all(customers: Customers, wanted: Sequence[AddCustomer]) -> list[CustomerState | Refusal]:
    return await customers.database.write_many(customers.service.add, [asked(one) for one in wanted])


async def told(database: Database) -> list[Fact]:
    return await database.read(facts.read, 0, 100_000)


async def counted(database: Database) -> int:
    found = await database.read(lambda reading: reading.rows("SELECT count(*) FROM customers"))
    return int(found[0][0])


class Api:
    """The customers' routes as a caller sees them."""

    def __init__(self, customers: Customers, keys: SigningKeys) -> None:
        app = FastAPI()
        app.include_router(customers.routes(lambda database: Edge(Verifier(keys.jwks()), Limits(), database)))
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
        role: Role | None = "clerk",
        customer: UUID | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx2.Response:
        """Send a request in `role`, with a fresh Idempotency-Key unless one is given; no role is no token."""
        sent = {"Idempotency-Key": str(new_id())} if method == "POST" else {}
        if role is not None:
            sent["Authorization"] = f"Bearer {self._keys.issue('me', role, minutes=5, customer_id=customer)}"
        sent.update(headers or {})
        return await self._client.request(method, path, json=json, headers=sent)

    async def add(self, name: str = "Ada", **more: Any) -> dict[str, Any]:
        """Return a customer that was added."""
        answer = await self("POST", "/v1/customers", {"name": name, **more})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made


@asynccontextmanager
async def served(place: Place, folder: Path) -> AsyncIterator[Api]:
    async with opened(place) as customers:
        yield Api(customers, SigningKeys.made(folder / "keys"))


async def together(times: int, act: Callable[[int], Any]) -> list[Any]:
    """Return what `act` comes to, that many times at once."""
    return list(await asyncio.gather(*(act(number) for number in range(times)), return_exceptions=True))
