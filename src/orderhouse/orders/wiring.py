"""Puts the orders context together."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orderhouse.customers.contract import FACT_KINDS, CustomerDirectory
from orderhouse.orders import models, readers, repository
from orderhouse.orders.service import Newcomers, OrderService
from orderhouse.runtime.database.database import Database, Place, open_database
from orderhouse.runtime.migrate import Schema
from orderhouse.runtime.readers import DatabaseSink
from orderhouse.runtime.registry import Kinds
from orderhouse.users import contract as users

if TYPE_CHECKING:
    from fastapi import APIRouter

    from orderhouse.runtime.web.fastapi_edge import Edge

SCHEMA = Schema("orders", models.tables)


@dataclass(frozen=True, slots=True)
class Orders:
    """The orders context over its database."""

    database: Database
    service: OrderService

    @classmethod
    def opened(cls, place: Place, *, bound: int) -> "Orders":
        """Open the migrated database at `place`."""
        database = open_database("orders", place, models.tables, refusals=repository.REFUSALS, bound=bound)
        return cls(database, OrderService())

    def routes(self, edge: "Callable[[Database], Edge]", directory: CustomerDirectory) -> "APIRouter":
        """Return its part of the API; `directory` is asked about customers it has not heard of."""
        # The web framework is half a second to import: a command that serves nothing does without it.
        from orderhouse.orders import routes

        newcomers = Newcomers(self.database, directory)
        return routes.routes(edge(self.database), self.database, self.service, newcomers)

    def customer_reader(self) -> DatabaseSink:
        """Return what follows the customers' facts."""
        return DatabaseSink("customers", self.database, readers.keep_cards, kinds=Kinds("customers", FACT_KINDS))

    def user_reader(self) -> DatabaseSink:
        """Return what follows the users' facts."""
        return DatabaseSink("users", self.database, readers.keep_teams, kinds=Kinds("users", users.FACT_KINDS))
