"""What the routes ask customers about, before anything is written."""

from typing import Protocol
from uuid import UUID

from orderhouse.users.errors import CustomerUnknown


class CustomerRecords(Protocol):
    """Customers, as a thread asks about them. Every call may raise Unavailable."""

    def there_is(self, customer_id: UUID) -> bool:
        """Whether there is such a record."""

    def with_email(self, email: str) -> UUID | None:
        """Return the record with this address; None when there is none."""


def check(customers: CustomerRecords, customer_id: UUID | None) -> None:
    """Raise CustomerUnknown when a record is named that does not exist."""
    if customer_id is not None and not customers.there_is(customer_id):
        raise CustomerUnknown
