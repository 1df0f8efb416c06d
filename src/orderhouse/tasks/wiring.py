"""Puts the tasks context together."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orderhouse.kernel import clock
from orderhouse.kernel.clock import Clock
from orderhouse.kernel.events import Fact
from orderhouse.runtime.database.database import Database, Place, open_database
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.migrate import Schema
from orderhouse.runtime.readers import DatabaseSink
from orderhouse.tasks import readers, repository
from orderhouse.tasks.contract import DeadLetters
from orderhouse.tasks.models.tables import tables
from orderhouse.tasks.service.causes import CauseService
from orderhouse.tasks.service.tasks import TaskService
from orderhouse.tasks.timekeeper import Timekeeper

if TYPE_CHECKING:
    from fastapi import APIRouter

    from orderhouse.runtime.web.fastapi_edge import Edge

SCHEMA = Schema("tasks", tables)

REST_S = 0.5
"""How long orders' facts gather before they are taken: placing shares its processor with whoever follows it."""


@dataclass(frozen=True, slots=True)
class Tasks:
    """The tasks context over its database."""

    database: Database
    service: TaskService
    causes: CauseService
    bell: asyncio.Event
    """Rings when something may be due earlier than it was."""

    @classmethod
    def opened(cls, place: Place, *, time_zone: str = "UTC", bound: int = 2048) -> "Tasks":
        """Open the migrated database at `place`; a due date is a day of `time_zone` where a task names no other."""
        database = open_database("tasks", place, tables, refusals=repository.REFUSALS, bound=bound)
        return cls(database, TaskService(time_zone), CauseService(time_zone), database.bell())

    def routes(self, edge: "Callable[[Database], Edge]") -> "APIRouter":
        """Return its part of the API."""
        # The web framework is half a second to import: a command that serves nothing does without it.
        from orderhouse.tasks.routes import app

        return app.routes(edge(self.database), self.database, self.service, self.causes)

    def order_reader(self) -> DatabaseSink:
        """Return what follows the orders' facts."""
        return _OrderSink("orders", self.database, readers.OrderFacts(self.causes), self.bell)

    def timekeeper(self, letters: DeadLetters | None = None, *, now: Clock = clock.now) -> Timekeeper:
        """Return what sees to what is due, and to dead letters where they can be looked at."""
        return Timekeeper(self.database, self.bell, self.causes, letters, now=now)


class _OrderSink(DatabaseSink):
    """Takes orders' facts, and rings a bell when they may have made something due."""

    def __init__(self, name: str, database: Database, effect: readers.OrderFacts, bell: asyncio.Event) -> None:
        super().__init__(name, database, effect)
        self._bell = bell
        self._mattered = False

    async def take(self, facts: Sequence[Fact]) -> None:
        await super().take(facts)
        if self._mattered:
            self._mattered = False
            self._bell.set()

    def _taken(self, tx: Transaction, facts: Sequence[Fact]) -> None:
        # Nearly all facts are of sales that nobody asks about: what is parked is not even looked up for them.
        if some := [fact for fact in facts if readers.matters(fact)]:
            self._mattered = True
            super()._taken(tx, some)
