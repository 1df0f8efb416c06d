"""Second factors: time-based codes (RFC 6238), each good once, and recovery codes for whoever lost the device."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

import pyotp

from orderhouse.auth.errors import CodeWrong, FactorMissing, FactorThere, NotAPerson, SecondFactorWrong
from orderhouse.auth.models import SECOND, RecoveryCode, TotpSecret
from orderhouse.auth.repository import AuthRepository
from orderhouse.auth.sealing import Sealer
from orderhouse.auth.service.asking import audited, instead, person_of
from orderhouse.auth.service.attempts import AttemptsService
from orderhouse.kernel.clock import Instant
from orderhouse.runtime.blocking import BlockingDatabase
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
from orderhouse.runtime.one_by_one import one_by_one
from orderhouse.users.contract import People

_CODES = 10
_STEP = 30 * SECOND
# A clock may be half a minute off, either way.
_NEAR = (0, -1, 1)
# Without letters that are taken for another.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class Offered:
    """A factor that counts once a code of it came back."""

    secret: str
    uri: str


class SecondFactorService:
    """Offers factors, confirms them, checks their codes."""

    def __init__(self, store: BlockingDatabase, people: People, sealer: Sealer, attempts: AttemptsService) -> None:
        """Keep secrets in `store`, sealed; `people` knows what somebody is called."""
        self._store = store
        self._people = people
        self._sealer = sealer
        self._attempts = attempts

    def offer(self, asked: Asked[None]) -> Offered:
        """Return a new factor for the caller; FactorThere when one counts already."""
        person = self._people.by_id(person_of(asked.caller))
        if person is None:
            raise NotAPerson
        secret = pyotp.random_base32()
        self._store.write(self._offered, instead(asked, secret))
        return Offered(secret, pyotp.TOTP(secret).provisioning_uri(name=person.email, issuer_name="Orderhouse"))

    @one_by_one
    def _offered(self, tx: Transaction, asked: Asked[str]) -> None:
        auth, user_id = AuthRepository(tx), person_of(asked.caller)
        found = auth.totp(user_id)
        if found is not None and found.confirmed_at is not None:
            raise FactorThere
        sealed = self._sealer.seal("totp", asked.wanted.encode())
        if found is None:
            auth.add(TotpSecret(user_id=user_id, sealed=sealed, confirmed_at=None, last_step=0))
        else:
            found.sealed = sealed

    def confirm(self, asked: Asked[str]) -> list[str]:
        """Let the offered factor count, whose code came back; return recovery codes. CodeWrong."""
        codes = ["-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(2)) for _ in range(_CODES)]
        tries = self._attempts.begin_code(asked, person_of(asked.caller))
        self._store.write(self._confirmed, instead(asked, (asked.wanted, codes)))
        self._attempts.take_back(asked, tries)
        return codes

    @one_by_one
    def _confirmed(self, tx: Transaction, asked: Asked[tuple[str, list[str]]]) -> None:
        auth, user_id = AuthRepository(tx), person_of(asked.caller)
        code, codes = asked.wanted
        found = auth.totp(user_id)
        if found is None:
            raise FactorMissing
        if found.confirmed_at is not None:
            raise FactorThere
        with _as_invalid():
            found.last_step = self._step(found, code, asked.at)
        found.confirmed_at = asked.at
        auth.add(*(RecoveryCode(user_id=user_id, digest=self._recovery(user_id, one), used_at=None) for one in codes))
        auth.add(audited(asked, "second_factor_added", user_id=user_id))

    def remove(self, asked: Asked[str]) -> None:
        """Take the caller's factor away, who has a code of it; FactorMissing or CodeWrong."""
        tries = self._attempts.begin_code(asked, person_of(asked.caller))
        self._store.write(self._removed, asked)
        self._attempts.take_back(asked, tries)

    @one_by_one
    def _removed(self, tx: Transaction, asked: Asked[str]) -> None:
        auth, user_id = AuthRepository(tx), person_of(asked.caller)
        with _as_invalid():
            self.use(auth, asked, user_id, asked.wanted)
        auth.drop_factor(user_id)
        auth.add(audited(asked, "second_factor_removed", user_id=user_id))

    def use(self, auth: AuthRepository, asked: Asked[object], user_id: UUID, code: str) -> str:
        """Use up a code within a transaction, and return how it proved somebody (RFC 8176); SecondFactorWrong."""
        found = auth.totp(user_id)
        if found is None or found.confirmed_at is None:
            raise FactorMissing
        if code.isascii() and code.isdigit():
            found.last_step = self._step(found, code, asked.at)
            return "otp"
        recovery = auth.recovery_code(user_id, self._recovery(user_id, code))
        if recovery is None or recovery.used_at is not None:
            raise SecondFactorWrong
        recovery.used_at = asked.at
        auth.add(audited(asked, "recovery_code_used", user_id=user_id, actor=str(user_id)))
        return "kba"

    def _step(self, found: TotpSecret, code: str, at: Instant) -> int:
        totp = pyotp.TOTP(self._sealer.open("totp", found.sealed).decode())
        now = at // _STEP
        for step in (now + near for near in _NEAR):
            if step > found.last_step and secrets.compare_digest(totp.at(step * _STEP // SECOND), code):
                return step
        raise SecondFactorWrong

    def _recovery(self, user_id: UUID, code: str) -> bytes:
        return self._sealer.digest("recovery", str(user_id), code.strip().lower().replace(" ", "-"))


@contextmanager
def _as_invalid() -> Iterator[None]:
    """Tell whoever is in already that it is the code that is wrong, and not the token."""
    try:
        yield
    except SecondFactorWrong:
        raise CodeWrong from None
