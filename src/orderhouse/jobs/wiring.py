"""Puts the jobs context together."""

import asyncio
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orderhouse.jobs import repository
from orderhouse.jobs.files import Files
from orderhouse.jobs.kind import Kinds, Surroundings, discovered
from orderhouse.jobs.models.jobs import LEASE_S, Queues
from orderhouse.jobs.models.schedules import SCHEDULES
from orderhouse.jobs.neighbours import Neighbours
from orderhouse.jobs.runners.threads import ThreadRunner
from orderhouse.jobs.service.claims import ClaimService
from orderhouse.jobs.service.files import FileService
from orderhouse.jobs.service.jobs import JobService
from orderhouse.jobs.service.schedules import ScheduleService
from orderhouse.jobs.worker import Worker
from orderhouse.kernel import clock
from orderhouse.kernel.clock import Instant
from orderhouse.runtime.database.database import Database, Place, open_database
from orderhouse.runtime.database.transaction import Work
from orderhouse.runtime.migrate import Schema

if TYPE_CHECKING:
    from fastapi import APIRouter

    from orderhouse.runtime.web.fastapi_edge import Edge

SCHEMA = Schema("jobs", SCHEDULES.metadata)

_DAY_S = 86_400
_SQLITE_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs context over its database."""

    database: Database
    kinds: Kinds
    time_zone: str = "UTC"

    @classmethod
    def opened(cls, place: Place, *, bound: int = 2048, kinds: Kinds | None = None, time_zone: str = "UTC") -> "Jobs":
        """Open the migrated database at `place`; there are all kinds of job unless it says which.

        Schedules go by the clocks of `time_zone` where they name no other.
        """
        database = open_database("jobs", place, SCHEMA.tables, refusals=repository.REFUSALS, bound=bound)
        return cls(database, discovered() if kinds is None else kinds, time_zone)

    def routes(self, edge: "Callable[[Database], Edge]") -> "Sequence[APIRouter]":
        """Return its part of the API."""
        # The web framework is half a second to import: a worker does without it.
        from orderhouse.jobs.routes import files, jobs, schedules

        bound, service = edge(self.database), FileService()
        return (
            jobs.routes(bound, self.database, JobService(self.kinds)),
            files.routes(bound, self.database, service, Files(self.database, service)),
            schedules.routes(bound, self.database, self.schedules),
        )

    def worker(
        self,
        folder: Path,
        neighbours: Neighbours | None = None,
        *,
        threads: int,
        home: bool = True,
        lease_s: float = LEASE_S,
    ) -> Worker:
        """Return what does jobs, so many at a time, which write in `folder`.

        One at `home` also does what is done nowhere else, and does nothing else when it has no threads.
        """
        _sweep(folder)
        claims = ClaimService(self.kinds, Queues.leasing(int(lease_s * 1_000_000)), home=home, anywhere=threads > 0)
        files = Files(self.database, FileService())
        runner = ThreadRunner(
            max(threads, 1), lambda: Surroundings(asyncio.get_running_loop(), files, folder, neighbours)
        )
        worker = Worker(self.database, claims, runner, self.schedules)
        if self.database.dialect == "sqlite" and not home:
            # Nothing on SQLite tells another process that there is something to do, and a look is a tenth of a
            # millisecond.
            worker.POLL_S = _SQLITE_POLL_S
        return worker

    @property
    def schedules(self) -> ScheduleService:
        """What decides about schedules."""
        return ScheduleService(self.kinds, self.time_zone)

    async def forget(self, before: Instant) -> dict[str, int]:
        """Remove jobs that ended before an instant, and files whose time is over by now; return how many of each."""
        return {
            "jobs": await self._all(JobService(self.kinds).forget, before),
            "files": await self._all(FileService().forget, clock.now()),
        }

    async def _all(self, work: Work[Instant, int], before: Instant) -> int:
        """Do work that does a little at a time until there is nothing left for it to do."""
        total = 0
        while done := await self.database.write(work, before):
            total += done
        return total


def _sweep(folder: Path) -> None:
    """Remove what jobs wrote whose process was killed; an attempt that runs has been written to within a day."""
    for left in folder.glob("job-*"):
        if left.stat().st_mtime < time.time() - _DAY_S:
            shutil.rmtree(left, ignore_errors=True)
