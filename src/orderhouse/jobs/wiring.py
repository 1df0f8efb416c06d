"""Puts the jobs context together."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orderhouse.jobs import models, repository
from orderhouse.jobs.kind import Kinds, discovered
from orderhouse.jobs.runners.threads import ThreadRunner
from orderhouse.jobs.service.claims import ClaimService
from orderhouse.jobs.service.jobs import JobService
from orderhouse.jobs.worker import Worker
from orderhouse.runtime.database.database import Database, Place, open_database
from orderhouse.runtime.migrate import Schema

if TYPE_CHECKING:
    from fastapi import APIRouter

    from orderhouse.runtime.web.fastapi_edge import Edge

SCHEMA = Schema("jobs", models.tables)


@dataclass(frozen=True, slots=True)
class Jobs:
    """The jobs context over its database."""

    database: Database
    kinds: Kinds

    @classmethod
    def opened(cls, place: Place, *, bound: int = 2048, kinds: Kinds | None = None) -> "Jobs":
        """Open the migrated database at `place`; there are all kinds of job unless it says which."""
        database = open_database("jobs", place, models.tables, refusals=repository.REFUSALS, bound=bound)
        return cls(database, discovered() if kinds is None else kinds)

    def routes(self, edge: "Callable[[Database], Edge]") -> "APIRouter":
        """Return its part of the API."""
        # The web framework is half a second to import: a worker does without it.
        from orderhouse.jobs import routes

        return routes.routes(edge(self.database), self.database, JobService(self.kinds))

    def worker(self, *, threads: int, lease: int = models.LEASE) -> Worker:
        """Return what does jobs, so many at a time."""
        return Worker(self.database, ClaimService(self.kinds, models.queues(lease)), ThreadRunner(threads))
