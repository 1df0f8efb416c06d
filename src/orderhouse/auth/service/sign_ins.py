"""Coming in with a password, and a second factor where there is one; as much work for whoever is not known."""

import secrets
from dataclasses import dataclass, replace
from typing import NoReturn

from orderhouse.auth import passwords, reads
from orderhouse.auth.errors import PasswordMustChange, SecondFactorNeeded, SignInRefused
from orderhouse.auth.models import Attempts
from orderhouse.auth.passwords import Hasher
from orderhouse.auth.repository import AuthRepository
from orderhouse.auth.schemas.sessions import SignIn
from orderhouse.auth.service.asking import FIRST_PARTY, Where, audited, instead
from orderhouse.auth.service.attempts import AttemptsService, Tries
from orderhouse.auth.service.second_factors import SecondFactorService
from orderhouse.auth.service.sessions import Given, NewSession, SessionService
from orderhouse.kernel.ids import new_id
from orderhouse.runtime.blocking import BlockingDatabase
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
from orderhouse.runtime.one_by_one import one_by_one
from orderhouse.users.contract import People, Person


@dataclass(frozen=True, slots=True)
class SignInFrom:
    """Who comes in, and where from."""

    wanted: SignIn
    where: Where


@dataclass(frozen=True, slots=True)
class Proved:
    """Somebody whose password was right."""

    person: Person
    kept: reads.Kept
    wanted: SignIn
    where: Where
    tries: Tries
    fresh_hash: str | None


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody who proved to be themselves, and by what."""

    person: Person
    factors: str


class SignInService:
    """Lets people in."""

    def __init__(
        self,
        store: BlockingDatabase,
        people: People,
        hasher: Hasher,
        attempts: AttemptsService,
        factors: SecondFactorService,
        sessions: SessionService,
    ) -> None:
        """Ask `people` who has an address; what somebody can prove it by is in `store`."""
        self._store = store
        self._people = people
        self._hasher = hasher
        self._attempts = attempts
        self._factors = factors
        self._sessions = sessions

    def sign_in(self, asked: Asked[SignInFrom]) -> Given:
        """Let somebody in, on a device of theirs. SignInRefused for whoever is not known or has another password."""
        proved = self.prove(asked)
        given = self._store.write(self._let_in, instead(asked, proved))
        return replace(given, device_token=self._attempts.device_token(proved.person.email))

    def recognise(self, asked: Asked[SignInFrom]) -> Known:
        """Return who somebody proved to be, without a session: for what is given to somebody else on their behalf."""
        return self._store.write(self._recognised, instead(asked, self.prove(asked)))

    def prove(self, asked: Asked[SignInFrom]) -> Proved:
        """Return who it is whose password it is; SignInRefused, PasswordMustChange or SecondFactorNeeded."""
        wanted, where = asked.wanted.wanted, asked.wanted.where
        # A place in the queue comes first: who finds none has not been counted, either.
        with self._hasher.turn():
            person = self._people.by_email(wanted.email)
            tries = self._attempts.begin(asked, wanted.email, where.address, wanted.device_token)
            kept = self._store.read(reads.kept, person.id if person else new_id())
            right = self._hasher.matches(kept.password_hash if kept else None, wanted.password)
            if person is None or kept is None or not right or not person.active:
                self._refuse(asked, person)
            self._complete(asked, kept, tries)
            return Proved(person, kept, wanted, where, tries, self._fresh(kept, wanted, person))

    def _refuse(self, asked: Asked[SignInFrom], person: Person | None) -> NoReturn:
        self._store.write(self._failed, instead(asked, (person, asked.wanted.where)))
        raise SignInRefused

    @one_by_one
    def _failed(self, tx: Transaction, asked: Asked[tuple[Person | None, Where]]) -> None:
        person, where = asked.wanted
        if person is not None:
            AuthRepository(tx).add(audited(asked, "sign_in_failed", user_id=person.id, address=where.address))
        else:
            # What a stranger does is in no audit log, but a row waits for the disk here too, or the time would tell who
            # is known. This one has expired already.
            AuthRepository(tx).add(Attempts(digest=secrets.token_bytes(32), failures=1, until=asked.at))

    def _complete(self, asked: Asked[SignInFrom], kept: reads.Kept, tries: Tries) -> None:
        wanted = asked.wanted.wanted
        if kept.must_change and wanted.new_password is None:
            self._attempts.take_back(asked, tries)
            raise PasswordMustChange
        if kept.has_factor and wanted.code is None:
            self._attempts.take_back(asked, tries)
            raise SecondFactorNeeded

    def _fresh(self, kept: reads.Kept, wanted: SignIn, person: Person) -> str | None:
        """Return a new hash, where the password has to change or is hashed as it was right long ago."""
        if kept.must_change and wanted.new_password is not None:
            passwords.check(wanted.new_password, known=f"{person.email} {person.name}")
            return self._hasher.hashed(wanted.new_password)
        return self._hasher.hashed(wanted.password) if self._hasher.outdated(kept.password_hash) else None

    @one_by_one
    def _let_in(self, tx: Transaction, asked: Asked[Proved]) -> Given:
        proved = asked.wanted
        factors = self._proved(tx, asked)
        return self._sessions.begin(tx, asked, NewSession(proved.person, proved.where, factors, client_id=FIRST_PARTY))

    @one_by_one
    def _recognised(self, tx: Transaction, asked: Asked[Proved]) -> Known:
        return Known(asked.wanted.person, self._proved(tx, asked))

    def _proved(self, tx: Transaction, asked: Asked[Proved]) -> str:
        """Use up what was proved, and return by what; SignInRefused when the password was changed meanwhile."""
        proved, auth = asked.wanted, AuthRepository(tx)
        person = proved.person
        credential = auth.credential(person.id)
        if credential is None or credential.password_hash != proved.kept.password_hash:
            raise SignInRefused
        factors = "pwd"
        if proved.kept.has_factor:
            factors += f" {self._factors.use(auth, asked, person.id, proved.wanted.code or '')}"
        if proved.fresh_hash is not None:
            credential.become(proved.fresh_hash, at=asked.at)
        self._attempts.settle(auth, proved.tries)
        auth.add(
            audited(
                asked,
                "signed_in",
                user_id=person.id,
                actor=str(person.id),
                address=proved.where.address,
                after={"factors": factors, "device": proved.where.device},
            )
        )
        return factors
