"""The contexts that have a database, opened together."""

from dataclasses import dataclass

from orderhouse.assembly.places import place_of
from orderhouse.auth.wiring import opened_database as opened_auth
from orderhouse.customers.wiring import Customers
from orderhouse.jobs.wiring import Jobs
from orderhouse.orders.wiring import Orders
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.settings import Settings
from orderhouse.tasks.wiring import Tasks
from orderhouse.users.wiring import Users


@dataclass(frozen=True, slots=True)
class Contexts:
    """Customers, jobs, orders, users and tasks over their databases. Whoever opens them closes them."""

    customers: Customers
    jobs: Jobs
    orders: Orders
    users: Users
    tasks: Tasks
    auth: Database
    """Auth's: whoever signs people in has keys besides, and opens auth over it."""

    @classmethod
    def opened(cls, settings: Settings) -> "Contexts":
        """Open what `settings` name; the databases are migrated."""
        return cls(
            Customers.opened(place_of("customers", settings), bound=settings.write_queue),
            Jobs.opened(place_of("jobs", settings), bound=settings.write_queue, time_zone=settings.time_zone),
            Orders.opened(place_of("orders", settings), bound=settings.write_queue),
            Users.opened(place_of("users", settings), bound=settings.write_queue),
            Tasks.opened(place_of("tasks", settings), time_zone=settings.time_zone, bound=settings.write_queue),
            opened_auth(place_of("auth", settings), bound=settings.write_queue),
        )

    @property
    def databases(self) -> tuple[Database, ...]:
        """Their databases."""
        contexts = (self.customers, self.jobs, self.orders, self.users, self.tasks)
        return (*(context.database for context in contexts), self.auth)

    async def close(self) -> None:
        """Write what still waits, and close every database."""
        for database in self.databases:
            await database.close()
