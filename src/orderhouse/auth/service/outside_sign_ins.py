"""Coming in by an outside provider: an account is linked by an address that is proved on both sides."""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import UUID

import orjson

from orderhouse.auth import reads
from orderhouse.auth.errors import OutsideRefused, OutsideUnset
from orderhouse.auth.models import MINUTE, Link
from orderhouse.auth.outside import Somebody
from orderhouse.auth.repository import AuthRepository
from orderhouse.auth.sealing import SealBroken, Sealer
from orderhouse.auth.service.asking import FIRST_PARTY, Where, audited, instead
from orderhouse.auth.service.attempts import AttemptsService
from orderhouse.auth.service.sessions import Given, NewSession, SessionService
from orderhouse.runtime.blocking import BlockingDatabase
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
from orderhouse.runtime.one_by_one import one_by_one
from orderhouse.users.contract import People, Person

_LASTS = 10 * MINUTE


class Provider(Protocol):
    """Who knows people that we do not."""

    def where_to(self, *, state: str, nonce: str, challenge: str) -> str:
        """Return where somebody is sent to say who they are."""

    def who(self, code: str, *, verifier: str, nonce: str) -> Somebody:
        """Return who came back with a code."""


@dataclass(frozen=True, slots=True)
class Begun:
    """Where to go, and what to come back with."""

    url: str
    ticket: str


@dataclass(frozen=True, slots=True)
class CameBack:
    """Somebody whom the provider sent back."""

    ticket: str
    code: str
    state: str
    where: Where


@dataclass(frozen=True, slots=True)
class _Known:
    person: Person
    somebody: Somebody
    where: Where


class OutsideSignInService:
    """Lets people in whom somebody else knows."""

    def __init__(
        self,
        store: BlockingDatabase,
        people: People,
        sealer: Sealer,
        attempts: AttemptsService,
        sessions: SessionService,
        provider: Provider | None,
    ) -> None:
        """Ask `provider`, if there is one; links are kept in `store`."""
        self._store = store
        self._people = people
        self._sealer = sealer
        self._attempts = attempts
        self._sessions = sessions
        self._provider = provider

    def begin(self, asked: Asked[None]) -> Begun:
        """Return where to go, and a ticket that only who begins has; OutsideUnset."""
        if self._provider is None:
            raise OutsideUnset
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        url = self._provider.where_to(state=state, nonce=nonce, challenge=challenge)
        sealed = self._sealer.seal("outside", orjson.dumps([state, nonce, verifier, asked.at + _LASTS]))
        return Begun(url, base64.urlsafe_b64encode(sealed).decode())

    def complete(self, asked: Asked[CameBack]) -> Given:
        """Let in who came back, and has or gets a link by an address proved on both sides; else OutsideRefused."""
        if self._provider is None:
            raise OutsideUnset
        came = asked.wanted
        nonce, verifier = self._opened(came, asked.at)
        somebody = self._provider.who(came.code, verifier=verifier, nonce=nonce)
        person = self._person(somebody)
        if person is None or not person.active:
            raise OutsideRefused
        given = self._store.write(self._let_in, instead(asked, _Known(person, somebody, came.where)))
        return replace(given, device_token=self._attempts.device_token(person.email))

    def _opened(self, came: CameBack, at: int) -> tuple[str, str]:
        try:
            sealed = base64.urlsafe_b64decode(came.ticket.encode())
            state, nonce, verifier, until = orjson.loads(self._sealer.open("outside", sealed))
        except (SealBroken, ValueError):
            raise OutsideRefused from None
        # The state ties what came back to whoever holds the ticket: a code of somebody else's is of no use to them.
        if at >= until or not hmac.compare_digest(state.encode(), came.state.encode("utf-8", "surrogatepass")):
            raise OutsideRefused
        return nonce, verifier

    def _person(self, somebody: Somebody) -> Person | None:
        linked: UUID | None = self._store.read(reads.linked, somebody.issuer, somebody.subject)
        if linked is not None:
            return self._people.by_id(linked)
        person = self._people.by_email(somebody.email) if somebody.email else None
        # An address nobody proved here may have been registered by anybody.
        return person if person is not None and person.email_verified else None

    @one_by_one
    def _let_in(self, tx: Transaction, asked: Asked[_Known]) -> Given:
        known, auth = asked.wanted, AuthRepository(tx)
        person, somebody = known.person, known.somebody
        link = auth.link(somebody.issuer, somebody.subject)
        if link is None:
            auth.add(Link(issuer=somebody.issuer, subject=somebody.subject, user_id=person.id, linked_at=asked.at))
            auth.add(
                audited(asked, "linked", user_id=person.id, actor=str(person.id), after={"issuer": somebody.issuer})
            )
        elif link.user_id != person.id:
            raise OutsideRefused
        after = {"factors": "fed", "issuer": somebody.issuer, "device": known.where.device}
        address = known.where.address
        auth.add(audited(asked, "signed_in", user_id=person.id, actor=str(person.id), address=address, after=after))
        return self._sessions.begin(tx, asked, NewSession(person, known.where, "fed", client_id=FIRST_PARTY))
