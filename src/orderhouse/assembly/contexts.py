"""The contexts that have a database, opened together."""

from dataclasses import dataclass

from orderhouse.assembly.places import place_of
from orderhouse.customers.wiring import Customers
from orderhouse.orders.wiring import Orders
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class Contexts:
    """Customers and orders over their databases. Whoever opens them closes them."""

    customers: Customers
    orders: Orders

    @classmethod
    def opened(cls, settings: Settings) -> "Contexts":
        """Open what `settings` name; the databases are migrated."""
        return cls(
            Customers.opened(place_of("customers", settings), bound=settings.write_queue),
            Orders.opened(place_of("orders", settings), bound=settings.write_queue),
        )

    @property
    def databases(self) -> tuple[Database, ...]:
        """Their databases."""
        return (self.customers.database, self.orders.database)

    async def close(self) -> None:
        """Write what still waits, and close every database."""
        for database in self.databases:
            await database.close()
