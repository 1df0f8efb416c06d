"""Puts the customers context together."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from pydantic import ValidationError

from orderhouse.customers import models, reads, repository
from orderhouse.customers.contract import CustomerCard, CustomerDirectory, SourceCustomer
from orderhouse.customers.errors import CannotAdmit, ExternalIdTaken
from orderhouse.customers.schemas import ImportCustomer
from orderhouse.customers.service import CustomerService
from orderhouse.kernel import clock
from orderhouse.kernel.errors import Refusal
from orderhouse.kernel.events import Origin
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.database.database import Database, Place, open_database
from orderhouse.runtime.migrate import Schema
from orderhouse.runtime.once import Asked

if TYPE_CHECKING:
    from fastapi import APIRouter

    from orderhouse.runtime.web.fastapi_edge import Edge

SCHEMA = Schema("customers", models.tables)


@dataclass(frozen=True, slots=True)
class Customers:
    """The customers context over its database."""

    database: Database
    service: CustomerService

    @classmethod
    def opened(cls, place: Place, *, bound: int = 2048) -> "Customers":
        """Open the migrated database at `place`."""
        database = open_database("customers", place, models.tables, refusals=repository.REFUSALS, bound=bound)
        return cls(database, CustomerService())

    def routes(self, edge: "Callable[[Database], Edge]") -> "APIRouter":
        """Return its part of the API."""
        # The web framework is half a second to import: a command that serves nothing does without it.
        from orderhouse.customers import routes

        return routes.routes(edge(self.database), self.database, self.service)

    @property
    def directory(self) -> CustomerDirectory:
        """What neighbours in the same process reach customers by."""
        return InProcessDirectory(self.database, self.service)


class InProcessDirectory:
    """The contract of customers, kept in the same process."""

    _AT_ONCE = 1000
    """How many are added in one transaction: it stays so short that nobody's own write waits for it noticeably."""

    def __init__(self, database: Database, service: CustomerService) -> None:
        """Ask and write `database` through `service`."""
        self._database = database
        self._service = service

    async def cards(self, ids: Collection[UUID]) -> Mapping[UUID, CustomerCard]:
        """Return the card of each of `ids` there is a customer for."""
        return await self._database.read(reads.cards, ids)

    async def with_email(self, email: str) -> CustomerCard | None:
        """Return the card of the customer whose address it is; None when it is nobody's."""
        return await self._database.read(reads.card_with, email)

    async def admit(self, source: str, wanted: Sequence[SourceCustomer]) -> Mapping[str, UUID]:
        """Return the id of each customer by its external id; those `source` never brought before are added."""
        asked = [_asked(source, one) for one in wanted]
        admitted: dict[str, UUID] = {}
        for start in range(0, len(asked), self._AT_ONCE):
            admitted.update(await self._admitted(asked[start : start + self._AT_ONCE]))
        return admitted

    async def _admitted(self, asked: Sequence[Asked[ImportCustomer]]) -> Mapping[str, UUID]:
        outcomes = await self._database.write_many(self._service.admit, asked)
        if any(isinstance(outcome, ExternalIdTaken) for outcome in outcomes):
            # Another process admitted it after we had looked; now that it did, we find it.
            outcomes = await self._database.write_many(self._service.admit, asked)
        return {one.wanted.external_id: _id(outcome) for one, outcome in zip(asked, outcomes, strict=True)}


def _asked(source: str, wanted: SourceCustomer) -> Asked[ImportCustomer]:
    actor = f"import:{source}"
    try:
        customer = ImportCustomer(source=source, **wanted._asdict())
    except ValidationError as error:
        told = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise CannotAdmit(f"{'.'.join(map(str, told['loc']))}: {told['msg']}", external_id=wanted.external_id) from None
    return Asked(customer, Principal(actor, "service"), clock.now(), Origin(actor))


def _id(outcome: UUID | Refusal) -> UUID:
    if isinstance(outcome, Refusal):
        raise outcome
    return outcome
