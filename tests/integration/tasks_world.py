"""The tasks context over a real, migrated database, and over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx2
from fastapi import FastAPI

from orderhouse.kernel import clock
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
from orderhouse.tasks.models.tasks import TaskState
from orderhouse.tasks.schemas.tasks import AddTask
from orderhouse.tasks.wiring import Tasks

W = TypeVar("W")

CLERK = Principal("clerk-7", "clerk")
SHOP = "Europe/London"


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[Tasks]:
    tasks = Tasks.opened(place, time_zone=SHOP)
    try:
        yield tasks
    finally:
        await tasks.database.close()


def asked(wanted: W, *, caller: Principal = CLERK) -> Asked[W]:
    return Asked(wanted, caller, clock.now(), Origin(caller.subject, "request-1"))


async def added(tasks: Tasks, title: str = "Call Ada", **more: Any) -> TaskState:
    wanted = AddTask.model_validate({"title": title, **more})
    return await tasks.database.write(tasks.service.add, asked(wanted))


async def told(database: Database) -> list[Fact]:
    return await database.read(facts.read, 0, 100_000)


class Api:
    """The tasks' routes as a caller sees them."""

    def __init__(self, tasks: Tasks, keys: SigningKeys) -> None:
        self.tasks = tasks
        app = FastAPI()
        app.include_router(tasks.routes(lambda database: Edge(Verifier(keys.jwks()), Limits(), database)))
        self._keys = keys
        transport = httpx2.ASGITransport(app=Front(app, Limits()))
        self._client = httpx2.AsyncClient(transport=transport, base_url="http://orderhouse.test")

    async def __call__(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        role: Role = "clerk",
        subject: str = "clerk-7",
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> httpx2.Response:
        """Send a request in `role`, with a fresh Idempotency-Key unless one is given."""
        sent = {"Idempotency-Key": str(new_id())} if method == "POST" else {}
        customer = new_id() if role == "customer" else None
        sent["Authorization"] = f"Bearer {self._keys.issue(subject, role, minutes=5, customer_id=customer)}"
        sent.update(headers or {})
        return await self._client.request(method, path, json=json, headers=sent, **more)

    async def made(self, path: str, json: Any, **who: Any) -> dict[str, Any]:
        answer = await self("POST", path, json, **who)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def task(self, title: str = "Call Ada", **more: Any) -> dict[str, Any]:
        """Return a task that was added."""
        return await self.made("/v1/tasks", {"title": title, **more})

    async def changed(self, task: dict[str, Any], **said: Any) -> dict[str, Any]:
        """Return a task after a change at the version it is known in."""
        answer = await self("PATCH", task["links"]["self"], said, headers={"If-Match": f'"{task["version"]}"'})
        assert answer.status_code == 200, answer.text
        changed: dict[str, Any] = answer.json()
        return changed


@asynccontextmanager
async def served(place: Place, folder: Path) -> AsyncIterator[Api]:
    async with opened(place) as tasks:
        yield Api(tasks, SigningKeys.made(folder / "keys"))


def code(answer: httpx2.Response) -> tuple[int, str]:
    """Return status and code of a refusal."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


async def together(times: int, act: Any) -> list[Any]:
    """Return what `act` comes to, that many times at once."""
    return list(await asyncio.gather(*(act(number) for number in range(times)), return_exceptions=True))
