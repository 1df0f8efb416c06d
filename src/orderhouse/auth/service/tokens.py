"""Tokens looked at and taken back by whoever has them: introspection (RFC 7662) and revocation (RFC 7009)."""

from collections.abc import Mapping
from threading import Lock

from orderhouse.auth import reads
from orderhouse.auth.models import MINUTE, SECOND, Revocation
from orderhouse.auth.repository import AuthRepository
from orderhouse.auth.sealing import digest_of
from orderhouse.auth.service.asking import audited, instead
from orderhouse.auth.service.sessions import PREFIX, SessionService
from orderhouse.kernel.errors import Unauthenticated
from orderhouse.kernel.ids import new_id
from orderhouse.runtime.blocking import BlockingDatabase
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
from orderhouse.runtime.one_by_one import one_by_one
from orderhouse.runtime.tokens import AUDIENCE, Verified, Verifier

INACTIVE: Mapping[str, object] = {"active": False}


class TokenService:
    """Knows every token there is, as of now."""

    def __init__(self, store: BlockingDatabase, sessions: SessionService, verifier: Verifier) -> None:
        """Look into `store`; `verifier` is this service's own, which is told of every revocation before it is asked."""
        self._store = store
        self._sessions = sessions
        self._verifier = verifier
        self._one_at_a_time = Lock()

    def introspect(self, asked: Asked[str]) -> Mapping[str, object]:
        """Return what a token is good for now. Of one that is good for nothing, nobody learns what it was."""
        token = asked.wanted
        if token.startswith(PREFIX):
            return self._refresh(asked)
        try:
            found = self._examined(asked)
        except Unauthenticated:
            return INACTIVE
        who = found.principal
        return {
            "active": True,
            "token_type": "Bearer",
            "iss": found.issuer,
            "aud": AUDIENCE,
            "sub": who.subject,
            "client_id": found.client_id,
            "jti": found.token_id,
            "iat": found.issued // SECOND,
            "exp": found.expires,
            "role": who.role,
            **({"scope": " ".join(sorted(who.scope))} if who.scope is not None else {}),
            **({"sid": str(who.session)} if who.session else {}),
        }

    def _refresh(self, asked: Asked[str]) -> Mapping[str, object]:
        found = self._store.read(reads.waiting, digest_of(asked.wanted), asked.at)
        if found is None:
            return INACTIVE
        return {
            "active": True,
            "sub": str(found.user_id),
            "client_id": found.client_id,
            "iat": found.issued_at // SECOND,
            "exp": found.expires_at // SECOND,
            "sid": str(found.session_id),
            **({"scope": found.scope} if found.scope is not None else {}),
        }

    def _examined(self, asked: Asked[str]) -> Verified:
        revocations = self._verifier.revocations
        told = self._store.read(reads.revoked, revocations.latest, asked.at)
        with self._one_at_a_time:
            revocations.forget(asked.at)
            revocations.take(told)
            return self._verifier.examine(asked.wanted)

    def revoke(self, asked: Asked[str]) -> None:
        """Let a token be good for nothing, with its session if it refreshes one. What is no good token is none."""
        if asked.wanted.startswith(PREFIX):
            self._sessions.by_refresh_token(asked)
            return
        try:
            found = self._examined(asked)
        except Unauthenticated:
            return
        self._store.write(self._revoked, instead(asked, found))

    @one_by_one
    def _revoked(self, tx: Transaction, asked: Asked[Verified]) -> None:
        found, auth = asked.wanted, AuthRepository(tx)
        until = (found.expires + 1) * SECOND + MINUTE
        auth.add(Revocation(id=new_id(), kind="token", of=found.token_id, before=asked.at, until=until))
        auth.add(audited(asked, "token_revoked", actor=found.principal.subject, after={"token": found.token_id}))
