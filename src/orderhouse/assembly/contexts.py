"""The contexts that have a database, opened together."""

from dataclasses import dataclass

from orderhouse.assembly.places import place_of
from orderhouse.customers.wiring import Customers
from orderhouse.jobs.wiring import Jobs
from orderhouse.orders.wiring import Orders
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.settings import Settings
from orderhouse.users.wiring import Users


@dataclass(frozen=True, slots=True)
class Contexts:
    """Customers, jobs, orders and users over their databases. Whoever opens them closes them."""

    customers: Customers
    jobs: Jobs
    orders: Orders
    users: Users

    @classmethod
    def opened(cls, settings: Settings) -> "Contexts":
        """Open what `settings` name; the databases are migrated."""
        return cls(
            Customers.opened(place_of("customers", settings), bound=settings.write_queue),
            Jobs.opened(place_of("jobs", settings), bound=settings.write_queue),
            Orders.opened(place_of("orders", settings), bound=settings.write_queue),
            Users.opened(place_of("users", settings), bound=settings.write_queue),
        )

    @property
    def databases(self) -> tuple[Database, ...]:
        """Their databases."""
        return (self.customers.database, self.jobs.database, self.orders.database, self.users.database)

    async def close(self) -> None:
        """Write what still waits, and close every database."""
        for database in self.databases:
            await database.close()
