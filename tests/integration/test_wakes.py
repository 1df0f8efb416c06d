"""Waking up: facts have their effects at once, whoever told them, and nobody's commit is slower for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any
from uuid import uuid4

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import psycopg
import pytest

from orderhouse.jobs.wiring import SCHEMA as JOBS
from orderhouse.runtime import migrate
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.database.postgres import PostgresPlace, address_of
from orderhouse.runtime.database.wakes import PostgresWakes
from orderhouse.runtime.readers import DatabaseSink, Follower
from orderhouse.runtime.transports.direct import DirectSource
from tests.integration import jobs_world, things
from tests.integration.test_readers import Growing, make, sizes
from tests.integration.things import opened

pytestmark = pytest.mark.anyio

NEVER_S = 3600.0


@pytest.fixture
def place(postgres_url: str) -> PostgresPlace:
    """An empty database with the tables of `things`, on PostgreSQL: nothing else tells other processes."""
    where = PostgresPlace(postgres_url, f"things_{uuid4().hex[:12]}")
    things.create(where)
    return where


@asynccontextmanager
async def followed(database: Database, look_every_s: float, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Have a reader follow `database`, that looks by itself so often and no oftener."""
    monkeypatch.setattr(Follower, "POLL_S", look_every_s)
    follower = Follower(DirectSource(database), DatabaseSink("r", database, Growing().effect))
    running = asyncio.create_task(follower.run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def grown(database: Database, *names: str) -> None:
    """Wait until every one of `names` has grown."""
    async with asyncio.timeout(10):
        while await sizes(database) != dict.fromkeys(names, 2):
            await asyncio.sleep(0.005)


def listening(place: PostgresPlace) -> list[int]:
    with psycopg.connect(place.url) as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = %s", (f"orderhouse {place.schema} wakes",)
        ).fetchall()
    return [row[0] for row in found]


async def test_what_another_process_told_is_heard_without_a_look(
    place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(place) as database, opened(place) as elsewhere, followed(database, NEVER_S, monkeypatch):
        for n in range(1, 6):
            await make(elsewhere, f"t{n}")
            await grown(database, *(f"t{m}" for m in range(1, n + 1)))


async def test_a_connection_that_is_lost_is_made_anew_and_what_was_told_meanwhile_is_seen(
    place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(place) as database, opened(place) as elsewhere, followed(database, NEVER_S, monkeypatch):
        await make(elsewhere, "tea")
        await grown(database, "tea")
        with psycopg.connect(place.url, autocommit=True) as killer:
            for pid in listening(place):
                killer.execute("SELECT pg_terminate_backend(%s)", (pid,))
        await make(elsewhere, "milk")
        await grown(database, "tea", "milk")


async def test_where_nothing_can_be_heard_facts_are_seen_at_the_next_look(
    place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = replace(place, direct_url="postgresql://127.0.0.1:1/nowhere")
    async with opened(deaf) as database, opened(deaf) as elsewhere, followed(database, 0.05, monkeypatch):
        await make(elsewhere, "tea")
        await grown(database, "tea")
        assert listening(place) == []
        assert database.patience_s(0.05) == 0.05


async def waited(database: Database) -> None:
    """Be told of other processes' facts from now on."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0.01):
            await database.bell().wait()


async def patient(database: Database, seconds: float) -> None:
    """Wait until whoever waits here would wait so long before a look."""
    async with asyncio.timeout(10):
        while database.patience_s(0.05) != seconds:
            await asyncio.sleep(0.005)


async def test_who_hears_others_looks_once_a_second_and_as_often_as_ever_when_it_does_not_any_more(
    place: PostgresPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(place) as database:
        assert database.patience_s(0.05) == 0.05
        await waited(database)
        await patient(database, 1.0)
        assert database.patience_s(NEVER_S) == NEVER_S

        async def refused(_wakes: PostgresWakes) -> None:
            raise ConnectionRefusedError

        monkeypatch.setattr(PostgresWakes, "_connected", refused)
        with psycopg.connect(place.url, autocommit=True) as killer:
            for pid in listening(place):
                killer.execute("SELECT pg_terminate_backend(%s)", (pid,))
        await patient(database, 0.05)
        monkeypatch.undo()
        await patient(database, 1.0)


async def test_a_connection_on_which_nothing_comes_back_is_not_taken_for_one_that_hears(
    place: PostgresPlace, heard: "asyncio.Queue[float]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pooler that gives connections away between transactions takes a LISTEN, and passes nothing on."""
    monkeypatch.setattr(asyncpg.Connection, "add_listener", _listens_to_nothing)
    async with opened(place) as database:
        await waited(database)
        async with asyncio.timeout(10):
            await heard.get()
        assert database.patience_s(0.05) == 0.05


async def _listens_to_nothing(_connection: Any, _channel: str, _callback: Any) -> None: ...


async def test_who_waits_for_nothing_and_tells_nothing_has_no_connection_for_it(place: PostgresPlace) -> None:
    async with opened(place) as database:
        database.bell()
        await sizes(database)
        assert listening(place) == []
        await waited(database)
        async with asyncio.timeout(10):
            while not listening(place):
                await asyncio.sleep(0.01)
    async with asyncio.timeout(10):
        while listening(place):
            await asyncio.sleep(0.01)


@pytest.fixture
async def heard(place: PostgresPlace) -> AsyncIterator["asyncio.Queue[float]"]:
    """When somebody was told of facts, one after the other."""
    listener = await asyncpg.connect(address_of(place.url))
    times: asyncio.Queue[float] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def hear(_connection: Any, _pid: int, _channel: str, _payload: str) -> None:
        times.put_nowait(loop.time())

    await listener.add_listener(f"orderhouse_{place.schema}", hear)
    yield times
    await listener.close()


async def test_many_commits_are_told_of_together_and_the_last_of_them_is(
    place: PostgresPlace, heard: "asyncio.Queue[float]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PostgresWakes, "SPACED_S", 0.2)
    commits = 60
    async with opened(place) as database, asyncio.timeout(20):
        for n in range(commits):
            await make(database, f"t{n}")
        done = asyncio.get_running_loop().time()
        while await heard.get() < done:
            assert heard.qsize() < commits / 2


async def test_no_commit_tells_of_itself(
    place: PostgresPlace, heard: "asyncio.Queue[float]", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever commits with a NOTIFY holds one lock of the whole server meanwhile: no order may wait for that."""
    monkeypatch.setattr(PostgresWakes, "tell", lambda _wakes: None)
    async with opened(place) as database:
        await make(database, "tea", "milk")
        monkeypatch.undo()
        database._wakes.tell()  # type: ignore[attr-defined]
        async with asyncio.timeout(10):
            await heard.get()
        assert heard.empty(), "two commits were told of once: when they were to be"


async def test_a_worker_hears_of_a_job_that_another_process_wants_done(postgres_url: str) -> None:
    place = PostgresPlace(postgres_url, f"jobs_{uuid4().hex[:12]}")
    migrate.migrate(JOBS, place)
    async with jobs_world.opened(place) as world, jobs_world.opened(place) as elsewhere:
        worker = world.worker()
        worker.POLL_S = NEVER_S
        running = asyncio.create_task(worker.run())
        for _ in range(3):
            await elsewhere.once(await elsewhere.ask("note"), "done")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
