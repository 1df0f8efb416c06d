"""What neighbours may know of customers: their cards, the facts told of them, and how a source brings its own."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple, Protocol, Self
from uuid import UUID

from orderhouse.kernel.clock import Instant
from orderhouse.kernel.events import Fact, FactData, FactKind, NewFact, NoData, Origin


@dataclass(frozen=True, slots=True)
class CustomerCard:
    """A customer at one version, as far as neighbours need to know."""

    id: UUID
    external_id: str | None
    name: str
    country: str | None
    active: bool
    version: int


class SourceCustomer(NamedTuple):
    """A customer as a source's file knows it: by the source's own id, and without an e-mail address."""

    external_id: str
    name: str
    country: str | None = None


class CustomerLookup(Protocol):
    """Customers, as neighbours ask about them. Every call may raise Unavailable."""

    async def cards(self, ids: Collection[UUID]) -> Mapping[UUID, CustomerCard]:
        """Return the card of each of `ids` there is a customer for."""

    async def with_email(self, email: str) -> CustomerCard | None:
        """Return the card of the customer whose address it is, however it is written; None when it is nobody's."""


class CustomerDirectory(CustomerLookup, Protocol):
    """Customers, as neighbours reach them."""

    async def admit(self, source: str, wanted: Sequence[SourceCustomer]) -> Mapping[str, UUID]:
        """Return the id of each customer by its external id; those `source` never brought before are added.

        Who is there already stays as it is. Safe to repeat and to race. Raises Invalid, with nothing added, when one
        of them cannot be a customer.
        """


@dataclass(frozen=True, slots=True)
class CustomerFact:
    """Something that happened to a customer, who is at `version` since. It holds ids and words, never who it is."""

    name: ClassVar[str]

    customer_id: UUID
    version: int

    @classmethod
    def of(cls, customer: CustomerCard) -> Self:
        """Return this fact about `customer` as it is after it."""
        return cls(customer.id, customer.version)

    @classmethod
    def read(cls, fact: Fact) -> Self:
        """Return what `fact`, as a log keeps it, tells."""
        return cls(fact.aggregate, fact.sequence, **fact.data)

    def told(self, at: Instant, origin: Origin) -> NewFact:
        """Return it ready to be told."""
        return NewFact(self.name, self.customer_id, self.version, self._data(), at, origin)

    def _data(self) -> Mapping[str, object]:
        return {}


@dataclass(frozen=True, slots=True)
class _WithCard(CustomerFact):
    country: str | None
    active: bool

    @classmethod
    def of(cls, customer: CustomerCard) -> Self:
        """Return this fact about `customer` as it is after it."""
        return cls(customer.id, customer.version, customer.country, customer.active)

    def _data(self) -> Mapping[str, object]:
        return {"country": self.country, "active": self.active}


@dataclass(frozen=True, slots=True)
class CustomerAdded(_WithCard):
    """A customer was added. Told once per customer, first of all."""

    name: ClassVar[str] = "CustomerAdded"


@dataclass(frozen=True, slots=True)
class CustomerChanged(_WithCard):
    """Something about a customer changed: told of every change, also of a name or an address it does not hold."""

    name: ClassVar[str] = "CustomerChanged"


@dataclass(frozen=True, slots=True)
class CustomerDeactivated(CustomerFact):
    """A customer was deactivated, and can place no order until it is reactivated."""

    name: ClassVar[str] = "CustomerDeactivated"


@dataclass(frozen=True, slots=True)
class CustomerReactivated(CustomerFact):
    """A customer was reactivated, and can place orders again."""

    name: ClassVar[str] = "CustomerReactivated"


FACTS: Mapping[str, type[CustomerFact]] = {
    fact.name: fact for fact in (CustomerAdded, CustomerChanged, CustomerDeactivated, CustomerReactivated)
}
"""Every fact customers tells, all of version 1, by name."""


class CardData(FactData):
    """What a customer's card says."""

    country: str | None
    active: bool


FACT_KINDS = tuple(
    FactKind(name, (fact.__doc__ or "").strip(), CardData if issubclass(fact, _WithCard) else NoData)
    for name, fact in FACTS.items()
)
"""The same for the registry: what each means, and the schema of its data."""
