"""All contexts in one process: one app, one port, and whatever follows the facts beside it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI

from orderhouse.analytics.wiring import Analytics
from orderhouse.assembly import huge_pages, signing_in
from orderhouse.assembly.contexts import Contexts
from orderhouse.assembly.facts import REGISTRY, asyncapi
from orderhouse.assembly.front_door import behind, forget, limits_of, usable, verifier_of
from orderhouse.assembly.neighbours import of_server
from orderhouse.assembly.process import settle_down
from orderhouse.assembly.subscribers import LettersForTasks, kept_in_databases
from orderhouse.auth.wiring import Auth
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.dead_letters import DeadLetters
from orderhouse.runtime.readers import Follower
from orderhouse.runtime.refused import Recorder
from orderhouse.runtime.revocations import follow
from orderhouse.runtime.settings import Settings
from orderhouse.runtime.subscribers import Subscriber
from orderhouse.runtime.tokens import Verifier, follow_keys
from orderhouse.runtime.transports.direct import DirectSource
from orderhouse.runtime.web import dead_letters, docs_page, documents, health, metrics
from orderhouse.runtime.web import facts as web_facts
from orderhouse.runtime.web import readers as web_readers
from orderhouse.runtime.web.fastapi_edge import Edge
from orderhouse.runtime.web.front import Front
from orderhouse.tasks.timekeeper import Timekeeper

_TITLE = "Orderhouse"


def app(settings: Settings, tell_password: Callable[[str], None] | None = None) -> Front:
    """Return the whole product as one ASGI app; its databases are migrated, and it is the folder's only server.

    The password the first owner comes in with once is told `tell_password`, or left in a file.
    """
    limits, verifier = limits_of(settings), verifier_of(settings)
    contexts = Contexts.opened(settings)
    analytics = Analytics.opened(
        settings.data_dir.resolve() / "analytics.duckdb",
        DirectSource(contexts.orders.database),
        time_zone=settings.time_zone,
        memory_mb=settings.analytics_memory_mb,
        threads=settings.analytics_threads,
    )

    auth = signing_in.opened(settings, contexts.auth, contexts.users.people(contexts.customers.directory))
    recorder = Recorder(auth.keep_refused)

    def edge(database: Database | None = None) -> Edge:
        return Edge(verifier, limits, database)

    subscribers = [
        *kept_in_databases(contexts),
        Subscriber(contexts.orders.database, REGISTRY.of("orders"), analytics.sink, analytics.follower),
    ]
    followers = {one.name: one.follower for one in subscribers if one.follower}
    letters = DeadLetters(subscribers)
    timekeeper = contexts.tasks.timekeeper(LettersForTasks(letters))
    let_in = signing_in.FirstOwner(auth, settings, tell_password)
    lifespan = _lifespan(contexts, analytics, auth, verifier, followers, timekeeper, settings, let_in, recorder)
    fastapi = FastAPI(title=_TITLE, lifespan=lifespan, docs_url=None, redoc_url=None)
    routers: list[APIRouter] = [
        contexts.orders.routes(edge, contexts.customers.directory),
        contexts.customers.routes(edge),
        *contexts.jobs.routes(edge),
        contexts.users.routes(edge, contexts.customers.directory, threads=settings.flask_threads),
        contexts.tasks.routes(edge),
        auth.routes(edge, threads=settings.flask_threads),
        analytics.routes(edge(), contexts.customers.directory),
        dead_letters.routes(edge(), letters),
        web_readers.routes(edge(), subscribers),
        metrics.routes(edge(), subscribers, contexts.databases),
        web_facts.routes(edge(), REGISTRY, {one.name: one for one in contexts.databases}, asyncapi),
        health.routes(edge(), _checks(contexts.databases, followers)),
        documents.routes(edge()),
        docs_page.routes(edge()),
    ]
    return behind(fastapi, routers, settings, recorder)


def _checks(
    databases: Sequence[Database], followers: dict[str, Follower]
) -> dict[str, Callable[[], Awaitable[object]]]:
    async def going_on() -> None:
        for follower in followers.values():
            if follower.trouble:
                raise RuntimeError

    checks = {f"{database.name} database": usable(database) for database in databases}
    return {**checks, "readers": going_on}


def _lifespan(
    contexts: Contexts,
    analytics: Analytics,
    auth: Auth,
    verifier: Verifier,
    followers: dict[str, Follower],
    timekeeper: Timekeeper,
    settings: Settings,
    let_in: signing_in.FirstOwner,
    recorder: Recorder,
) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        # Whoever is asked first may need the other: neither waits for a request of its own.
        contexts.users.bridge.enter()
        auth.bridge.enter()
        await contexts.users.welcome_first_owner(settings.owner_email, let_in)
        tasks = [asyncio.create_task(follower.run(), name=name) for name, follower in followers.items()]
        worker = contexts.jobs.worker(
            settings.data_dir.resolve() / "jobs",
            of_server(contexts, analytics),
            threads=settings.job_threads,
            lease_s=settings.job_lease_s,
        )
        tasks.append(asyncio.create_task(worker.run(), name="worker"))
        tasks.append(asyncio.create_task(timekeeper.run(), name="timekeeper"))
        housekeeping = forget(contexts.databases, settings, auth)
        tasks.append(asyncio.create_task(housekeeping, name="forget answers"))
        tasks.append(asyncio.create_task(follow(verifier.revocations, auth.revoked), name="revocations"))
        tasks.append(asyncio.create_task(follow_keys(verifier), name="keys"))
        tasks.append(asyncio.create_task(recorder.run(), name="refusals"))
        if settings.huge_pages:
            tasks.append(asyncio.create_task(huge_pages.keep_asking(), name="huge pages"))
        settle_down()
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await analytics.close()
            await contexts.close()
            auth.close()

    return lifespan
