"""The contract of users over HTTP, for the services beside it."""

from typing import Any
from uuid import UUID

from flask import Blueprint

from orderhouse.runtime.once import Answer
from orderhouse.runtime.web.answers import json_answer
from orderhouse.runtime.web.flask_edge import body, needs
from orderhouse.users.contract import People, Person
from orderhouse.users.errors import AddressTaken, UserNotFound
from orderhouse.users.schemas import PEOPLE, PEOPLE_SEARCHES, FindPerson, PersonOut, SignUp


def blueprint(everybody: People) -> Blueprint:
    """Return the views."""
    views = Blueprint("people", __name__)

    @views.get(f"{PEOPLE}/<uuid:user_id>")
    @needs("users:identify", UserNotFound, answers=PersonOut)
    def get_person(user_id: UUID) -> Answer:
        """Tell a neighbour who somebody is and what they may do now."""
        return _told(everybody.by_id(user_id))

    @views.post(PEOPLE_SEARCHES)
    @needs("users:identify", UserNotFound, body=FindPerson, answers=PersonOut)
    def find_person() -> Answer:
        """Tell a neighbour whose address it is. An address is in a body, not in a path that is logged somewhere."""
        return _told(everybody.by_email(body(FindPerson).email))

    @views.put(f"{PEOPLE}/<uuid:user_id>")
    @needs("users:identify", AddressTaken, body=SignUp, answers=PersonOut)
    def sign_up(user_id: UUID) -> Answer:
        """Sign somebody up as a customer, under an id the neighbour has made; doing it again changes nothing."""
        wanted = body(SignUp)
        return _told(everybody.sign_up(user_id=user_id, email=wanted.email, name=wanted.name))

    @views.put(f"{PEOPLE}/<uuid:user_id>/verification")
    @needs("users:identify", UserNotFound, answers=PersonOut)
    def verify_email(user_id: UUID) -> Answer:
        """Hold somebody's address for verified, and link their customer record; doing it again changes nothing."""
        return _told(everybody.verify_email(user_id))

    return views


def _told(person: Person | None) -> Answer:
    if person is None:
        raise UserNotFound
    told: dict[str, Any] = {
        "id": person.id,
        "email": person.email,
        "name": person.name,
        "email_verified": person.email_verified,
        "active": person.active,
        "role": person.role,
        "permissions": sorted(person.permissions),
        "customer_id": person.customer_id,
    }
    return json_answer(told)
