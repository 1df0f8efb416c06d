"""Access tokens: what a person, a session and a scope come to."""

import time
from collections.abc import Callable, Mapping
from uuid import UUID

from orderhouse.auth.models import ACCESS, SECOND
from orderhouse.kernel.principal import PERMISSIONS, ROLES
from orderhouse.runtime.tokens import SigningKeys
from orderhouse.users.contract import Person

LASTS_S = ACCESS // SECOND

_OF_EVERYBODY = frozenset({"account:use"})


class AccessTokens:
    """Issues them, with whatever key signs now."""

    def __init__(self, keys: Callable[[], SigningKeys]) -> None:
        """Sign with what `keys` returns."""
        self._keys = keys

    def issue(self, person: Person, *, session: UUID | None, client_id: str, scope: str | None = None) -> str:
        """Return a token for all `person` may do, or what of it is in `scope`."""
        return self._keys().issue(
            str(person.id),
            person.role,
            minutes=LASTS_S / 60,
            customer_id=person.customer_id if person.role == "customer" else None,
            permissions=_permissions(person),
            scope=scope,
            client_id=client_id,
            session=session,
        )

    def issue_for_client(self, client_id: str, scope: str) -> str:
        """Return a token for a client that acts for itself: it may do what is in `scope`, and nothing else."""
        return self._keys().issue(
            f"client:{client_id}",
            "service",
            minutes=LASTS_S / 60,
            permissions=frozenset(scope.split()) & PERMISSIONS.keys(),
            scope=scope,
            client_id=client_id,
        )

    def signed(self, claims: Mapping[str, object], *, lasts_s: int) -> str:
        """Return `claims` as a JWT that is no access token."""
        now = int(time.time())
        return self._keys().signed({**claims, "iat": now, "exp": now + lasts_s}, "JWT")


def _permissions(person: Person) -> frozenset[str] | None:
    if person.role not in ROLES:
        return person.permissions | _OF_EVERYBODY
    # Who is no customer yet may see to the account, and to nothing else.
    return _OF_EVERYBODY if person.role == "customer" and person.customer_id is None else None
