"""What people let clients do: codes, traded once, and devices that wait to be let in. Authlib knows the protocol."""

import secrets
from dataclasses import dataclass

from orderhouse.auth import reads
from orderhouse.auth.models import MINUTE, SECOND, AuthorizationCode, DeviceCode
from orderhouse.auth.reads import ClientRow, CodeRow, DeviceRow
from orderhouse.auth.repository import AuthRepository
from orderhouse.auth.schemas.clients import IDENTITY
from orderhouse.auth.sealing import digest_of, new_token
from orderhouse.auth.service.access_tokens import LASTS_S, AccessTokens
from orderhouse.auth.service.asking import Where, audited, instead
from orderhouse.auth.service.sessions import Given, NewSession, SessionService, end_one
from orderhouse.auth.service.sign_ins import Known
from orderhouse.runtime.blocking import BlockingDatabase
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
from orderhouse.runtime.one_by_one import one_by_one
from orderhouse.users.contract import People, Person

CODE_LASTS_S = 60
DEVICE_LASTS_S = 600
POLLS_S = 5
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody who lets a client in."""

    client: ClientRow
    known: Known
    redirect_uri: str
    redirect_said: bool
    scope: str
    challenge: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Trade:
    """A code, by whom it was given to."""

    code: str
    client: ClientRow
    where: Where


@dataclass(frozen=True, slots=True)
class LetIn:
    """Somebody who lets a device in, or keeps it out."""

    user_code: str
    known: Known
    allowed: bool


@dataclass(frozen=True, slots=True)
class Traded:
    """What a client was given for somebody."""

    given: Given
    person: Person
    nonce: str
    signed_in_at: int
    factors: str


@dataclass(frozen=True, slots=True)
class _Held:
    trade: Trade
    person: Person


class GrantService:
    """Keeps what was granted until it is traded, once."""

    def __init__(
        self, store: BlockingDatabase, people: People, sessions: SessionService, access: AccessTokens, issuer: str
    ) -> None:
        """Keep it in `store`; `people` knows who somebody is by now."""
        self._store = store
        self._people = people
        self._sessions = sessions
        self._access = access
        self.issuer = issuer

    def approve(self, asked: Asked[Approval]) -> str:
        """Return the code that the client trades for tokens within a minute."""
        code = new_token("oha_")
        self._store.write(self._approved, instead(asked, (asked.wanted, code)))
        return code

    @one_by_one
    def _approved(self, tx: Transaction, asked: Asked[tuple[Approval, str]]) -> None:
        wanted, code = asked.wanted
        person, auth = wanted.known.person, AuthRepository(tx)
        auth.add(
            AuthorizationCode(
                digest=digest_of(code),
                client_id=wanted.client.id,
                user_id=person.id,
                redirect_uri=wanted.redirect_uri,
                redirect_said=wanted.redirect_said,
                scope=wanted.scope,
                challenge=wanted.challenge,
                nonce=wanted.nonce,
                factors=wanted.known.factors,
                signed_in_at=asked.at,
                expires_at=asked.at + CODE_LASTS_S * SECOND,
                used_at=None,
                session_id=None,
            )
        )
        auth.consent(person.id, wanted.client.id, wanted.scope, at=asked.at)
        after = {"client_id": wanted.client.id, "scope": wanted.scope}
        auth.add(audited(asked, "client_allowed", user_id=person.id, actor=str(person.id), after=after))

    def code(self, asked: Asked[Trade]) -> CodeRow | None:
        """Return a code of this client's that may be traded. One that was traded ends what came of it (RFC 9700)."""
        found = self._store.read(reads.code, digest_of(asked.wanted.code))
        if found is None or found.client_id != asked.wanted.client.id:
            return None
        if found.used:
            self._store.write(self._reused, asked)
            return None
        return found if asked.at < found.expires_at else None

    @one_by_one
    def _reused(self, tx: Transaction, asked: Asked[Trade]) -> None:
        self._end_of(AuthRepository(tx), asked)

    def _end_of(self, auth: AuthRepository, asked: Asked[Trade]) -> None:
        code = auth.code(digest_of(asked.wanted.code))
        session = auth.session(code.session_id) if code and code.session_id else None
        if session is not None and session.live(asked.at):
            end_one(auth, asked, session, "code_reused")

    def trade(self, asked: Asked[Trade]) -> Traded | None:
        """Use a code up and return what it is good for; None when it is not, or not any more."""
        found = self.code(asked)
        person = self._people.by_id(found.user_id) if found else None
        if found is None or person is None or not person.active:
            return None
        given = self._store.write(self._traded, instead(asked, _Held(asked.wanted, person)))
        if given is None:
            return None
        return Traded(given, person, found.nonce, found.signed_in_at, found.factors)

    @one_by_one
    def _traded(self, tx: Transaction, asked: Asked[_Held]) -> Given | None:
        wanted, auth = asked.wanted.trade, AuthRepository(tx)
        code = auth.code(digest_of(wanted.code))
        if code is None or code.client_id != wanted.client.id or asked.at >= code.expires_at:
            return None
        if code.used_at is not None:
            self._end_of(auth, instead(asked, wanted))
            return None
        new = NewSession(asked.wanted.person, wanted.where, code.factors, client_id=code.client_id, scope=code.scope)
        given = self._sessions.begin(tx, asked, new)
        code.used_at, code.session_id = asked.at, given.session_id
        return given

    def for_itself(self, client: ClientRow, scope: str) -> str:
        """Return an access token for a client that acts for itself."""
        return self._access.issue_for_client(client.id, scope)

    def id_token(self, traded: Traded, client_id: str) -> str:
        """Return who somebody is, signed for a client (OpenID Connect Core, 2)."""
        scope, person = frozenset((traded.given.scope or "").split()), traded.person
        claims: dict[str, object] = {
            "iss": self.issuer,
            "aud": client_id,
            "sub": str(person.id),
            "auth_time": traded.signed_in_at // SECOND,
            "amr": traded.factors.split(),
            **({"nonce": traded.nonce} if traded.nonce else {}),
            **({"email": person.email, "email_verified": person.email_verified} if "email" in scope else {}),
            **({"name": person.name} if "profile" in scope else {}),
        }
        return self._access.signed(claims, lasts_s=LASTS_S)

    # Devices (RFC 8628)

    def begin_device(self, asked: Asked[tuple[str, str]]) -> tuple[str, str]:
        """Return a device code for a client and scope, and the code its owner types in elsewhere."""
        device_code = new_token("ohv_")
        user_code = "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(2))
        self._store.write(self._device_begun, instead(asked, (*asked.wanted, device_code, user_code)))
        return device_code, user_code

    @one_by_one
    def _device_begun(self, tx: Transaction, asked: Asked[tuple[str, str, str, str]]) -> None:
        client_id, scope, device_code, user_code = asked.wanted
        AuthRepository(tx).add(
            DeviceCode(
                digest=digest_of(device_code),
                user_code=user_code,
                client_id=client_id,
                scope=scope,
                expires_at=asked.at + DEVICE_LASTS_S * SECOND,
                polled_at=0,
                user_id=None,
                refused=False,
                used_at=None,
            )
        )

    def waiting(self, asked: Asked[str]) -> DeviceRow | None:
        """Return the device that waits under a user code, however it is typed."""
        return self._store.read(reads.device_of_user_code, _as_typed(asked.wanted), asked.at)

    def let_in(self, asked: Asked[LetIn]) -> bool:
        """Let a device in, or keep it out; whether it was waiting."""
        return self._store.write(self._let_in, asked)

    @one_by_one
    def _let_in(self, tx: Transaction, asked: Asked[LetIn]) -> bool:
        wanted, auth = asked.wanted, AuthRepository(tx)
        device = auth.device_of_user_code(_as_typed(wanted.user_code))
        if device is None or device.user_id is not None or device.refused or asked.at >= device.expires_at:
            return False
        device.refused, person = not wanted.allowed, wanted.known.person
        device.user_id = person.id
        action = "device_allowed" if wanted.allowed else "device_refused"
        after = {"client_id": device.client_id, "scope": device.scope}
        auth.add(audited(asked, action, user_id=person.id, actor=str(person.id), after=after))
        return True

    def device(self, asked: Asked[str]) -> DeviceRow | None:
        """Return the device of a device code."""
        return self._store.read(reads.device, digest_of(asked.wanted))

    def polled_too_soon(self, asked: Asked[str]) -> bool:
        """Whether a device asks again sooner than it was told to."""
        return self._store.write(self._polled, asked)

    @one_by_one
    def _polled(self, tx: Transaction, asked: Asked[str]) -> bool:
        device = AuthRepository(tx).device(digest_of(asked.wanted))
        if device is None:
            return False
        before, device.polled_at = device.polled_at, asked.at
        # A second less: the way there is not always as long.
        return asked.at < before + (POLLS_S - 1) * SECOND

    def trade_device(self, asked: Asked[Trade]) -> Traded | None:
        """Use a device code up, whose owner let it in, and return what it is good for; None when it is not."""
        found = self._store.read(reads.device, digest_of(asked.wanted.code))
        person = self._people.by_id(found.user_id) if found and found.user_id else None
        if found is None or person is None or not person.active:
            return None
        given = self._store.write(self._device_traded, instead(asked, _Held(asked.wanted, person)))
        return None if given is None else Traded(given, person, "", asked.at, "pwd")

    @one_by_one
    def _device_traded(self, tx: Transaction, asked: Asked[_Held]) -> Given | None:
        wanted, auth = asked.wanted.trade, AuthRepository(tx)
        device = auth.device(digest_of(wanted.code))
        if device is None or device.client_id != wanted.client.id or device.used_at is not None or device.refused:
            return None
        if device.user_id != asked.wanted.person.id or asked.at >= device.expires_at + MINUTE:
            return None
        device.used_at = asked.at
        new = NewSession(asked.wanted.person, wanted.where, "pwd", client_id=device.client_id, scope=device.scope)
        return self._sessions.begin(tx, asked, new)


def _as_typed(user_code: str) -> str:
    plain = "".join(one for one in user_code.upper() if one.isalpha())
    return f"{plain[:4]}-{plain[4:]}"


def known_scope(wanted: str, client: ClientRow) -> str:
    """Return what of a wanted scope the client may ask for; all of it but identity where nothing is wanted."""
    asked_for = wanted.split() or sorted(client.scope - IDENTITY)
    return " ".join(dict.fromkeys(one for one in asked_for if one in client.scope))
