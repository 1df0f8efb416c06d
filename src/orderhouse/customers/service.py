"""What may be done with customers, decided for one or for many."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Protocol, TypeVar
from uuid import UUID

from orderhouse.customers.contract import (
    CustomerAdded,
    CustomerChanged,
    CustomerDeactivated,
    CustomerFact,
    CustomerReactivated,
)
from orderhouse.customers.errors import CustomerMovedOn, CustomerNotFound
from orderhouse.customers.models import Customer, CustomerState
from orderhouse.customers.repository import CustomerRepository
from orderhouse.customers.schemas import AddCustomer, Change, ImportCustomer, Seen
from orderhouse.kernel.errors import Refusal
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked

V = TypeVar("V", bound=Seen | Change)


class CustomerStore(Protocol):
    """The customers of one transaction, as the service needs them."""

    def add(self, customers: Iterable[Customer]) -> None:
        """Keep new customers."""

    def held(self, ids: Collection[UUID]) -> Mapping[UUID, Customer]:
        """Return these customers; what becomes of them is kept, and nobody else changes them meanwhile."""

    def brought(self, source: str, external_ids: Collection[str]) -> Mapping[str, UUID]:
        """Return by external id the customers that `source` brought before."""


class CustomerService:
    """Decides what becomes of what is asked; what it returns is kept when the transaction is."""

    def __init__(self, repository: Callable[[Transaction], CustomerStore] = CustomerRepository) -> None:
        """Work on what `repository` makes of a transaction."""
        self._repository = repository

    def add(self, tx: Transaction, asked: Sequence[Asked[AddCustomer]]) -> Sequence[CustomerState | Refusal]:
        """Add each customer. That an address or an external id is taken, the database alone can say for certain."""
        return self._added(tx, asked)

    def admit(self, tx: Transaction, asked: Sequence[Asked[ImportCustomer]]) -> Sequence[UUID | Refusal]:
        """Return the id of each customer a source's file names; who was not brought before is added."""
        known = self._known(tx, [one.wanted for one in asked])
        # A file may name the same customer often; the first time counts.
        new = {_reference(one.wanted): one for one in reversed(asked) if _reference(one.wanted) not in known}
        added = self._added(tx, list(new.values()))
        known.update(zip(new, (customer.id for customer in added), strict=True))
        return [known[_reference(one.wanted)] for one in asked]

    def change(self, tx: Transaction, asked: Sequence[Asked[Change]]) -> Sequence[CustomerState | Refusal]:
        """Change each customer as it is wanted, or say why not. What makes no difference tells nobody anything."""

        def change(customer: Customer, one: Asked[Change]) -> type[CustomerFact] | None:
            return CustomerChanged if customer.change(one.wanted.wanted, at=one.at) else None

        return self._each(tx, asked, change)

    def deactivate(self, tx: Transaction, asked: Sequence[Asked[Seen]]) -> Sequence[CustomerState | Refusal]:
        """Let each customer order nothing from now on, or say why not."""

        def deactivate(customer: Customer, one: Asked[Seen]) -> type[CustomerFact]:
            customer.deactivate(at=one.at)
            return CustomerDeactivated

        return self._each(tx, asked, deactivate)

    def reactivate(self, tx: Transaction, asked: Sequence[Asked[Seen]]) -> Sequence[CustomerState | Refusal]:
        """Let each customer order again, or say why not."""

        def reactivate(customer: Customer, one: Asked[Seen]) -> type[CustomerFact]:
            customer.reactivate(at=one.at)
            return CustomerReactivated

        return self._each(tx, asked, reactivate)

    def _added(
        self, tx: Transaction, asked: Sequence[Asked[AddCustomer]] | Sequence[Asked[ImportCustomer]]
    ) -> list[CustomerState]:
        customers = [Customer.add(one.wanted, at=one.at) for one in asked]
        self._repository(tx).add(customers)
        added = [customer.state for customer in customers]
        tx.tell(CustomerAdded.of(state).told(one.at, one.origin) for state, one in zip(added, asked, strict=True))
        return added

    def _known(self, tx: Transaction, wanted: Iterable[ImportCustomer]) -> dict[tuple[str, str], UUID]:
        customers = self._repository(tx)
        return {
            (source, external_id): customer_id
            for source, references in groupby(sorted(map(_reference, wanted)), key=lambda reference: reference[0])
            for external_id, customer_id in customers.brought(source, [one for _, one in references]).items()
        }

    def _each(
        self,
        tx: Transaction,
        asked: Sequence[Asked[V]],
        act: Callable[[Customer, Asked[V]], type[CustomerFact] | None],
    ) -> Sequence[CustomerState | Refusal]:
        """Let `act` change each customer, in the order of asking, and tell the fact it names."""
        held = self._repository(tx).held([one.wanted.customer_id for one in asked])
        outcomes: list[CustomerState | Refusal] = []
        for one in asked:
            try:
                customer = _seen(held.get(one.wanted.customer_id), one)
                fact = act(customer, one)
            except Refusal as refusal:
                outcomes.append(refusal)
                continue
            outcomes.append(customer.state)
            if fact is not None:
                tx.tell([fact.of(customer.state).told(one.at, one.origin)])
        return outcomes


def _seen(customer: Customer | None, asked: Asked[V]) -> Customer:
    """Return `customer` if the caller may know of it and saw its latest version."""
    if customer is None:
        raise CustomerNotFound
    if not customer.visible_to(asked.caller):
        raise CustomerNotFound.of_anothers()
    if asked.wanted.version not in (None, customer.version):
        raise CustomerMovedOn(current=customer.version)
    return customer


def _reference(wanted: ImportCustomer) -> tuple[str, str]:
    return wanted.source, wanted.external_id
