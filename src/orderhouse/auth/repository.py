"""Every query that writing needs in auth, and nothing else; through the ORM."""

from collections.abc import Mapping, Sequence
from typing import TypeVar
from uuid import UUID

import orjson
from sqlalchemy import delete, select

from orderhouse.auth.models import (
    DAY,
    MINUTE,
    ApiKey,
    Attempts,
    AuditEntry,
    AuthorizationCode,
    Client,
    Consent,
    Credential,
    DeviceCode,
    Link,
    MailedToken,
    RecoveryCode,
    RefreshToken,
    Session,
    TotpSecret,
    _Mapped,
)
from orderhouse.kernel.clock import Instant
from orderhouse.kernel.errors import Refusal
from orderhouse.runtime.database.transaction import Transaction

REFUSALS: Mapping[str, type[Refusal]] = {}
"""What it means that a constraint of the database was broken: nothing that a caller could cause."""

ROLE_ACTIONS = ("user_invited", "user_joined", "role_changed", "address_held_for_verified")
"""What the audit log says a role after."""

_AT_ONCE = 500
_KEPT = 30 * DAY
_EXPIRED = (
    "DELETE FROM attempts WHERE digest IN (SELECT digest FROM attempts WHERE until <= :at LIMIT :most)",
    "DELETE FROM mailed_tokens WHERE digest IN (SELECT digest FROM mailed_tokens WHERE expires_at <= :at LIMIT :most)",
    # An hour after, because a code that comes again ends what came of it.
    f"DELETE FROM oauth_codes WHERE digest IN (SELECT digest FROM oauth_codes WHERE expires_at <= :at - {60 * MINUTE} "
    "LIMIT :most)",
    "DELETE FROM oauth_device_codes WHERE digest IN (SELECT digest FROM oauth_device_codes "
    f"WHERE expires_at <= :at - {60 * MINUTE} LIMIT :most)",
    "DELETE FROM revocations WHERE id IN (SELECT id FROM revocations WHERE until <= :at LIMIT :most)",
    "DELETE FROM refresh_tokens WHERE digest IN (SELECT r.digest FROM sessions AS s JOIN refresh_tokens AS r "
    f"ON r.session_id = s.id WHERE s.expires_at <= :at - {_KEPT} LIMIT :most)",
    f"DELETE FROM sessions WHERE id IN (SELECT id FROM sessions AS s WHERE expires_at <= :at - {_KEPT} AND NOT EXISTS "
    "(SELECT 1 FROM refresh_tokens AS r WHERE r.session_id = s.id) LIMIT :most)",
)

M = TypeVar("M", bound=_Mapped)


class AuthRepository:
    """What auth keeps, in one transaction. What is changed about what it returns is kept with it."""

    def __init__(self, tx: Transaction) -> None:
        """Work in `tx`."""
        self._tx = tx
        self._session = tx.session

    def add(self, *made: _Mapped) -> None:
        """Keep what is new."""
        self._session.add_all(made)
        # Now, and so in the order of saying: what is deleted and added anew in one transaction are two rows to the ORM.
        self._session.flush()

    def _held(self, kind: type[M], *key: object) -> M | None:
        """Return a row that nobody else changes before this transaction ends."""
        named = dict(zip((column.name for column in kind.__table__.primary_key), key, strict=True))
        return self._session.scalars(select(kind).filter_by(**named).with_for_update()).one_or_none()

    def credential(self, user_id: UUID) -> Credential | None:
        """Return somebody's password."""
        return self._held(Credential, user_id)

    def session(self, session_id: UUID) -> Session | None:
        """Return a session."""
        return self._held(Session, session_id)

    def live_sessions(self, user_id: UUID) -> Sequence[Session]:
        """Return somebody's sessions that did not end."""
        wanted = select(Session).where(Session.user_id == user_id, Session.ended_at.is_(None)).order_by(Session.id)
        return self._session.scalars(wanted.with_for_update()).all()

    def session_of(self, digest: bytes) -> UUID | None:
        """Return the session of a refresh token, which is to be held before the token is."""
        wanted = select(RefreshToken.session_id).where(RefreshToken.digest == digest)
        return self._session.scalars(wanted).one_or_none()

    def refresh_token(self, digest: bytes) -> RefreshToken | None:
        """Return a refresh token; its session is to be held before it, so that two uses never wait for each other."""
        return self._held(RefreshToken, digest)

    def mailed(self, digest: bytes) -> MailedToken | None:
        """Return a token that was sent by mail."""
        return self._held(MailedToken, digest)

    def drop_mailed(self, user_id: UUID, purpose: str) -> None:
        """Forget the tokens somebody was sent before."""
        self._session.execute(delete(MailedToken).where(MailedToken.user_id == user_id, MailedToken.purpose == purpose))

    def count(self, digest: bytes, *, at: Instant, window: int) -> int:
        """Count one more attempt within its window, and return how many that makes."""
        # One statement: two at once are never counted as one.
        rows = self._tx.rows(
            "INSERT INTO attempts (digest, failures, until) VALUES (:digest, 1, :until) "
            "ON CONFLICT (digest) DO UPDATE SET "
            "failures = CASE WHEN attempts.until <= :at THEN 1 ELSE attempts.failures + 1 END, "
            "until = CASE WHEN attempts.until <= :at THEN :until ELSE attempts.until END RETURNING failures",
            digest=digest,
            until=at + window,
            at=at,
        )
        return int(rows[0][0])

    def uncount(self, digests: Sequence[bytes]) -> None:
        """Take one attempt back from each."""
        for digest in digests:
            self._tx.run("UPDATE attempts SET failures = failures - 1 WHERE digest = :digest", digest=digest)

    def forgive(self, digests: Sequence[bytes]) -> None:
        """Forget all attempts at each."""
        self._session.execute(delete(Attempts).where(Attempts.digest.in_(digests)))

    def forget(self, at: Instant) -> int:
        """Forget some of what has expired by `at`, and return how much it was; nothing is left when it is nothing."""
        return sum(len(self._tx.rows(f"{sql} RETURNING 1", at=at, most=_AT_ONCE)) for sql in _EXPIRED)

    def totp(self, user_id: UUID) -> TotpSecret | None:
        """Return somebody's second factor."""
        return self._held(TotpSecret, user_id)

    def recovery_code(self, user_id: UUID, digest: bytes) -> RecoveryCode | None:
        """Return a recovery code."""
        return self._held(RecoveryCode, user_id, digest)

    def drop_factor(self, user_id: UUID) -> None:
        """Forget somebody's second factor, and what stands in for it."""
        self._session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
        self._session.execute(delete(TotpSecret).where(TotpSecret.user_id == user_id))

    def api_key(self, key_id: UUID) -> ApiKey | None:
        """Return an API key."""
        return self._held(ApiKey, key_id)

    def last_role(self, user_id: UUID) -> str:
        """Return the role somebody had by the audit log; empty when it knows of none."""
        wanted = select(AuditEntry.after).where(AuditEntry.user_id == user_id, AuditEntry.action.in_(ROLE_ACTIONS))
        said = self._session.scalars(wanted.order_by(AuditEntry.id.desc()).limit(1)).one_or_none()
        return str(orjson.loads(said).get("role", "")) if said else ""

    def audited(self, ids: Sequence[UUID]) -> set[UUID]:
        """Return which of these entries the audit log has."""
        return set(self._session.scalars(select(AuditEntry.id).where(AuditEntry.id.in_(ids))))

    def drop_proofs(self, user_id: UUID) -> None:
        """Forget everything somebody can prove who they are by."""
        self.drop_factor(user_id)
        for kind in (Credential, MailedToken, Link, Consent):
            self._session.execute(delete(kind).where(kind.user_id == user_id))

    def live_api_keys(self, user_id: UUID) -> Sequence[ApiKey]:
        """Return somebody's API keys that were not revoked."""
        wanted = select(ApiKey).where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None)).order_by(ApiKey.id)
        return self._session.scalars(wanted.with_for_update()).all()

    def client(self, client_id: str) -> Client | None:
        """Return a client."""
        return self._held(Client, client_id)

    def live_sessions_of_client(self, client_id: str) -> Sequence[Session]:
        """Return the sessions a client carries on. Clients are taken away seldom: there is no index for it."""
        wanted = select(Session).where(Session.client_id == client_id, Session.ended_at.is_(None)).order_by(Session.id)
        return self._session.scalars(wanted.with_for_update()).all()

    def code(self, digest: bytes) -> AuthorizationCode | None:
        """Return an authorization code."""
        return self._held(AuthorizationCode, digest)

    def consent(self, user_id: UUID, client_id: str, scope: str, *, at: Instant) -> None:
        """Remember what somebody lets a client do by now."""
        found = self._held(Consent, user_id, client_id)
        if found is None:
            self.add(Consent(user_id=user_id, client_id=client_id, scope=scope, given_at=at))
        else:
            found.scope, found.given_at = scope, at

    def device(self, digest: bytes) -> DeviceCode | None:
        """Return a device, by its code."""
        return self._held(DeviceCode, digest)

    def device_of_user_code(self, user_code: str) -> DeviceCode | None:
        """Return a device, by the code its owner types."""
        wanted = select(DeviceCode).where(DeviceCode.user_code == user_code)
        return self._session.scalars(wanted.with_for_update()).one_or_none()

    def link(self, issuer: str, subject: str) -> Link | None:
        """Return the link of an outside provider's subject."""
        return self._held(Link, issuer, subject)
