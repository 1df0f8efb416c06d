"""Sessions: what a device gets when somebody signs in, and how it goes on and ends.

A refresh token is good for one use. Used again, somebody has it who should not: its whole family ends, with the access
tokens of it. Who did not hear the answer sends the same Idempotency-Key again, and hears of the same successor as long
as that one was not used.
"""

from dataclasses import dataclass
from uuid import UUID

from orderhouse.auth import reads
from orderhouse.auth.errors import RefreshRefused, SessionNotFound
from orderhouse.auth.models import ACCESS, LONGEST, RefreshToken, Revocation, Session
from orderhouse.auth.repository import AuthRepository
from orderhouse.auth.sealing import Sealer, digest_of, new_token
from orderhouse.auth.service.access_tokens import LASTS_S, AccessTokens
from orderhouse.auth.service.asking import Where, audited, instead, person_of
from orderhouse.kernel.clock import Instant
from orderhouse.kernel.ids import new_id
from orderhouse.runtime.blocking import BlockingDatabase
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
from orderhouse.runtime.one_by_one import one_by_one
from orderhouse.users.contract import People, Person

PREFIX = "ohr_"


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody is given who came in."""

    access_token: str
    refresh_token: str
    session_id: UUID
    scope: str | None = None
    device_token: str | None = None
    expires_in: int = LASTS_S


@dataclass(frozen=True, slots=True)
class NewSession:
    """What a session begins as."""

    person: Person
    where: Where
    factors: str
    client_id: str
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class RefreshWith:
    """A refresh token that is to be used up, and the key of a request that may be sent again."""

    token: str
    client_id: str
    retry_key: str | None = None


@dataclass(frozen=True, slots=True)
class _Rotation:
    wanted: RefreshWith
    session_id: UUID
    person: Person | None


class SessionService:
    """Begins sessions, carries them on, and ends them."""

    def __init__(self, store: BlockingDatabase, people: People, sealer: Sealer, access: AccessTokens) -> None:
        """Keep them in `store`; ask `people` who somebody is by now."""
        self._store = store
        self._people = people
        self._sealer = sealer
        self._access = access

    def begin(self, tx: Transaction, asked: Asked[object], new: NewSession) -> Given:
        """Begin a session within `tx`."""
        session = Session(
            id=new_id(),
            user_id=new.person.id,
            client_id=new.client_id,
            scope=new.scope,
            device=new.where.device,
            address=new.where.address,
            factors=new.factors,
            created_at=asked.at,
            seen_at=asked.at,
            expires_at=asked.at + LONGEST,
            ended_at=None,
            ended_why="",
        )
        auth = AuthRepository(tx)
        auth.add(session)
        return self._given(auth, session, new.person, new_token(PREFIX), asked.at)

    def refresh(self, asked: Asked[RefreshWith]) -> Given:
        """Use up a refresh token; RefreshRefused. One that was used before ends its session."""
        found = self._store.read(reads.session_of, digest_of(asked.wanted.token))
        if found is None:
            raise RefreshRefused
        session_id, user_id = found
        person = self._people.by_id(user_id)
        given = self._store.write(self._rotated, instead(asked, _Rotation(asked.wanted, session_id, person)))
        if given is None:
            raise RefreshRefused
        return given

    @one_by_one
    def _rotated(self, tx: Transaction, asked: Asked[_Rotation]) -> Given | None:
        wanted, person, auth = asked.wanted.wanted, asked.wanted.person, AuthRepository(tx)
        session = auth.session(asked.wanted.session_id)
        token = auth.refresh_token(digest_of(wanted.token))
        if session is None or token is None or not session.live(asked.at) or session.client_id != wanted.client_id:
            return None
        if person is None or not person.active:
            end_one(auth, asked, session, "user_inactive")
            return None
        retry = digest_of(wanted.retry_key) if wanted.retry_key is not None else None
        successor = self._successor(wanted)
        if token.waits(asked.at):
            token.used_at, token.used_with, session.seen_at = asked.at, retry, asked.at
            return self._given(auth, session, person, successor, asked.at)
        if token.used_at is not None and retry is not None and retry == token.used_with:
            following = auth.refresh_token(digest_of(successor))
            if following is not None and following.waits(asked.at):
                return self._with(session, person, successor)
        if token.used_at is not None:
            end_one(auth, asked, session, "refresh_token_reused")
        return None

    def _successor(self, wanted: RefreshWith) -> str:
        if wanted.retry_key is None:
            return new_token(PREFIX)
        # The same whenever it is asked for, and nobody's to tell who has not got the secret.
        return PREFIX + self._sealer.derived("refresh", wanted.token, wanted.retry_key)

    def _given(self, auth: AuthRepository, session: Session, person: Person, token: str, at: Instant) -> Given:
        auth.add(
            RefreshToken(digest=digest_of(token), session_id=session.id, issued_at=at, used_at=None, used_with=None)
        )
        return self._with(session, person, token)

    def _with(self, session: Session, person: Person, token: str) -> Given:
        access = self._access.issue(person, session=session.id, client_id=session.client_id, scope=session.scope)
        return Given(access, token, session.id, session.scope)

    def end_all(
        self, auth: AuthRepository, asked: Asked[object], user_id: UUID, why: str, *, but: UUID | None = None
    ) -> None:
        """End every session of somebody within a transaction, but one."""
        for session in auth.live_sessions(user_id):
            if session.id != but:
                end_one(auth, asked, session, why)

    def end(self, asked: Asked[UUID]) -> None:
        """End a session of the caller; SessionNotFound."""
        self._store.write(self._ended, asked)

    @one_by_one
    def _ended(self, tx: Transaction, asked: Asked[UUID]) -> None:
        auth = AuthRepository(tx)
        session = auth.session(asked.wanted)
        if session is None or session.user_id != person_of(asked.caller) or not session.live(asked.at):
            raise SessionNotFound
        end_one(auth, asked, session, "signed_out")

    def end_others(self, asked: Asked[None]) -> None:
        """End every session of the caller but the one that asks."""
        self._store.write(self._others_ended, asked)

    @one_by_one
    def _others_ended(self, tx: Transaction, asked: Asked[None]) -> None:
        self.end_all(AuthRepository(tx), asked, person_of(asked.caller), "signed_out", but=asked.caller.session)

    def by_refresh_token(self, asked: Asked[str]) -> None:
        """End the session of a refresh token, if there is one: whoever has it may (RFC 7009)."""
        self._store.write(self._ended_by_token, asked)

    @one_by_one
    def _ended_by_token(self, tx: Transaction, asked: Asked[str]) -> None:
        auth = AuthRepository(tx)
        session_id = auth.session_of(digest_of(asked.wanted))
        session = auth.session(session_id) if session_id else None
        if session is not None and session.live(asked.at):
            end_one(auth, asked, session, "revoked")


def end_one(auth: AuthRepository, asked: Asked[object], session: Session, why: str) -> None:
    """End a session within a transaction: its refresh tokens now, its access tokens within a second."""
    session.end(why, at=asked.at)
    auth.add(revocation("session", str(session.id), asked.at))
    auth.add(audited(asked, "session_ended", user_id=session.user_id, after={"session": session.id, "why": why}))


def revocation(kind: str, of: str, at: Instant) -> Revocation:
    """Return what makes access tokens not good any more; it says nothing once they have expired."""
    return Revocation(id=new_id(), kind=kind, of=of, before=at, until=at + 2 * ACCESS)
