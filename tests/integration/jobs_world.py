"""The jobs context over a real, migrated database and over HTTP, with kinds that behave and kinds that do not."""

import asyncio
import tempfile
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
from fastapi import FastAPI
from pydantic import Field

from orderhouse.jobs import reads
from orderhouse.jobs.contract import State
from orderhouse.jobs.kind import Argument, Job, JobKind, Kinds, NoArgument, Retry, job
from orderhouse.jobs.kinds.ping import ping
from orderhouse.jobs.models.jobs import JobState
from orderhouse.jobs.schemas import AskJob, Named
from orderhouse.jobs.service.jobs import JobService
from orderhouse.jobs.wiring import Jobs
from orderhouse.jobs.worker import Worker
from orderhouse.kernel import clock
from orderhouse.kernel.errors import Conflict, Unavailable
from orderhouse.kernel.events import Fact, Origin
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import Principal, Role
from orderhouse.runtime import facts
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.once import Asked
from orderhouse.runtime.tokens import SigningKeys, Verifier
from orderhouse.runtime.web.bodies import Limits
from orderhouse.runtime.web.fastapi_edge import Edge
from orderhouse.runtime.web.front import Front

CLERK = Principal("clerk-7", "clerk")
OWNER = Principal("boss", "owner")

SOON = Retry(attempts=3, first_delay_s=0.02, longest_delay_s=0.05)
WAIT_S = 10.0


class NothingThere(Conflict):
    """There is nothing to be done with."""

    code = "nothing_there"


class NotNow(Unavailable):
    """Somebody else is not up to it."""

    code = "not_now"


class Times(Argument):
    """So often, and under which name."""

    times: int = Field(1, ge=0, le=1_000_000)
    name: str = ""


class Deeds:
    """Kinds that tell what they do, and do what they are told."""

    def __init__(self) -> None:
        self.runs: Counter[str] = Counter()
        self.order: list[str] = []
        self.inside: Counter[str] = Counter()
        self.beside: dict[str, int] = {}
        self.folders: list[Path] = []
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.seen_stopped = threading.Event()

    @property
    def kinds(self) -> Kinds:
        made: tuple[JobKind, ...] = (ping, *self._well_behaved(), *self._failing())
        return {kind.name: kind for kind in made}

    def _well_behaved(self) -> tuple[JobKind, ...]:
        @job()
        def note(argument: Times, running: Job) -> None:
            """Note that it ran."""
            self.runs[str(running.id)] += 1
            self.order.append(argument.name)

        @job(retry=SOON)
        def wait(argument: Times, running: Job) -> Mapping[str, Any]:
            """Say how far it is, and wait until it may go on."""
            self.runs[str(running.id)] += 1
            running.progress(argument.times, 10, "waiting")
            self.begun.set()
            while not self.go_on.is_set():
                try:
                    running.rest(0.01)
                finally:
                    if running.stopped:
                        self.seen_stopped.set()
            return {"attempt": running.attempt}

        @job()
        def write(argument: Times, running: Job) -> Mapping[str, Any]:
            """Write a file, and keep it."""
            self.folders.append(running.folder)
            (running.folder / "note.csv").write_text(argument.name * argument.times)
            return {"file": running.keep(running.folder / "note.csv")}

        @job()
        def alone(argument: Times, running: Job) -> None:
            """Take a moment, and note how many of its name do beside it."""
            self.inside[argument.name] += 1
            self.beside[argument.name] = max(self.beside.get(argument.name, 0), self.inside[argument.name])
            running.rest(0.01)
            self.inside[argument.name] -= 1

        @job()
        def hear(argument: Times, running: Job) -> None:
            """Wait for a neighbour that never answers."""
            self.begun.set()
            running.wait_for(asyncio.sleep(WAIT_S * 10))

        @job(permission="jobs:manage", at_home=True)
        def tend(argument: Times, running: Job) -> None:
            """Do what is done at home."""
            self.runs[str(running.id)] += 1

        @job(permission="jobs:manage")
        def manage(argument: NoArgument, running: Job) -> None:
            """Do what only managers may ask for."""

        return note, wait, write, alone, hear, tend, manage

    def _failing(self) -> tuple[JobKind, ...]:
        @job(retry=SOON)
        def fail(argument: Times, running: Job) -> Mapping[str, Any]:
            """Break so often, and then succeed."""
            self.runs[str(running.id)] += 1
            if running.attempt <= argument.times:
                raise RuntimeError("canary-4711")
            return {"attempt": running.attempt}

        @job(retry=SOON)
        def lean(argument: Times, running: Job) -> Mapping[str, Any]:
            """Find a neighbour down so often, and then succeed."""
            if running.attempt <= argument.times:
                raise NotNow("Try in a moment.")
            return {"attempt": running.attempt}

        @job(retry=SOON)
        def refuse(argument: NoArgument, running: Job) -> None:
            """Find that it cannot be done."""
            self.runs[str(running.id)] += 1
            raise NothingThere("Not a thing.", errors=[])

        @job(retry=SOON)
        def say(argument: Times, running: Job) -> Any:
            """Answer what cannot be kept."""
            return {"set": {1, 2}, "nul": {"text": "\0"}, "list": [1], "long": {"text": "x" * 70_000}}[argument.name]

        @job(retry=Retry(attempts=2, first_delay_s=0.02), time_limit_s=0.05)
        def slow(argument: NoArgument, running: Job) -> None:
            """Take longer than it may, and stop when told."""
            self.runs[str(running.id)] += 1
            running.rest(WAIT_S)

        @job(retry=SOON)
        def deaf(argument: NoArgument, running: Job) -> None:
            """Never look whether it is to stop."""
            self.begun.set()
            self.go_on.wait(WAIT_S)

        return fail, lean, refuse, say, slow, deaf


class World:
    """Jobs over a database, and as many workers as a test starts."""

    def __init__(self, jobs: Jobs, deeds: Deeds, folder: Path) -> None:
        self.jobs = jobs
        self.deeds = deeds
        self.folder = folder
        self.service = JobService(jobs.kinds)
        self._working: list[asyncio.Task[None]] = []

    def worker(self, *, threads: int = 4, lease_s: float = 20.0, home: bool = True) -> Worker:
        """Return a worker whose heart beats fast enough for a test."""
        made = self.jobs.worker(self.folder, threads=threads, home=home, lease_s=lease_s)
        made.BEAT_S, made.POLL_S, made.GRACE_S = 0.02, 0.02, 0.3
        return made

    def start(self, **more: Any) -> "asyncio.Task[None]":
        """Let a worker work."""
        task = asyncio.create_task(self.worker(**more).run())
        self._working.append(task)
        return task

    async def stop(self) -> None:
        """Let every worker leave."""
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)

    async def ask(self, kind: str, caller: Principal = OWNER, **more: Any) -> UUID:
        """Return the id of a job that was asked for."""
        wanted = AskJob.model_validate({"kind": kind, **more})
        job: JobState = await self.jobs.database.write(self.service.ask, asked(wanted, caller))
        return job.id

    async def cancel(self, job_id: UUID) -> JobState:
        job: JobState = await self.jobs.database.write(self.service.cancel, asked(Named(job_id)))
        return job

    async def get(self, job_id: UUID) -> JobState:
        found = await self.jobs.database.read(reads.one, job_id, OWNER)
        assert found is not None
        return found

    async def once(self, job_id: UUID, *states: State) -> JobState:
        """Return a job once it is in one of `states`."""
        return await self.once_it(job_id, lambda found: found.state in states)

    async def once_it(self, job_id: UUID, holds: Callable[[JobState], bool]) -> JobState:
        """Return a job once something holds for it."""
        async with asyncio.timeout(WAIT_S):
            while not holds(found := await self.get(job_id)):
                await asyncio.sleep(0.005)
        return found

    async def told(self) -> list[Fact]:
        return await self.jobs.database.read(facts.read, 0, 100_000)

    async def queued(self) -> int:
        found = await self.jobs.database.read(lambda reading: reading.rows("SELECT count(*) FROM queue"))
        return int(found[0][0])


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[World]:
    deeds = Deeds()
    jobs = Jobs.opened(place, kinds=deeds.kinds)
    with tempfile.TemporaryDirectory() as folder:
        world = World(jobs, deeds, Path(folder))
        try:
            yield world
        finally:
            deeds.go_on.set()
            await world.stop()
            await jobs.database.close()


def asked(wanted: Any, caller: Principal = OWNER) -> Asked[Any]:
    return Asked(wanted, caller, clock.now(), Origin(caller.subject, "request-1"))


async def passed(event: threading.Event) -> None:
    """Wait until a job's thread has set `event`."""
    assert await asyncio.to_thread(event.wait, WAIT_S)


class Api:
    """The jobs' routes as a caller sees them."""

    def __init__(self, world: World, keys: SigningKeys) -> None:
        self.world = world
        app = FastAPI()
        limits = Limits(upload_bytes=1_000_000)
        for router in world.jobs.routes(lambda database: Edge(Verifier(keys.jwks()), limits, database)):
            app.include_router(router)
        self.openapi: dict[str, Any] = app.openapi()
        self._keys = keys
        transport = httpx2.ASGITransport(app=Front(app, Limits()))
        self.client = httpx2.AsyncClient(transport=transport, base_url="http://orderhouse.test")

    async def __call__(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        role: Role | None = "clerk",
        subject: str = "me",
        headers: dict[str, str] | None = None,
    ) -> httpx2.Response:
        """Send a request in `role`, with a fresh Idempotency-Key unless one is given; no role is no token."""
        sent = {"Idempotency-Key": str(new_id())} if method == "POST" else {}
        if role is not None:
            sent["Authorization"] = self.bearer(role, subject)
        sent.update(headers or {})
        return await self.client.request(method, path, json=json, headers=sent)

    def bearer(self, role: Role, subject: str) -> str:
        """Return what says who asks."""
        return f"Bearer {self._keys.issue(subject, role, minutes=5)}"

    async def ask(self, kind: str, **more: Any) -> dict[str, Any]:
        """Return a job that was asked for."""
        role, subject = more.pop("role", "clerk"), more.pop("subject", "me")
        answer = await self("POST", "/v1/jobs", {"kind": kind, **more}, role=role, subject=subject)
        assert answer.status_code == 202, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def once(self, job: Mapping[str, Any], *states: State) -> dict[str, Any]:
        """Return a job, polled until it is in one of `states`."""
        async with asyncio.timeout(WAIT_S):
            while (found := (await self("GET", job["links"]["self"], role="owner")).json())["state"] not in states:
                await asyncio.sleep(0.005)
        polled: dict[str, Any] = found
        return polled


@asynccontextmanager
async def served(place: Place, folder: Path) -> AsyncIterator[Api]:
    async with opened(place) as world:
        yield Api(world, SigningKeys.made(folder / "keys"))
