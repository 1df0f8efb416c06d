"""What neighbours ask the audit log to keep: who was refused what."""

from collections.abc import Sequence
from uuid import UUID

import orjson

from orderhouse.auth.models import AuditEntry
from orderhouse.auth.repository import AuthRepository
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
from orderhouse.runtime.refused import Refused

REFUSED = "refused"
"""The action of each refusal."""


class AuditService:
    """Adds to the audit log. What is in it stays as it is."""

    def keep_refused(self, tx: Transaction, asked: Sequence[Asked[Sequence[Refused]]]) -> Sequence[int]:
        """Keep refusals, each once however often it comes, and return how many of each lot were new."""
        auth = AuthRepository(tx)
        known = auth.audited([refused.id for one in asked for refused in one.wanted])
        kept = []
        for one in asked:
            new = {refused.id: refused for refused in one.wanted if refused.id not in known}
            auth.add(*map(_entry, new.values()))
            known |= new.keys()
            kept.append(len(new))
        return kept


def _entry(refused: Refused) -> AuditEntry:
    return AuditEntry(
        id=refused.id,
        at=refused.at,
        action=REFUSED,
        actor=refused.actor,
        user_id=_person(refused.actor),
        address=refused.address,
        request_id=refused.request_id,
        before="{}",
        after=orjson.dumps({"code": refused.code, "operation": refused.operation, "path": refused.path}).decode(),
    )


def _person(actor: str) -> UUID | None:
    """Return whose token it was; None for an operator's or a machine's."""
    try:
        return UUID(actor)
    except ValueError:
        return None
