"""Puts the tasks context together."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orderhouse.runtime.database.database import Database, Place, open_database
from orderhouse.runtime.migrate import Schema
from orderhouse.tasks import models, repository
from orderhouse.tasks.service.tasks import TaskService

if TYPE_CHECKING:
    from fastapi import APIRouter

    from orderhouse.runtime.web.fastapi_edge import Edge

SCHEMA = Schema("tasks", models.tables)


@dataclass(frozen=True, slots=True)
class Tasks:
    """The tasks context over its database."""

    database: Database
    service: TaskService

    @classmethod
    def opened(cls, place: Place, *, time_zone: str = "UTC", bound: int = 2048) -> "Tasks":
        """Open the migrated database at `place`; a due date is a day of `time_zone` where a task names no other."""
        database = open_database("tasks", place, models.tables, refusals=repository.REFUSALS, bound=bound)
        return cls(database, TaskService(time_zone))

    def routes(self, edge: "Callable[[Database], Edge]") -> "APIRouter":
        """Return its part of the API."""
        # The web framework is half a second to import: a command that serves nothing does without it.
        from orderhouse.tasks.routes import app

        return app.routes(edge(self.database), self.database, self.service)
