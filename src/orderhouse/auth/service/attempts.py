"""Attempts at passwords, counted before they are made, so that no number of them at once gets past a limit.

Strangers have a hundred a day at one account together, and some from one address. A device that signed in before has a
count of its own: whatever strangers do, its owner comes in. So does whoever sets a new password by mail.
"""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from orderhouse.auth.errors import TooManyAttempts
from orderhouse.auth.models import DAY, MINUTE, SECOND
from orderhouse.auth.repository import AuthRepository
from orderhouse.auth.sealing import Sealer
from orderhouse.auth.service.asking import instead
from orderhouse.kernel.email import email_key
from orderhouse.runtime.blocking import BlockingDatabase
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
from orderhouse.runtime.one_by_one import one_by_one

_ACCOUNT, _ACCOUNT_WINDOW = 100, DAY
_THERE, _THERE_WINDOW = 20, 15 * MINUTE
_ADDRESS, _ADDRESS_WINDOW = 300, 15 * MINUTE
_DEVICE, _DEVICE_WINDOW = 20, 15 * MINUTE
_CODES, _CODES_WINDOW = 20, 15 * MINUTE
_MAILS, _MAILS_WINDOW = 5, 60 * MINUTE


@dataclass(frozen=True, slots=True)
class Limit:
    """How often something may fail within a window."""

    digest: bytes
    most: int
    window: int


@dataclass(frozen=True, slots=True)
class Tries:
    """What one attempt was counted at, until it is known whether it failed."""

    owners: tuple[bytes, ...]
    """Counts that are forgiven whoever proves to be the owner of the account."""
    strangers: tuple[bytes, ...] = ()
    """Counts of what came from one address at all accounts: one account of one's own does not forgive them."""


class AttemptsService:
    """Counts what is tried, and forgives whoever proved to be the owner."""

    def __init__(self, store: BlockingDatabase, sealer: Sealer) -> None:
        """Count in `store`; no address stands there as it is written."""
        self._store = store
        self._sealer = sealer

    def begin(self, asked: Asked[object], email: str, address: str, device_token: str | None) -> Tries:
        """Count an attempt to come in; TooManyAttempts."""
        return self._counted(asked, self._limits(email_key(email), address, device_token))

    def begin_mail(self, asked: Asked[object], email: str) -> bool:
        """Count a mail that is to be sent to an address; whether it may be."""
        digest = self._sealer.digest("attempts", "mail", email_key(email))
        return self._store.write(self._all_within, instead(asked, (Limit(digest, _MAILS, _MAILS_WINDOW),)))

    def take_back(self, asked: Asked[object], tries: Tries) -> None:
        """Let an attempt not have been made: it was no guess."""
        self._store.write(self._uncounted, instead(asked, tries))

    def everywhere(self, email: str, address: str) -> Tries:
        """Return what is forgiven when the owner proved to be the owner by mail."""
        return Tries(tuple(limit.digest for limit in self._limits(email_key(email), address, None)[:2]))

    def begin_code(self, asked: Asked[object], user_id: UUID) -> Tries:
        """Count an attempt at a code by whoever is in already; TooManyAttempts."""
        return self._counted(asked, (Limit(self._digest("code", str(user_id)), _CODES, _CODES_WINDOW),))

    def settle(self, auth: AuthRepository, tries: Tries) -> None:
        """Forgive, within a transaction, what was tried by or at whoever proved to be the owner."""
        auth.forgive(tries.owners)
        auth.uncount(sorted(tries.strangers))

    def device_token(self, email: str) -> str:
        """Return what makes a device known to this account."""
        nonce = secrets.token_urlsafe(16)
        return f"ohd_{nonce}.{self._sealer.derived('device', email_key(email), nonce)}"

    def _limits(self, account: str, address: str, device_token: str | None) -> Sequence[Limit]:
        device = self._known_device(account, device_token)
        if device:
            return (Limit(self._digest("device", account, device), _DEVICE, _DEVICE_WINDOW),)
        return (
            Limit(self._digest("account", account), _ACCOUNT, _ACCOUNT_WINDOW),
            Limit(self._digest("there", account, address), _THERE, _THERE_WINDOW),
            Limit(self._digest("address", address), _ADDRESS, _ADDRESS_WINDOW),
        )

    def _known_device(self, account: str, device_token: str | None) -> str:
        nonce, _, proof = (device_token or "").removeprefix("ohd_").partition(".")
        expected = self._sealer.derived("device", account, nonce)
        return nonce if hmac.compare_digest(expected.encode(), proof.encode("utf-8", "surrogatepass")) else ""

    def _digest(self, *what: str) -> bytes:
        return self._sealer.digest("attempts", *what)

    def _counted(self, asked: Asked[object], limits: Sequence[Limit]) -> Tries:
        if not self._store.write(self._all_within, instead(asked, limits)):
            raise TooManyAttempts(retry_after_s=max(limit.window for limit in limits[-2:]) // SECOND)
        digests = tuple(limit.digest for limit in limits)
        return Tries(digests[:2], digests[2:])

    @one_by_one
    def _all_within(self, tx: Transaction, asked: Asked[Sequence[Limit]]) -> bool:
        attempts = AuthRepository(tx)
        # In the order of their digests, so that two transactions never wait for each other.
        counts = {
            limit.digest: attempts.count(limit.digest, at=asked.at, window=limit.window)
            for limit in sorted(asked.wanted, key=lambda limit: limit.digest)
        }
        return all(counts[limit.digest] <= limit.most for limit in asked.wanted)

    @one_by_one
    def _uncounted(self, tx: Transaction, asked: Asked[Tries]) -> None:
        AuthRepository(tx).uncount(sorted(asked.wanted.owners + asked.wanted.strangers))
