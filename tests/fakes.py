"""Fakes with behaviour. Each earns its trust in tests/conformance, where it is held against the real thing."""

from dataclasses import replace
from uuid import UUID

from pydantic import ValidationError

from orderhouse.kernel.email import email_key
from orderhouse.kernel.principal import permissions_of
from orderhouse.users.contract import Person
from orderhouse.users.errors import AddressTaken, NotSignedUp, UserNotFound
from orderhouse.users.schemas import SignUp


class FakePeople:
    """Users, in memory. `records` are customers by the keys of their addresses."""

    def __init__(self) -> None:
        self.people: dict[UUID, Person] = {}
        self.records: dict[str, UUID] = {}

    def by_id(self, user_id: UUID) -> Person | None:
        return self.people.get(user_id)

    def by_email(self, email: str) -> Person | None:
        try:
            key = email_key(email)
        except ValueError:
            return None
        return next((one for one in self.people.values() if email_key(one.email) == key), None)

    def sign_up(self, *, user_id: UUID, email: str, name: str) -> Person:
        try:
            wanted = SignUp(email=email, name=name)
        except ValidationError:
            raise NotSignedUp from None
        there = self.by_email(email)
        if user_id in self.people or there:
            if there is None or there.id != user_id:
                raise AddressTaken
            return there
        self.people[user_id] = made = Person(
            id=user_id,
            email=wanted.email,
            name=wanted.name,
            email_verified=False,
            active=True,
            role="customer",
            permissions=permissions_of("customer"),
            customer_id=None,
        )
        return made

    def verify_email(self, user_id: UUID) -> Person:
        person = self.people.get(user_id)
        if person is None:
            raise UserNotFound
        if not person.email_verified:
            linked = self.records.get(email_key(person.email)) if person.role == "customer" else None
            person = replace(person, email_verified=True, customer_id=person.customer_id or linked)
            self.people[user_id] = person
        return person
