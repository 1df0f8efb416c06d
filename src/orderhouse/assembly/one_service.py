"""One context alone: its own port, its own database, and its neighbours over HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from fastapi import APIRouter, FastAPI

from orderhouse.assembly import huge_pages, signing_in
from orderhouse.assembly.front_door import behind, forget, limits_of, usable, verifier_of
from orderhouse.assembly.places import SCHEMAS, place_of
from orderhouse.assembly.process import settle_down
from orderhouse.auth.wiring import Auth, opened_database
from orderhouse.customers.client import HttpCustomers
from orderhouse.customers.wiring import Customers
from orderhouse.kernel.errors import Invalid, Unavailable
from orderhouse.runtime import migrate as migrations
from orderhouse.runtime.calls import Neighbour
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.refused import Keep, Recorder, Refused
from orderhouse.runtime.revocations import Revoked, Source, follow
from orderhouse.runtime.settings import Settings, SettingsInvalid
from orderhouse.runtime.tokens import SigningKeys, follow_keys
from orderhouse.runtime.web import docs_page, documents, health, metrics
from orderhouse.runtime.web.fastapi_edge import Edge
from orderhouse.runtime.web.front import Front
from orderhouse.tasks.wiring import Tasks
from orderhouse.users.client import HttpPeople
from orderhouse.users.wiring import Users

log = structlog.get_logger(__name__)

_TOKEN_MINUTES = 5.0
_RENEWED_BEFORE_S = 60.0

ByDatabase = Callable[[Database], Edge]


class NoSuchService(Invalid):
    """There is no service of that name."""

    code = "no_such_service"


@dataclass(frozen=True, slots=True)
class Service:
    """A context that can be served alone: its database, its routes, and what it does before the first request."""

    database: Database
    router: APIRouter
    begin: Callable[[], Coroutine[Any, Any, object]] | None = None
    auth: Auth | None = None
    beside: Callable[[], Coroutine[Any, Any, None]] | None = None
    """What runs for as long as it is served."""


def _customers(settings: Settings, edge: ByDatabase) -> Service:
    customers = Customers.opened(place_of("customers", settings), bound=settings.write_queue)
    return Service(customers.database, customers.routes(edge))


def _users(settings: Settings, edge: ByDatabase) -> Service:
    users = Users.opened(place_of("users", settings), bound=settings.write_queue)
    lookup = HttpCustomers(neighbour("customers", settings, settings.customers_url)) if settings.customers_url else None
    router = users.routes(edge, lookup, threads=settings.flask_threads)
    return Service(users.database, router, lambda: users.welcome_first_owner(settings.owner_email))


def _tasks(settings: Settings, edge: ByDatabase) -> Service:
    tasks = Tasks.opened(place_of("tasks", settings), time_zone=settings.time_zone, bound=settings.write_queue)
    return Service(tasks.database, tasks.routes(edge), beside=tasks.timekeeper().run)


def _auth(settings: Settings, edge: ByDatabase) -> Service:
    if not settings.users_url:
        raise SettingsInvalid("ORDERHOUSE_USERS_URL: auth asks users who somebody is")
    people = HttpPeople(neighbour("users", settings, settings.users_url))
    database = opened_database(place_of("auth", settings), bound=settings.write_queue)
    auth = signing_in.opened(settings, database, people)
    let_in = signing_in.FirstOwner(auth, settings, None)

    async def begin() -> None:
        try:
            owner = await asyncio.to_thread(people.by_email, settings.owner_email)
            if owner is not None and owner.active and owner.role == "owner":
                await let_in(owner.id)
        except Unavailable as refusal:
            # It keeps nobody from starting; the next start tries again.
            log.warning("first_owner_not_welcomed", refused=refusal.code)

    return Service(auth.database, auth.routes(edge, threads=settings.flask_threads), begin, auth)


SERVICES: dict[str, Callable[[Settings, ByDatabase], Service]] = {
    "customers": _customers,
    "tasks": _tasks,
    "users": _users,
    "auth": _auth,
}
"""What can be served alone. Who follows a neighbour's facts needs a transport between processes, and is not here."""


def app(name: str, settings: Settings) -> Front:
    """Return the context `name` as an ASGI app of its own; its database is migrated."""
    check(name)
    verifier, limits = verifier_of(settings), limits_of(settings)

    def edge(database: Database | None = None) -> Edge:
        return Edge(verifier, limits, database)

    service = SERVICES[name](settings, edge)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        if service.begin is not None:
            await service.begin()
        running = [asyncio.create_task(forget([service.database], settings, service.auth), name="forget answers")]
        if source := _revoked(service, settings):
            running.append(asyncio.create_task(follow(verifier.revocations, source), name="revocations"))
        running.append(asyncio.create_task(follow_keys(verifier), name="keys"))
        if recorder is not None:
            running.append(asyncio.create_task(recorder.run(), name="refusals"))
        if service.beside is not None:
            running.append(asyncio.create_task(service.beside(), name=name))
        if settings.huge_pages:
            running.append(asyncio.create_task(huge_pages.keep_asking(), name="huge pages"))
        settle_down()
        try:
            yield
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await service.database.close()
            if service.auth is not None:
                service.auth.close()

    recorder = Recorder(keep) if (keep := _refused(service, settings)) else None
    fastapi = FastAPI(title=f"Orderhouse {name}", lifespan=lifespan, docs_url=None, redoc_url=None)
    routers = [
        service.router,
        health.routes(edge(), {f"{name} database": usable(service.database)}),
        metrics.routes(edge(), (), [service.database]),
        documents.routes(edge()),
        docs_page.routes(edge()),
    ]
    return behind(fastapi, routers, settings, recorder)


def _revoked(service: Service, settings: Settings) -> Source | None:
    """Return where it is told which tokens are not good any more: here, or where auth is."""
    if service.auth is not None:
        return service.auth.revoked
    if not settings.auth_url:
        return None
    there = signing_in.RevokedThere(neighbour("auth", settings, settings.auth_url))

    async def asked(after: UUID | None) -> Iterable[Revoked]:
        return await asyncio.to_thread(there, after)

    return asked


def _refused(service: Service, settings: Settings) -> Keep | None:
    """Return where the audit log is kept: here, or where auth is; None where nobody said where that is."""
    if service.auth is not None:
        return service.auth.keep_refused
    if not settings.auth_url:
        return None
    there = signing_in.AuditLogThere(neighbour("auth", settings, settings.auth_url))

    async def keep(refused: Sequence[Refused]) -> None:
        await asyncio.to_thread(there, refused)

    return keep


def check(name: str) -> None:
    """Raise NoSuchService unless `name` can be served alone."""
    if name not in SERVICES:
        raise NoSuchService(f"What can be served alone: {', '.join(sorted(SERVICES))}.")


def migrate(name: str, settings: Settings) -> None:
    """Bring the database of `name` to the schema this version needs."""
    migrations.migrate(SCHEMAS[name], place_of(name, settings))


def neighbour(name: str, settings: Settings, url: str) -> Neighbour:
    """Return the service `name` at `url`, asked with a token of role service."""
    return Neighbour(name, url, ServiceToken(settings), deadline_s=settings.neighbour_ms / 1000)


class ServiceToken:
    """A short token of role service, made with the keys of the house and made anew before it expires."""

    def __init__(self, settings: Settings) -> None:
        """Sign with the newest key there is at that time."""
        self._folder = settings.keys_folder
        self._token = ""
        self._good_until = 0.0

    def __call__(self) -> str:
        """Return a token that is good for a minute at least."""
        if time.monotonic() > self._good_until:
            self._token = SigningKeys(self._folder).issue("service", "service", minutes=_TOKEN_MINUTES)
            self._good_until = time.monotonic() + _TOKEN_MINUTES * 60 - _RENEWED_BEFORE_S
        return self._token
