"""Auth as the settings want it."""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

import structlog

from orderhouse.assembly.data_folder import made
from orderhouse.auth.mail import sender_of
from orderhouse.auth.outside import OutsideProvider, Registration
from orderhouse.auth.passwords import Hasher
from orderhouse.auth.service.asking import NOBODY
from orderhouse.auth.wiring import Auth, sealer_of
from orderhouse.kernel import clock
from orderhouse.kernel.events import Origin
from orderhouse.runtime import private_files
from orderhouse.runtime.calls import Neighbour, NeighbourUnavailable
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.once import Asked
from orderhouse.runtime.refused import Refused
from orderhouse.runtime.revocations import Revoked
from orderhouse.runtime.settings import Settings, SettingsInvalid
from orderhouse.runtime.tokens import KeyFolder
from orderhouse.users.contract import People

log = structlog.get_logger(__name__)


def opened(settings: Settings, database: Database, people: People) -> Auth:
    """Return auth over its `database`, asking `people` who somebody is."""
    folder = made(settings.data_dir)
    return Auth.opened(
        database,
        people,
        KeyFolder(settings.keys_folder, settings.issuer),
        sender=sender_of(settings.mail_url.get_secret_value(), folder / "mail", settings.mail_from),
        sealer=sealer_of(settings.auth_secret.get_secret_value(), folder),
        hasher=Hasher(
            at_once=settings.argon2_at_once,
            waiting=settings.argon2_waiting,
            memory_kib=settings.argon2_kib,
            passes=settings.argon2_passes,
        ),
        issuer=settings.issuer,
        outside=_outside(settings),
    )


def _outside(settings: Settings) -> OutsideProvider | None:
    if not settings.oidc_issuer:
        return None
    if not settings.oidc_client_id:
        raise SettingsInvalid("ORDERHOUSE_OIDC_CLIENT_ID: what the outside provider knows this house by")
    return OutsideProvider(
        Registration(
            settings.oidc_issuer.rstrip("/"),
            settings.oidc_client_id,
            settings.oidc_client_secret.get_secret_value(),
            settings.oidc_redirect_uri or f"{settings.issuer}/oauth/return",
        )
    )


class FirstOwner:
    """Lets the first owner in, with a password that is good once: told where only whoever starts the house reads."""

    def __init__(self, auth: Auth, settings: Settings, tell: Callable[[str], None] | None) -> None:
        """Tell it `tell`, or leave it in a file of the data folder, which is taken away once it was used."""
        self._auth = auth
        self._file = settings.data_dir.resolve() / "owner.password"
        self._tell = tell

    async def __call__(self, owner: UUID) -> None:
        """Give a password to whoever has none of their own."""
        self._auth.bridge.enter()
        await asyncio.to_thread(self._give, owner)

    def _give(self, owner: UUID) -> None:
        password = "-".join(secrets.token_hex(3) for _ in range(4))
        if not self._auth.accounts.give_once(Asked(owner, NOBODY, clock.now(), Origin("up")), password):
            self._file.unlink(missing_ok=True)
        elif self._tell is not None:
            self._tell(password)
        else:
            private_files.write(self._file, f"{password}\n".encode())
            # Where it is, and never what it is.
            log.info("first_owner_may_sign_in", by=str(self._file))


class RevokedThere:
    """What was revoked, as auth tells it elsewhere."""

    def __init__(self, neighbour: Neighbour) -> None:
        """Ask `neighbour`, which serves auth."""
        self._neighbour = neighbour

    def __call__(self, after: UUID | None) -> Iterable[Revoked]:
        """Return what was revoked after an id; NeighbourUnavailable."""
        told = self._neighbour.call("GET", "/v1/auth/revocations" + (f"?after={after}" if after else ""))
        if told.status != 200:
            raise NeighbourUnavailable
        return [Revoked(**{**one, "id": UUID(one["id"])}) for one in told.body["items"]]


class AuditLogThere:
    """The audit log, as auth keeps it elsewhere."""

    def __init__(self, neighbour: Neighbour) -> None:
        """Tell `neighbour`, which serves auth."""
        self._neighbour = neighbour

    def __call__(self, refused: Sequence[Refused]) -> None:
        """Have these refusals kept; NeighbourUnavailable."""
        told = self._neighbour.call("POST", "/v1/audit/refusals", {"items": [one._asdict() for one in refused]})
        if told.status == 422:
            raise ValueError(told.body)
        if told.status != 204:
            raise NeighbourUnavailable
