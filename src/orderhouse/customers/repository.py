"""Every query that writing customers needs, and nothing else; through the ORM."""

from collections.abc import Collection, Iterable, Mapping
from uuid import UUID

from sqlalchemy import select

from orderhouse.customers.errors import EmailTaken, ExternalIdTaken
from orderhouse.customers.models import Customer
from orderhouse.kernel.errors import Refusal
from orderhouse.runtime.database.transaction import Transaction

REFUSALS: Mapping[str, type[Refusal]] = {
    "customers_email": EmailTaken,
    "customers_external_id": ExternalIdTaken,
}
"""What it means that a constraint of the database was broken."""


class CustomerRepository:
    """Customers in one transaction. What is changed about those it returns is kept with it."""

    def __init__(self, tx: Transaction) -> None:
        """Work in `tx`."""
        self._session = tx.session

    def add(self, customers: Iterable[Customer]) -> None:
        """Keep new customers."""
        self._session.add_all(customers)

    def held(self, ids: Collection[UUID]) -> dict[UUID, Customer]:
        """Return these customers; nobody else changes them before this transaction ends."""
        # In the order of their ids, so that two transactions never wait for each other.
        wanted = select(Customer).where(Customer.id.in_(set(ids))).order_by(Customer.id).with_for_update()
        return {customer.id: customer for customer in self._session.scalars(wanted)}

    def brought(self, source: str, external_ids: Collection[str]) -> dict[str, UUID]:
        """Return by external id the customers that `source` brought before."""
        wanted = select(Customer.external_id, Customer.id).where(
            Customer.source == source, Customer.external_id.in_(set(external_ids))
        )
        return {str(external_id): customer_id for external_id, customer_id in self._session.execute(wanted)}
