"""Puts the auth context together."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from orderhouse.auth import models, readers, reads, repository
from orderhouse.auth.mail import Post, Sender
from orderhouse.auth.outside import OutsideProvider
from orderhouse.auth.passwords import Hasher
from orderhouse.auth.repository import AuthRepository
from orderhouse.auth.sealing import Sealer
from orderhouse.auth.service.access_tokens import AccessTokens
from orderhouse.auth.service.accounts import AccountService
from orderhouse.auth.service.api_keys import ApiKeyService
from orderhouse.auth.service.attempts import AttemptsService
from orderhouse.auth.service.audit import AuditService
from orderhouse.auth.service.clients import ClientService
from orderhouse.auth.service.grants import GrantService
from orderhouse.auth.service.outside_sign_ins import OutsideSignInService
from orderhouse.auth.service.second_factors import SecondFactorService
from orderhouse.auth.service.sessions import SessionService
from orderhouse.auth.service.sign_ins import SignInService
from orderhouse.auth.service.tokens import TokenService
from orderhouse.kernel import clock
from orderhouse.kernel.clock import Instant
from orderhouse.kernel.events import Origin
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.blocking import BlockingDatabase, Bridge
from orderhouse.runtime.database.database import Database, Place, open_database
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.migrate import Schema
from orderhouse.runtime.once import Asked
from orderhouse.runtime.readers import DatabaseSink
from orderhouse.runtime.refused import Refused
from orderhouse.runtime.registry import Kinds
from orderhouse.runtime.revocations import Revoked
from orderhouse.runtime.tokens import ISSUER, SigningKeys, Verifier
from orderhouse.users.contract import FACT_KINDS, People

if TYPE_CHECKING:
    from fastapi import APIRouter

    from orderhouse.runtime.web.fastapi_edge import Edge

SCHEMA = Schema("auth", models.tables)

_EDGE = Principal("edge", "service")


@dataclass(frozen=True, slots=True)
class Auth:
    """The auth context over its database."""

    database: Database
    bridge: Bridge
    hasher: Hasher
    post: Post
    accounts: AccountService
    sign_ins: SignInService
    sessions: SessionService
    factors: SecondFactorService
    tokens: TokenService
    api_keys: ApiKeyService
    clients: ClientService
    grants: GrantService
    outside_sign_ins: OutsideSignInService
    outside: OutsideProvider | None

    @classmethod
    def opened(
        cls,
        database: Database,
        people: People,
        keys: Callable[[], SigningKeys],
        *,
        sender: Sender,
        sealer: Sealer,
        hasher: Hasher,
        issuer: str = ISSUER,
        outside: OutsideProvider | None = None,
    ) -> "Auth":
        """Work over `database`, which whoever opened it closes; `keys` returns what signs now."""
        bridge, post = Bridge(), Post(sender)
        store = BlockingDatabase(database, bridge)
        access = AccessTokens(keys)
        sessions = SessionService(store, people, sealer, access)
        attempts = AttemptsService(store, sealer)
        # Its own: what is asked of it is told of revocations first, and not a third of a second later.
        verifier = Verifier(keys().jwks(), renewed=lambda: keys().jwks(), issuers=(ISSUER, issuer))
        factors = SecondFactorService(store, people, sealer, attempts)
        return cls(
            database,
            bridge,
            hasher,
            post,
            AccountService(store, people, hasher, attempts, sessions, post),
            SignInService(store, people, hasher, attempts, factors, sessions),
            sessions,
            factors,
            TokenService(store, sessions, verifier),
            ApiKeyService(store, people, access),
            ClientService(store),
            GrantService(store, people, sessions, access, issuer),
            OutsideSignInService(store, people, sealer, attempts, sessions, outside),
            outside,
        )

    def routes(self, edge: "Callable[[Database], Edge]", *, threads: int = 8) -> "APIRouter":
        """Return its part of the API. Whoever waits for a password takes no thread from whoever does not."""
        # The web frameworks are half a second to import: a command that serves nothing does without them.
        from orderhouse.auth.routes.app import create_app
        from orderhouse.runtime.web import flask_routes

        app = create_app(
            self.accounts,
            self.sign_ins,
            self.sessions,
            self.factors,
            self.tokens,
            self.api_keys,
            self.clients,
            self.grants,
            self.outside_sign_ins,
        )
        return flask_routes.routes(app, edge(self.database), self.bridge, threads=threads + self.hasher.places)

    async def forget(self) -> None:
        """Forget what has expired, a few at a time."""
        while await self.database.write(_forget_some, clock.now()):
            pass

    async def keep_refused(self, refused: Sequence[Refused]) -> None:
        """Keep in the audit log what the edge refused."""
        asked = Asked(refused, _EDGE, clock.now(), Origin(_EDGE.subject))
        await self.database.write(AuditService().keep_refused, asked)

    async def revoked(self, after: UUID | None) -> Iterable[Revoked]:
        """Return what was revoked after an id, and a few seconds before it: what verifiers follow."""
        return await self.database.read(reads.revoked, after, clock.now())

    def close(self) -> None:
        """Send what still waits, and let go of everything, after the database was closed."""
        self.hasher.close()
        self.post.close()
        if self.outside is not None:
            self.outside.close()


def _forget_some(tx: Transaction, asked: Sequence[Instant]) -> Sequence[int]:
    return [AuthRepository(tx).forget(at) for at in asked]


def opened_database(place: Place, *, bound: int = 2048) -> Database:
    """Open the migrated database at `place`."""
    return open_database("auth", place, models.tables, refusals=repository.REFUSALS, bound=bound)


def users_reader(database: Database) -> DatabaseSink:
    """Return what follows the users' facts into auth's `database`."""
    return DatabaseSink("users", database, readers.follow_users, kinds=Kinds("users", FACT_KINDS))


def sealer_of(secret: str, folder: Path) -> Sealer:
    """Return what is derived from `secret`, or from the one in `folder` where none is set."""
    return Sealer.of(secret, folder / "auth.secret")
