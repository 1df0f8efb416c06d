"""What every question to auth has in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import orjson

from orderhouse.auth.errors import NotAPerson
from orderhouse.auth.models import AuditEntry
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.once import Asked

W = TypeVar("W")

FIRST_PARTY = "orderhouse"
"""The client that is the house itself."""

NOBODY = Principal("nobody", "customer", permissions=frozenset())
"""Who asks before having proved anything."""


@dataclass(frozen=True, slots=True)
class Where:
    """Where a request came from, and on what."""

    address: str
    device: str


def instead(asked: Asked[object], wanted: W) -> Asked[W]:
    """Return the same question about something else."""
    return Asked(wanted, asked.caller, asked.at, asked.origin)


def person_of(caller: Principal) -> UUID:
    """Return whose token it is; NotAPerson for a machine's, or an operator's."""
    try:
        return UUID(caller.subject)
    except ValueError:
        raise NotAPerson from None


def audited(
    asked: Asked[object],
    action: str,
    *,
    user_id: UUID | None = None,
    actor: str = "",
    address: str = "",
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> AuditEntry:
    """Return the entry of the audit log that says so."""
    return AuditEntry(
        id=new_id(),
        at=asked.at,
        action=action,
        actor=actor or asked.origin.actor,
        user_id=user_id,
        address=address,
        request_id=asked.origin.request_id,
        before=orjson.dumps(before or {}).decode(),
        after=orjson.dumps(after or {}).decode(),
    )
