"""All contexts in one process: one app, one port, and whatever follows the facts beside it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from fastapi import APIRouter, FastAPI

from orderhouse.analytics.wiring import Analytics
from orderhouse.assembly.contexts import Contexts
from orderhouse.assembly.data_folder import made
from orderhouse.assembly.process import settle_down
from orderhouse.kernel import clock
from orderhouse.kernel.errors import Unavailable
from orderhouse.runtime import facts, once
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.database.errors import DatabaseBusy
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.readers import Follower
from orderhouse.runtime.settings import Settings
from orderhouse.runtime.tokens import SigningKeys, Verifier
from orderhouse.runtime.transports.direct import DirectSource
from orderhouse.runtime.web import docs_page, documents, health
from orderhouse.runtime.web.bodies import Limits
from orderhouse.runtime.web.fastapi_edge import Edge
from orderhouse.runtime.web.front import Front

log = structlog.get_logger(__name__)

_TITLE = "Orderhouse"
_FORGET_EVERY_S = 600.0
_HOUR = 3_600_000_000


def app(settings: Settings) -> Front:
    """Return the whole product as one ASGI app; its databases are migrated, and it is the folder's only server."""
    limits = Limits(
        body_bytes=settings.body_bytes,
        header_bytes=settings.header_bytes,
        depth=settings.json_depth,
        digits=settings.json_digits,
    )
    keys = made(settings.data_dir) / "keys"
    verifier = Verifier(SigningKeys.made(keys).jwks(), renewed=lambda: SigningKeys(keys).jwks())
    contexts = Contexts.opened(settings)
    analytics = Analytics.opened(
        settings.data_dir.resolve() / "analytics.duckdb",
        DirectSource(contexts.orders.database),
        time_zone=settings.time_zone,
        memory_mb=settings.analytics_memory_mb,
        threads=settings.analytics_threads,
    )

    def edge(database: Database | None = None) -> Edge:
        return Edge(verifier, limits, database)

    followers = {
        "orders of customers": Follower(DirectSource(contexts.customers.database), contexts.orders.customer_reader()),
        "analytics of orders": analytics.follower,
    }
    lifespan = _lifespan(contexts, analytics, followers, settings)
    fastapi = FastAPI(title=_TITLE, lifespan=lifespan, docs_url=None, redoc_url=None)
    routers: list[APIRouter] = [
        contexts.orders.routes(edge, contexts.customers.directory),
        contexts.customers.routes(edge),
        contexts.users.routes(edge, contexts.customers.directory, threads=settings.flask_threads),
        analytics.routes(edge(), contexts.customers.directory),
        health.routes(edge(), _checks(contexts, followers)),
        documents.routes(edge()),
        docs_page.routes(edge()),
    ]
    for router in routers:
        # Added as they are: an included router would be matched twice for every request.
        fastapi.router.routes.extend(router.routes)
    documents.describe(fastapi)
    return Front(fastapi, limits)


def _checks(contexts: Contexts, followers: dict[str, Follower]) -> dict[str, Callable[[], Awaitable[object]]]:
    async def going_on() -> None:
        for follower in followers.values():
            if follower.trouble:
                raise RuntimeError

    checks: dict[str, Callable[[], Awaitable[object]]] = {
        f"{database.name} database": lambda database=database: _usable(database)  # type: ignore[misc]  # bound now
        for database in contexts.databases
    }
    return {**checks, "readers": going_on}


async def _usable(database: Database) -> None:
    """Ask, and write nothing: a database that can only be read serves no one who wants something done."""
    await database.read(facts.head)
    with suppress(DatabaseBusy):  # Who has much to do is not down.
        await database.write(_nothing, None)


def _nothing(tx: Transaction, asked: Sequence[None]) -> Sequence[None]:
    tx.row("SELECT 1")
    return asked


def _lifespan(
    contexts: Contexts, analytics: Analytics, followers: dict[str, Follower], settings: Settings
) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await _welcome_first_owner(contexts, settings)
        tasks = [asyncio.create_task(follower.run(), name=name) for name, follower in followers.items()]
        tasks.append(asyncio.create_task(_forget(contexts, settings), name="forget answers"))
        settle_down()
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await analytics.close()
            await contexts.close()

    return lifespan


async def _welcome_first_owner(contexts: Contexts, settings: Settings) -> None:
    """Make the first owner where there is nobody; a database that is away keeps nobody from starting."""
    try:
        owner = await contexts.users.first_owner(settings.owner_email)
    except Unavailable as refusal:
        log.warning("first_owner_not_made", refused=refusal.code)
        return
    if owner is not None:
        log.info("first_owner_made", user_id=str(owner))


async def _forget(contexts: Contexts, settings: Settings) -> None:
    """Forget answers that are older than they are kept, a few at a time."""
    while True:
        before = clock.now() - settings.keep_answers_hours * _HOUR
        for database in contexts.databases:
            try:
                while await database.write(_forget_some, before):
                    pass
            except Exception as error:  # noqa: BLE001 - housekeeping is tried again, whatever kept it from going on
                log.warning("answers_not_forgotten", database=database.name, error=type(error).__name__)
        await asyncio.sleep(_FORGET_EVERY_S)


def _forget_some(tx: Transaction, asked: Sequence[int]) -> Sequence[int]:
    return [once.forget(tx, before) for before in asked]
