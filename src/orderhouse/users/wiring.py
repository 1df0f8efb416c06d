"""Puts the users context together."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import structlog
from pydantic import ValidationError

from orderhouse.customers.contract import CustomerLookup
from orderhouse.kernel import clock
from orderhouse.kernel.errors import Unavailable
from orderhouse.kernel.events import Origin
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.blocking import Bridge
from orderhouse.runtime.database.database import Database, Place, open_database
from orderhouse.runtime.migrate import Schema
from orderhouse.runtime.once import Asked
from orderhouse.users import models, reads, repository
from orderhouse.users.contract import People, Person
from orderhouse.users.errors import NotSignedUp, UserNotFound
from orderhouse.users.models import UserState
from orderhouse.users.schemas import SignUp
from orderhouse.users.service.users import SignUpAs, UserService, Verified

if TYPE_CHECKING:
    from fastapi import APIRouter

    from orderhouse.runtime.web.fastapi_edge import Edge

log = structlog.get_logger(__name__)

W = TypeVar("W")

LetIn = Callable[[UUID], Awaitable[None]]
"""Sees to it that a user has a way to sign in; doing it again changes nothing."""

SCHEMA = Schema("users", models.tables)

# The neighbour that asked is in the log of requests; facts tell whom it was about.
_NEIGHBOUR = Principal("people", "service")


@dataclass(frozen=True, slots=True)
class Users:
    """The users context over its database."""

    database: Database
    service: UserService
    bridge: Bridge

    @classmethod
    def opened(cls, place: Place, *, bound: int = 2048) -> "Users":
        """Open the migrated database at `place`."""
        database = open_database("users", place, models.tables, refusals=repository.REFUSALS, bound=bound)
        return cls(database, UserService(), Bridge())

    def routes(
        self, edge: "Callable[[Database], Edge]", customers: CustomerLookup | None, *, threads: int = 8
    ) -> "APIRouter":
        """Return its part of the API; without `customers` nobody is linked with a record."""
        # The web frameworks are half a second to import: a command that serves nothing does without them.
        from orderhouse.runtime.web import flask_routes
        from orderhouse.users.routes.app import create_app

        records = Records(self.bridge, customers)
        app = create_app(self.service, records, self.people(customers))
        return flask_routes.routes(app, edge(self.database), self.bridge, threads=threads)

    def people(self, customers: CustomerLookup | None) -> People:
        """Return what neighbours in the same process reach users by, from threads of theirs."""
        return InProcessPeople(self.database, self.service, self.bridge, Records(self.bridge, customers))

    async def welcome_first_owner(self, email: str, let_in: LetIn | None = None) -> None:
        """Make the first owner where there is nobody at all, and tell `let_in` who it is; not so while it is away.

        `let_in` gives whoever has no password one to sign in with once. It is told at every start, for as long as the
        address is an active owner's: a process killed between the two would have made an owner who never gets in.
        """
        try:
            owner = await self.first_owner(email)
            if owner is not None and let_in is not None:
                await let_in(owner)
        except Unavailable as refusal:
            # It keeps nobody from starting; the next start tries again.
            log.warning("first_owner_not_welcomed", refused=refusal.code)

    async def first_owner(self, email: str) -> UUID | None:
        """Return the first owner, made where there is nobody at all; None when the address is no active owner's."""
        made: UserState | None = await self.database.write(
            self.service.first_owner, _asked(_signed_up(email, "Owner"), "up")
        )
        if made is not None:
            log.info("first_owner_made", user_id=str(made.id))
            return made.id
        found = await self.database.read(reads.person_with, email)
        return found.id if found is not None and found.active and found.role == "owner" else None


class Records:
    """Customers, as a thread asks about them."""

    def __init__(self, bridge: Bridge, customers: CustomerLookup | None) -> None:
        """Ask `customers` through `bridge`; without them, there is nobody."""
        self._bridge = bridge
        self._customers = customers

    def there_is(self, customer_id: UUID) -> bool:
        """Whether there is such a record."""
        return self._customers is not None and customer_id in self._bridge(_card(self._customers, customer_id))

    def with_email(self, email: str) -> UUID | None:
        """Return the record with this address; None when there is none."""
        if self._customers is None:
            return None
        return self._bridge(_with_email(self._customers, email))


async def _card(customers: CustomerLookup, customer_id: UUID) -> set[UUID]:
    return set(await customers.cards([customer_id]))


async def _with_email(customers: CustomerLookup, email: str) -> UUID | None:
    found = await customers.with_email(email)
    return found.id if found else None


class InProcessPeople:
    """The contract of users, kept in the same process. It blocks the thread that asks, and never the event loop."""

    def __init__(self, database: Database, service: UserService, bridge: Bridge, customers: Records) -> None:
        """Ask and write `database` through `bridge`."""
        self._database = database
        self._service = service
        self._bridge = bridge
        self._customers = customers

    def by_id(self, user_id: UUID) -> Person | None:
        """Return a person; None when there is none of that id."""
        return self._bridge(self._database.read(reads.person, user_id))

    def by_email(self, email: str) -> Person | None:
        """Return whose address it is; None when it is nobody's, or no address."""
        try:
            return self._bridge(self._database.read(reads.person_with, email))
        except ValueError:
            return None

    def sign_up(self, *, user_id: UUID, email: str, name: str) -> Person:
        """Return a new person of role customer; the same id again returns the same person."""
        asked = _asked(SignUpAs(user_id, _signed_up(email, name)), str(user_id))
        self._bridge(self._database.write(self._service.sign_up, asked))
        return self._person(user_id)

    def verify_email(self, user_id: UUID) -> Person:
        """Return the person, whose address is verified from now on, linked with the record that has the address."""
        person = self._person(user_id)
        if person.email_verified:
            return person
        linked = self._customers.with_email(person.email) if person.role == "customer" else None
        asked = _asked(Verified(user_id, person.email, linked), str(user_id))
        self._bridge(self._database.write(self._service.verify_email, asked))
        return self._person(user_id)

    def _person(self, user_id: UUID) -> Person:
        person = self.by_id(user_id)
        if person is None:
            raise UserNotFound
        return person


def _asked(wanted: W, actor: str) -> Asked[W]:
    return Asked(wanted, _NEIGHBOUR, clock.now(), Origin(actor))


def _signed_up(email: str, name: str) -> SignUp:
    try:
        return SignUp(email=email, name=name)
    except ValidationError as error:
        told = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise NotSignedUp(f"{'.'.join(map(str, told['loc']))}: {told['msg']}") from None
