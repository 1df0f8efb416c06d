"""The auth context over a real, migrated database, asked as its routes ask it: from threads that block."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

import httpx2
from fastapi import FastAPI

from orderhouse.auth.mail import Mail
from orderhouse.auth.outside import OutsideProvider
from orderhouse.auth.passwords import Hasher
from orderhouse.auth.schemas.sessions import SignIn
from orderhouse.auth.sealing import Sealer
from orderhouse.auth.service.asking import FIRST_PARTY, NOBODY, Where
from orderhouse.auth.service.sessions import Given, RefreshWith
from orderhouse.auth.service.sign_ins import SignInFrom
from orderhouse.auth.wiring import Auth, opened_database
from orderhouse.kernel import clock
from orderhouse.kernel.errors import Unavailable
from orderhouse.kernel.events import Origin
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import Principal, permissions_of
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.database.sql import Row
from orderhouse.runtime.once import Asked
from orderhouse.runtime.revocations import Revocations
from orderhouse.runtime.tokens import ISSUER, SigningKeys, Verifier
from orderhouse.runtime.web import documents
from orderhouse.runtime.web.bodies import Limits
from orderhouse.runtime.web.fastapi_edge import Edge
from orderhouse.runtime.web.front import Front
from orderhouse.users.contract import Person
from tests.fakes import FakePeople

R = TypeVar("R")
W = TypeVar("W")

ADA, PASSWORD = "ada@example.com", "correct horse battery staple"
HERE = Where("192.0.2.7", "Ada's laptop")
QUICK = {"memory_kib": 64, "passes": 1, "waiting": 200}
"""Hashes that take a tenth of a millisecond: where a test is not about their cost."""


class Crowd(FakePeople):
    """Users that can be added, changed, and away."""

    down = False

    def by_id(self, user_id: UUID) -> Person | None:
        self._up()
        return super().by_id(user_id)

    def by_email(self, email: str) -> Person | None:
        self._up()
        return super().by_email(email)

    def add(self, user_id: UUID, email: str, role: str) -> Person:
        """Add somebody whose address is verified."""
        self.sign_up(user_id=user_id, email=email, name="Ada")
        return self.become(user_id, role=role, permissions=permissions_of(role), email_verified=True)

    def become(self, user_id: UUID, **what: Any) -> Person:
        """Let somebody be another from now on."""
        self.people[user_id] = changed = replace(self.people[user_id], **what)
        return changed

    def _up(self) -> None:
        if self.down:
            raise Unavailable


class Letters:
    """A sender that keeps what it was to send."""

    def __init__(self) -> None:
        self.sent: list[Mail] = []
        self._came = threading.Condition()

    def send(self, mail: Mail) -> None:
        with self._came:
            self.sent.append(mail)
            self._came.notify_all()

    def token(self, count: int = 1) -> str:
        """Return the token in the letter of this number, once it is there."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.sent) >= count, timeout=5), "no letter came"
            return next(word for word in self.sent[count - 1].text.split() if word.startswith("oh"))


class World:
    """The context, and somebody who asks it."""

    def __init__(self, auth: Auth, people: Crowd, letters: Letters, verifier: Verifier) -> None:
        self.auth = auth
        self.people = people
        self.letters = letters
        self.verifier = verifier
        self._threads = ThreadPoolExecutor(64)
        self.later = 0
        """How many microseconds later than now everything is asked."""

    def asked(self, wanted: W, caller: Principal = NOBODY) -> Asked[W]:
        return Asked(wanted, caller, clock.now() + self.later, Origin(caller.subject, "request-1"))

    async def do(self, act: Callable[[Asked[W]], R], wanted: W, caller: Principal = NOBODY) -> R:
        """Let a thread ask."""
        asked = self.asked(wanted, caller)
        return await asyncio.get_running_loop().run_in_executor(self._threads, act, asked)

    async def somebody(self, email: str = ADA, role: str = "clerk", password: str = PASSWORD) -> Person:
        """Return somebody with a password."""
        person = self.people.add(new_id(), email, role)
        await self.do(lambda asked: self.auth.accounts.give_once(asked, "once and only once"), person.id)
        await self.signs_in(email, "once and only once", new_password=password)
        return person

    async def signs_in(self, email: str = ADA, password: str = PASSWORD, *, where: Where = HERE, **more: Any) -> Given:
        wanted = SignIn(email=email, password=password, **more)
        return await self.do(self.auth.sign_ins.sign_in, SignInFrom(wanted, where))

    async def refreshes(self, token: str, key: str | None = None, client: str = FIRST_PARTY) -> Given:
        return await self.do(self.auth.sessions.refresh, RefreshWith(token, client, key))

    def caller(self, given: Given) -> Principal:
        """Return whose access token it is."""
        return self.verifier.verify(given.access_token)

    async def follow(self) -> None:
        """Let the verifier know what was revoked by now."""
        revocations = self.verifier.revocations
        revocations.take(await self.auth.revoked(revocations.latest))

    async def rows(self, sql: str, **values: object) -> list[Row]:
        return list(await self.auth.database.read(lambda reading: reading.rows(sql, **values)))

    async def rows_written(self, sql: str) -> None:
        """Change what is kept behind everybody's back."""
        await self.auth.database.write(lambda tx, asked: [tx.run(one) for one in asked], sql)

    async def audited(self) -> list[str]:
        """Return what the audit log says was done, in order."""
        return [row[0] for row in await self.rows("SELECT action FROM audit ORDER BY id")]

    def close(self) -> None:
        self._threads.shutdown()


@asynccontextmanager
async def opened(
    place: Place, folder: Path, *, issuer: str = ISSUER, outside: OutsideProvider | None = None, **hasher: int
) -> AsyncIterator[World]:
    people, letters = Crowd(), Letters()
    keys = SigningKeys.made(folder / "keys")
    auth = Auth.opened(
        opened_database(place),
        people,
        lambda: keys,
        sender=letters,
        sealer=Sealer(b"a secret of thirty-two characters"),
        hasher=Hasher(**(hasher or QUICK)),
        issuer=issuer,
        outside=outside,
    )
    auth.bridge.enter()
    world = World(auth, people, letters, Verifier(keys.jwks(), revocations=Revocations()))
    try:
        yield world
    finally:
        await auth.database.close()
        auth.close()
        world.close()


class Api:
    """Auth's routes as a caller sees them, who asks from an address of documentation's."""

    def __init__(self, world: World, keys: SigningKeys, limits: Limits | None = None) -> None:
        self.world = world
        self.keys = keys
        app = FastAPI()
        edge = Edge(world.verifier, limits or Limits(), world.auth.database)
        app.router.routes.extend([*world.auth.routes(lambda _: edge).routes, *documents.routes(edge).routes])
        documents.describe(app)
        self.openapi: dict[str, Any] = app.openapi()
        transport = httpx2.ASGITransport(app=Front(app, Limits()), client=("192.0.2.7", 4711))
        self._client = httpx2.AsyncClient(transport=transport, base_url="http://orderhouse.test")

    async def __call__(
        self, method: str, path: str, json: Any = None, *, token: str | None = None, **headers: str
    ) -> httpx2.Response:
        """Send a request, by `token` if there is one."""
        sent = {"Authorization": f"Bearer {token}"} if token else {}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self._client.request(method, path, json=json, headers=sent)

    async def form(
        self, path: str, form: dict[str, str], *, token: str | None = None, authorization: str = ""
    ) -> httpx2.Response:
        """Post a form, by `token` or another authorization if there is one."""
        said = f"Bearer {token}" if token else authorization
        sent = {"Authorization": said} if said else {}
        content = urlencode(form).encode()
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self._client.post(path, content=content, headers={**kind, **sent})

    async def signs_in(self, email: str = ADA, password: str = PASSWORD, **more: Any) -> dict[str, Any]:
        answer = await self("POST", "/v1/auth/sessions", {"email": email, "password": password, **more})
        assert answer.status_code == 201, answer.text
        given: dict[str, Any] = answer.json()
        return given


@asynccontextmanager
async def served(
    place: Place, folder: Path, *, issuer: str = ISSUER, outside: OutsideProvider | None = None, **hasher: int
) -> AsyncIterator[Api]:
    async with opened(place, folder, issuer=issuer, outside=outside, **hasher) as world:
        yield Api(world, SigningKeys.made(folder / "keys"))


def code(answer: httpx2.Response) -> tuple[int, str]:
    """Return status and code of a refusal."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")
