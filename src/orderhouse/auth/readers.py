"""What auth does at the facts of users: whoever may do less is out, and what was changed is in the audit log."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from orderhouse.auth.repository import AuthRepository
from orderhouse.auth.service.asking import NOBODY, audited
from orderhouse.auth.service.sessions import end_one, revocation
from orderhouse.kernel.events import Fact
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
from orderhouse.users import contract as users

READS = {"users": tuple(users.FACTS)}
"""Whose facts, and which of them."""

_ROLES: Mapping[str, str] = {
    users.UserInvited.name: "user_invited",
    users.UserJoined.name: "user_joined",
    users.UserRoleChanged.name: "role_changed",
    users.UserEmailVerified.name: "address_held_for_verified",
}
_OTHERS: Mapping[str, str] = {
    users.UserDeactivated.name: "user_deactivated",
    users.UserReactivated.name: "user_reactivated",
    users.UserErased.name: "user_erased",
    users.TeamJoined.name: "team_joined",
    users.TeamLeft.name: "team_left",
    users.RoleAdded.name: "role_defined",
    users.RoleChanged.name: "role_redefined",
    users.RoleRemoved.name: "role_removed",
}
"""What is audited besides, by the fact that tells it."""


def follow_users(tx: Transaction, facts: Sequence[Fact]) -> None:
    """Audit what changed who may do what, and end what was given for what is not so any more."""
    auth = AuthRepository(tx)
    for fact in facts:
        asked = Asked(None, NOBODY, fact.at, fact.origin)
        if fact.name in _ROLES:
            before = auth.last_role(fact.aggregate)
            said = {"role": before} if before else {}
            auth.add(audited(asked, _ROLES[fact.name], user_id=fact.aggregate, before=said, after=fact.data))
        elif fact.name in _OTHERS:
            was, now = _said(fact)
            auth.add(audited(asked, _OTHERS[fact.name], user_id=_whom(fact), before=was, after=now))
        if fact.name in (users.UserRoleChanged.name, users.UserEmailVerified.name):
            # Whoever goes on with the session is told anew who it is.
            auth.add(revocation("subject", str(fact.aggregate), fact.at))
        elif fact.name in (users.UserDeactivated.name, users.UserErased.name):
            _end(auth, asked, fact)


def _whom(fact: Fact) -> UUID | None:
    if fact.name.startswith("User"):
        return fact.aggregate
    return UUID(str(fact.data["user_id"])) if "user_id" in fact.data else None


def _said(fact: Fact) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """Return what was so before and what is so after, as far as the fact tells it."""
    if fact.name.startswith("User"):
        return {}, fact.data
    of = {"team_id" if fact.name.startswith("Team") else "role_id": fact.aggregate}
    if fact.name == users.RoleChanged.name:
        told = users.RoleChanged.read(fact)
        return {"permissions": told.before}, {**of, "permissions": told.permissions}
    return {}, {**of, **fact.data}


def _end(auth: AuthRepository, asked: Asked[None], fact: Fact) -> None:
    for session in auth.live_sessions(fact.aggregate):
        end_one(auth, asked, session, _OTHERS[fact.name])
    auth.add(revocation("subject", str(fact.aggregate), asked.at))
    if fact.name == users.UserErased.name:
        for key in auth.live_api_keys(fact.aggregate):
            key.revoked_at = asked.at
        auth.drop_proofs(fact.aggregate)
