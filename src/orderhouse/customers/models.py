"""A customer, the rules that hold for it whoever asks, and the table it is kept in.

The ORM writes here: customers are added and changed at the speed of people, and its 0.1 ms a customer lets even an
import bring thousands.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Index, Integer, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from orderhouse.customers.contract import CustomerCard
from orderhouse.customers.errors import AlreadyActive, AlreadyInactive
from orderhouse.customers.schemas import AddCustomer, ChangeCustomer, ImportCustomer
from orderhouse.kernel import ids
from orderhouse.kernel.clock import Instant
from orderhouse.kernel.email import email_key
from orderhouse.kernel.principal import Principal
from orderhouse.kernel.text import name_key
from orderhouse.runtime.database.tables import Id, partial_index, tables_of

API = "api"
"""Where customers come from that no source's file brought."""

tables = tables_of("customers")


class _Mapped(DeclarativeBase):
    metadata = tables


@dataclass(frozen=True, slots=True)
class CustomerState(CustomerCard):
    """A customer as it was at one version: what is shown."""

    email: str | None
    source: str
    created_at: Instant
    updated_at: Instant


class Customer(_Mapped):
    """Somebody who orders. Deactivated, it stays with its history, and orders nothing."""

    __tablename__ = "customers"
    __table_args__ = (
        # One e-mail address is one customer's, however it is written; those who have none are not in the index.
        partial_index("customers_email", "email_key", unique=True, where="email_key IS NOT NULL"),
        # A source brings a customer once. The id comes first, so that it is found without knowing the source.
        partial_index("customers_external_id", "external_id", "source", unique=True, where="external_id IS NOT NULL"),
        # Lists go by the time of adding, which is the primary key's order, or by name; of all, or of those (in)active.
        Index("customers_name", "name_key", "id"),
        Index("customers_active", "active", "id"),
        Index("customers_active_name", "active", "name_key", "id"),
    )

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    # PostgreSQL would sort by the language of its server, and differently from SQLite.
    name_key: Mapped[str] = mapped_column(Text().with_variant(Text(collation="C"), "postgresql"))
    email: Mapped[str | None] = mapped_column(Text)
    email_key: Mapped[str | None] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    external_id: Mapped[str | None] = mapped_column(Text)
    country: Mapped[str | None] = mapped_column(Text)
    active: Mapped[bool]
    version: Mapped[int] = mapped_column(Integer)
    created_at: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[int] = mapped_column(BigInteger)

    @classmethod
    def add(cls, wanted: AddCustomer, *, at: Instant) -> "Customer":
        """Return a new, active customer."""
        return cls(
            id=ids.new_id(),
            name=wanted.name,
            name_key=name_key(wanted.name),
            email=wanted.email,
            email_key=_email_key(wanted.email),
            source=wanted.source if isinstance(wanted, ImportCustomer) else API,
            external_id=wanted.external_id,
            country=wanted.country,
            active=True,
            version=1,
            created_at=at,
            updated_at=at,
        )

    def visible_to(self, caller: Principal) -> bool:
        """Whether `caller` may know of it: a customer knows itself."""
        return caller.role != "customer" or caller.customer_id == self.id

    def change(self, wanted: ChangeCustomer, *, at: Instant) -> bool:
        """Change what `wanted` names; return whether that made a difference."""
        said = wanted.model_dump(exclude_unset=True)
        if all(getattr(self, name) == value for name, value in said.items()):
            return False
        self._become(at, **said)
        self.name_key, self.email_key = name_key(self.name), _email_key(self.email)
        return True

    def deactivate(self, *, at: Instant) -> None:
        """Let it order nothing from now on."""
        if not self.active:
            raise AlreadyInactive
        self._become(at, active=False)

    def reactivate(self, *, at: Instant) -> None:
        """Let it order again."""
        if self.active:
            raise AlreadyActive
        self._become(at, active=True)

    def _become(self, at: Instant, **what: Any) -> None:
        for name, value in what.items():
            setattr(self, name, value)
        self.version += 1
        self.updated_at = at

    @property
    def state(self) -> CustomerState:
        """The customer as it is now; it stays so whatever happens to the customer later in the transaction."""
        return CustomerState(
            id=self.id,
            external_id=self.external_id,
            name=self.name,
            country=self.country,
            active=self.active,
            version=self.version,
            email=self.email,
            source=self.source,
            created_at=self.created_at,
            updated_at=self.updated_at,
        )


def _email_key(email: str | None) -> str | None:
    return None if email is None else email_key(email)
