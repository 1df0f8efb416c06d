"""The contract of users over HTTP, for a service beside it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from orderhouse.kernel.errors import Refusal
from orderhouse.runtime.calls import Neighbour, NeighbourUnavailable, Told
from orderhouse.users.contract import Person
from orderhouse.users.errors import AddressTaken, NotSignedUp, UserNotFound

_REFUSALS: Mapping[str, type[Refusal]] = {
    AddressTaken.code: AddressTaken,
    UserNotFound.code: UserNotFound,
    "request_invalid": NotSignedUp,
}


class HttpPeople:
    """Users, asked as a neighbour. Each of its questions may be asked twice, and comes to the same."""

    def __init__(self, neighbour: Neighbour) -> None:
        """Ask `neighbour`, which serves users."""
        self._neighbour = neighbour

    def by_id(self, user_id: UUID) -> Person | None:
        """Return a person; None when there is none of that id."""
        return _maybe(self._neighbour.call("GET", f"/v1/people/{user_id}"))

    def by_email(self, email: str) -> Person | None:
        """Return whose address it is; None when it is nobody's, or no address."""
        told = self._neighbour.call("POST", "/v1/people-searches", {"email": email})
        return None if told.code == "request_invalid" else _maybe(told)

    def sign_up(self, *, user_id: UUID, email: str, name: str) -> Person:
        """Return a new person of role customer; the same id again returns the same person."""
        return _person(self._neighbour.call("PUT", f"/v1/people/{user_id}", {"email": email, "name": name}))

    def verify_email(self, user_id: UUID) -> Person:
        """Return the person, whose address is verified from now on."""
        return _person(self._neighbour.call("PUT", f"/v1/people/{user_id}/verification"))


def _maybe(told: Told) -> Person | None:
    return None if told.code == UserNotFound.code else _person(told)


def _person(told: Told) -> Person:
    if told.status >= 400:
        raise _REFUSALS.get(told.code, NeighbourUnavailable)
    said: dict[str, Any] = told.body
    return Person(
        id=UUID(said["id"]),
        email=said["email"],
        name=said["name"],
        email_verified=said["email_verified"],
        active=said["active"],
        role=said["role"],
        permissions=frozenset(said["permissions"]),
        customer_id=UUID(said["customer_id"]) if said["customer_id"] else None,
    )
