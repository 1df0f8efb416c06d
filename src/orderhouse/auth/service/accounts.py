"""Accounts: how one comes to be, and how its password changes. Whether there is one, nobody learns here."""

from dataclasses import dataclass
from uuid import UUID

import structlog

from orderhouse.auth import passwords, reads
from orderhouse.auth.errors import MailedTokenInvalid, PasswordWrong
from orderhouse.auth.mail import Mail, Post
from orderhouse.auth.models import DAY, MINUTE, Credential, MailedToken
from orderhouse.auth.passwords import Hasher
from orderhouse.auth.repository import AuthRepository
from orderhouse.auth.schemas.accounts import AskReset, ChangePassword, Register, Reset, Verify
from orderhouse.auth.sealing import digest_of, new_token
from orderhouse.auth.service.asking import Where, audited, instead, person_of
from orderhouse.auth.service.attempts import AttemptsService, Tries
from orderhouse.auth.service.sessions import SessionService, revocation
from orderhouse.kernel.errors import Conflict, Unavailable
from orderhouse.kernel.ids import new_id
from orderhouse.runtime.blocking import BlockingDatabase
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
from orderhouse.runtime.one_by_one import one_by_one
from orderhouse.users.contract import People, Person

log = structlog.get_logger(__name__)

_RESET, _VERIFY = "reset", "verify"
_NO_TRIES = Tries(())
_LASTS = {_RESET: 10 * MINUTE, _VERIFY: DAY}


@dataclass(frozen=True, slots=True)
class ResetFrom:
    """A password that is set by mail, and where from."""

    wanted: Reset
    where: Where


@dataclass(frozen=True, slots=True)
class ChangeFrom:
    """A password that is changed, and where from."""

    wanted: ChangePassword
    where: Where


@dataclass(frozen=True, slots=True)
class _Mailed:
    user_id: UUID | None
    purpose: str
    token: str
    password_hash: str | None = None


@dataclass(frozen=True, slots=True)
class _NewPassword:
    user_id: UUID
    password_hash: str
    token: str = ""
    before: str = ""
    tries: Tries = _NO_TRIES


class AccountService:
    """Registers people, and lets them change what they prove themselves by."""

    def __init__(
        self,
        store: BlockingDatabase,
        people: People,
        hasher: Hasher,
        attempts: AttemptsService,
        sessions: SessionService,
        post: Post,
    ) -> None:
        """People are added to `people`; what they prove themselves by is kept in `store`."""
        self._store = store
        self._people = people
        self._hasher = hasher
        self._attempts = attempts
        self._sessions = sessions
        self._post = post

    def register(self, asked: Asked[Register]) -> None:
        """Add somebody, or tell the owner of the address that there is an account. The caller cannot tell which."""
        wanted = asked.wanted
        passwords.check(wanted.password, known=f"{wanted.email} {wanted.name}")
        with self._hasher.turn():
            hashed = self._hasher.hashed(wanted.password)
        person = self._signed_up(wanted)
        token = new_token("ohv_")
        mailed = _Mailed(person.id if person else None, _VERIFY, token, hashed)
        self._store.write(self._mailed, instead(asked, mailed))
        if self._attempts.begin_mail(asked, wanted.email):
            self._post.send(_to_verify(wanted.email, token) if person else _already_there(wanted.email))

    def _signed_up(self, wanted: Register) -> Person | None:
        """Return the new person, or one who registered and never proved the address; None when it is somebody's."""
        try:
            return self._people.sign_up(user_id=new_id(), email=wanted.email, name=wanted.name)
        except Conflict:
            person = self._people.by_email(wanted.email)
        fresh = person is not None and not person.email_verified and person.active and person.role == "customer"
        return person if fresh else None

    @one_by_one
    def _mailed(self, tx: Transaction, asked: Asked[_Mailed]) -> None:
        wanted, auth = asked.wanted, AuthRepository(tx)
        if wanted.user_id is None:
            return
        auth.drop_mailed(wanted.user_id, wanted.purpose)
        auth.add(
            MailedToken(
                digest=digest_of(wanted.token),
                user_id=wanted.user_id,
                purpose=wanted.purpose,
                expires_at=asked.at + _LASTS[wanted.purpose],
                used_at=None,
            )
        )
        if wanted.password_hash is not None:
            self._set(auth, asked, wanted.user_id, wanted.password_hash)
            # Whoever registered before with this address never proved it.
            self._sessions.end_all(auth, asked, wanted.user_id, "registered_again")

    def verify(self, asked: Asked[Verify]) -> None:
        """Take the address as its owner's, who has what was sent there and the password given with it.

        The password, because whoever owns the address did not choose one that somebody else registered it with.
        """
        wanted = asked.wanted
        user_id = self._store.read(reads.user_of_mailed, digest_of(wanted.token), _VERIFY, asked.at)
        if user_id is None:
            raise MailedTokenInvalid
        with self._hasher.turn():
            kept = self._store.read(reads.kept, user_id)
            if not self._hasher.matches(kept.password_hash if kept else None, wanted.password):
                raise PasswordWrong
        self._people.verify_email(user_id)
        self._store.write(self._verified, instead(asked, (user_id, wanted.token)))

    @one_by_one
    def _verified(self, tx: Transaction, asked: Asked[tuple[UUID, str]]) -> None:
        user_id, token = asked.wanted
        auth = AuthRepository(tx)
        mailed = auth.mailed(digest_of(token))
        if mailed is not None:
            mailed.used_at = asked.at
        # What was issued before says that there is no customer behind it.
        auth.add(revocation("subject", str(user_id), asked.at))
        auth.add(audited(asked, "address_verified", user_id=user_id, actor=str(user_id)))

    def change_password(self, asked: Asked[ChangeFrom]) -> None:
        """Set the caller's password, who knows the old one; every other session ends."""
        user_id, wanted = person_of(asked.caller), asked.wanted.wanted
        with self._hasher.turn():
            person = self._people.by_id(user_id)
            if person is None:
                raise PasswordWrong
            tries = self._attempts.begin(asked, person.email, asked.wanted.where.address, None)
            kept = self._store.read(reads.kept, user_id)
            if kept is None or not self._hasher.matches(kept.password_hash, wanted.password):
                raise PasswordWrong
            passwords.check(wanted.new_password, known=f"{person.email} {person.name}")
            hashed = self._hasher.hashed(wanted.new_password)
        new = _NewPassword(user_id, hashed, before=kept.password_hash, tries=tries)
        self._store.write(self._changed, instead(asked, new))

    @one_by_one
    def _changed(self, tx: Transaction, asked: Asked[_NewPassword]) -> None:
        wanted, auth = asked.wanted, AuthRepository(tx)
        credential = auth.credential(wanted.user_id)
        if credential is None or credential.password_hash != wanted.before:
            raise PasswordWrong
        credential.become(wanted.password_hash, at=asked.at)
        self._attempts.settle(auth, wanted.tries)
        self._sessions.end_all(auth, asked, wanted.user_id, "password_changed", but=asked.caller.session)
        auth.add(audited(asked, "password_changed", user_id=wanted.user_id))

    def ask_reset(self, asked: Asked[AskReset]) -> None:
        """Send whoever has the address what sets a new password. The caller cannot tell whether anybody has."""
        person = self._people.by_email(asked.wanted.email)
        known = person is not None and person.active
        token = new_token("ohp_")
        may = self._attempts.begin_mail(asked, asked.wanted.email)
        self._store.write(self._mailed, instead(asked, _Mailed(person.id if person and known else None, _RESET, token)))
        if person is not None and known and may:
            self._post.send(_to_reset(person.email, token))

    def reset(self, asked: Asked[ResetFrom]) -> None:
        """Set the password of whoever was sent the token; every session ends, and whatever was tried is forgiven."""
        wanted = asked.wanted.wanted
        user_id = self._store.read(reads.user_of_mailed, digest_of(wanted.token), _RESET, asked.at)
        person = self._people.by_id(user_id) if user_id else None
        if person is None:
            raise MailedTokenInvalid
        passwords.check(wanted.new_password, known=f"{person.email} {person.name}")
        with self._hasher.turn():
            hashed = self._hasher.hashed(wanted.new_password)
        tries = self._attempts.everywhere(person.email, asked.wanted.where.address)
        self._store.write(self._reset, instead(asked, _NewPassword(person.id, hashed, token=wanted.token, tries=tries)))
        self._proved_address(person)

    @one_by_one
    def _reset(self, tx: Transaction, asked: Asked[_NewPassword]) -> None:
        wanted, auth = asked.wanted, AuthRepository(tx)
        mailed = auth.mailed(digest_of(wanted.token))
        if mailed is None or not mailed.good_for(_RESET, asked.at):
            raise MailedTokenInvalid
        mailed.used_at = asked.at
        self._set(auth, asked, wanted.user_id, wanted.password_hash)
        self._attempts.settle(auth, wanted.tries)
        self._sessions.end_all(auth, asked, wanted.user_id, "password_reset")
        auth.add(revocation("subject", str(wanted.user_id), asked.at))
        auth.add(audited(asked, "password_reset", user_id=wanted.user_id, actor=str(wanted.user_id)))

    def _proved_address(self, person: Person) -> None:
        """Who has what was sent to an address has the address."""
        if person.email_verified:
            return
        try:
            self._people.verify_email(person.id)
        except Unavailable:
            # The password is set; the address is proved by the next mail.
            log.warning("address_not_verified", user_id=str(person.id))

    def _set(self, auth: AuthRepository, asked: Asked[object], user_id: UUID, hashed: str) -> None:
        credential = auth.credential(user_id)
        if credential is None:
            auth.add(Credential(user_id=user_id, password_hash=hashed, must_change=False, changed_at=asked.at))
        else:
            credential.become(hashed, at=asked.at)

    def give_once(self, asked: Asked[UUID], password: str) -> bool:
        """Let somebody in with `password` once, which has to be changed at that; not whoever has one of their own."""
        kept = self._store.read(reads.kept, asked.wanted)
        if kept is not None and not kept.must_change:
            return False
        with self._hasher.turn():
            hashed = self._hasher.hashed(password)
        return self._store.write(self._given_once, instead(asked, (asked.wanted, hashed)))

    @one_by_one
    def _given_once(self, tx: Transaction, asked: Asked[tuple[UUID, str]]) -> bool:
        user_id, hashed = asked.wanted
        auth = AuthRepository(tx)
        credential = auth.credential(user_id)
        if credential is not None and not credential.must_change:
            return False
        if credential is None:
            auth.add(Credential(user_id=user_id, password_hash=hashed, must_change=True, changed_at=asked.at))
        else:
            credential.password_hash = hashed
        auth.add(audited(asked, "password_given_once", user_id=user_id))
        return True


def _to_verify(email: str, token: str) -> Mail:
    return Mail(
        email,
        "Is this your address?",
        "Somebody registered at Orderhouse with your address. If it was you, confirm it with this token and the "
        f"password you chose, within a day:\n\n{token}\n\nIf it was not, there is nothing to be done.\n",
    )


def _already_there(email: str) -> Mail:
    return Mail(
        email,
        "You have an account",
        "Somebody, perhaps you, tried to register at Orderhouse with your address, which has an account. Sign in, or "
        "set a new password if you forgot yours. If it was not you, there is nothing to be done.\n",
    )


def _to_reset(email: str, token: str) -> Mail:
    return Mail(
        email,
        "A new password",
        f"Somebody, perhaps you, asked to set a new password. This token does, once, within ten minutes:\n\n{token}\n\n"
        "If it was not you, there is nothing to be done: your password stays as it is.\n",
    )
