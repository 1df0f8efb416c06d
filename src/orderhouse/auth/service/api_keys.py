"""API keys: what a machine comes in with that acts for somebody, within a scope they chose, until they end it."""

from dataclasses import dataclass
from uuid import UUID

from orderhouse.auth import reads
from orderhouse.auth.errors import ApiKeyNotFound, ApiKeyRefused, ScopeTooWide
from orderhouse.auth.models import DAY, ApiKey
from orderhouse.auth.repository import AuthRepository
from orderhouse.auth.schemas.api_keys import AddApiKey
from orderhouse.auth.sealing import digest_of, new_token
from orderhouse.auth.service.access_tokens import AccessTokens
from orderhouse.auth.service.asking import audited, instead, person_of
from orderhouse.auth.service.sessions import revocation
from orderhouse.kernel.ids import new_id
from orderhouse.runtime.blocking import BlockingDatabase
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
from orderhouse.runtime.one_by_one import one_by_one
from orderhouse.users.contract import People

PREFIX = "ohk_"
CLIENT = "orderhouse-api-key"
_SHOWN = len(PREFIX) + 6
# A machine is no person: it makes no keys, ends no sessions and changes no password.
_NOT_GIVEN = frozenset({"account:use"})


@dataclass(frozen=True, slots=True)
class MadeKey:
    """A key, and what is shown of it ever after."""

    key: str
    shown: reads.ApiKeyRow


class ApiKeyService:
    """Makes keys, takes them back, and lets machines in by them."""

    def __init__(self, store: BlockingDatabase, people: People, access: AccessTokens) -> None:
        """Keep them in `store`; ask `people` what their owners may do by now."""
        self._store = store
        self._people = people
        self._access = access

    def add(self, asked: Asked[AddApiKey]) -> MadeKey:
        """Return a new key of the caller's, who may do all that is in its scope; ScopeTooWide."""
        user_id, wanted = person_of(asked.caller), asked.wanted
        if wide := {one for one in wanted.scope if one in _NOT_GIVEN or not asked.caller.may(one)}:
            raise ScopeTooWide(", ".join(sorted(wide)))
        key = new_token(PREFIX)
        days = wanted.expires_in_days
        made = reads.ApiKeyRow(
            id=new_id(),
            name=wanted.name,
            prefix=key[:_SHOWN],
            scope=" ".join(sorted(set(wanted.scope))),
            created_at=asked.at,
            expires_at=None if days is None else asked.at + days * DAY,
            used_at=None,
        )
        self._store.write(self._added, instead(asked, (user_id, key, made)))
        return MadeKey(key, made)

    @one_by_one
    def _added(self, tx: Transaction, asked: Asked[tuple[UUID, str, reads.ApiKeyRow]]) -> None:
        user_id, key, made = asked.wanted
        auth = AuthRepository(tx)
        auth.add(ApiKey(user_id=user_id, digest=digest_of(key), revoked_at=None, **made._asdict()))
        after = {"api_key": made.id, "prefix": made.prefix, "scope": made.scope}
        auth.add(audited(asked, "api_key_added", user_id=user_id, after=after))

    def revoke(self, asked: Asked[UUID]) -> None:
        """End a key of the caller's, and within a second what was given for it; ApiKeyNotFound."""
        self._store.write(self._revoked, asked)

    @one_by_one
    def _revoked(self, tx: Transaction, asked: Asked[UUID]) -> None:
        auth = AuthRepository(tx)
        key = auth.api_key(asked.wanted)
        if key is None or key.user_id != person_of(asked.caller) or not key.good(asked.at):
            raise ApiKeyNotFound
        key.revoked_at = asked.at
        auth.add(revocation("session", str(key.id), asked.at))
        auth.add(audited(asked, "api_key_revoked", user_id=key.user_id, after={"api_key": key.id}))

    def use(self, asked: Asked[str]) -> tuple[str, str]:
        """Return an access token for a key, and its scope; ApiKeyRefused. What its owner may not do, it does not."""
        found = self._store.read(reads.api_key_of, digest_of(asked.wanted))
        person = self._people.by_id(found[1]) if found else None
        if found is None or person is None or not person.active:
            raise ApiKeyRefused
        scope = self._store.write(self._used, instead(asked, found[0]))
        token = self._access.issue(person, session=found[0], client_id=CLIENT, scope=scope)
        return token, scope

    @one_by_one
    def _used(self, tx: Transaction, asked: Asked[UUID]) -> str:
        auth = AuthRepository(tx)
        key = auth.api_key(asked.wanted)
        if key is None or not key.good(asked.at):
            raise ApiKeyRefused
        key.used_at = asked.at
        auth.add(audited(asked, "api_key_used", user_id=key.user_id, actor=str(key.user_id), after={"api_key": key.id}))
        return key.scope
