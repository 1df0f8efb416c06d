"""Clients: other people's programs that act for people, or for themselves (RFC 6749), and what they may ask for."""

from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from orderhouse.auth import reads
from orderhouse.auth.errors import ClientNotFound, ClientWrong, ScopeTooWide
from orderhouse.auth.models import Client
from orderhouse.auth.repository import AuthRepository
from orderhouse.auth.schemas.clients import IDENTITY, AddClient
from orderhouse.auth.schemas.oauth import CODE_GRANT, CREDENTIALS_GRANT, DEVICE_GRANT, REFRESH_GRANT
from orderhouse.auth.sealing import digest_of, new_token
from orderhouse.auth.service.asking import audited, instead
from orderhouse.auth.service.sessions import end_one, revocation
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import PERMISSIONS
from orderhouse.runtime.blocking import BlockingDatabase
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked
from orderhouse.runtime.one_by_one import one_by_one

_BEGINS = "ohs_"
COMMAND_LINE = "orderhouse-login"
_LOOPBACK = ("127.0.0.1", "[::1]")

_OF_THE_HOUSE = {
    COMMAND_LINE: reads.ClientRow(
        COMMAND_LINE,
        "The command line of Orderhouse",
        None,
        (),
        frozenset({DEVICE_GRANT, REFRESH_GRANT}),
        frozenset(PERMISSIONS),
        0,
    )
}
"""Clients that are the house itself."""


@dataclass(frozen=True, slots=True)
class MadeClient:
    """A client, and its secret if it can keep one."""

    shown: reads.ClientRow
    secret: str | None


class ClientService:
    """Adds clients and takes them away."""

    def __init__(self, store: BlockingDatabase) -> None:
        """Keep them in `store`."""
        self._store = store

    def by_id(self, client_id: str) -> reads.ClientRow | None:
        """Return a client; None when there is none."""
        return _OF_THE_HOUSE.get(client_id) or self._store.read(reads.client, client_id)

    def add(self, asked: Asked[AddClient]) -> MadeClient:
        """Return a new client; ClientWrong, or ScopeTooWide where it could do more than whoever adds it."""
        wanted = asked.wanted
        _check(wanted)
        if wide := {one for one in wanted.scope if one not in IDENTITY and not asked.caller.may(one)}:
            raise ScopeTooWide(", ".join(sorted(wide)))
        secret = new_token(_BEGINS) if wanted.confidential else None
        made = reads.ClientRow(
            str(new_id()),
            wanted.name,
            digest_of(secret) if secret else None,
            tuple(wanted.redirect_uris),
            frozenset(wanted.grants),
            frozenset(wanted.scope),
            asked.at,
        )
        self._store.write(self._added, instead(asked, made))
        return MadeClient(made, secret)

    @one_by_one
    def _added(self, tx: Transaction, asked: Asked[reads.ClientRow]) -> None:
        made, auth = asked.wanted, AuthRepository(tx)
        auth.add(
            Client(
                id=made.id,
                name=made.name,
                secret_digest=made.secret_digest,
                redirect_uris=" ".join(made.redirect_uris),
                grants=" ".join(sorted(made.grants)),
                scope=" ".join(sorted(made.scope)),
                created_at=asked.at,
                revoked_at=None,
            )
        )
        after = {"client_id": made.id, "grants": sorted(made.grants), "scope": sorted(made.scope)}
        auth.add(audited(asked, "client_added", after=after))

    def revoke(self, asked: Asked[UUID]) -> None:
        """Take a client away, with everything it was given, within a second; ClientNotFound."""
        self._store.write(self._revoked, asked)

    @one_by_one
    def _revoked(self, tx: Transaction, asked: Asked[UUID]) -> None:
        auth = AuthRepository(tx)
        client = auth.client(str(asked.wanted))
        if client is None or client.revoked_at is not None:
            raise ClientNotFound
        client.revoked_at = asked.at
        for session in auth.live_sessions_of_client(client.id):
            end_one(auth, asked, session, "client_revoked")
        auth.add(revocation("subject", subject_of(client.id), asked.at))
        auth.add(audited(asked, "client_revoked", after={"client_id": client.id}))


def subject_of(client_id: str) -> str:
    """Return who a client is that acts for itself: nobody's id."""
    return f"client:{client_id}"


def redirects_to(client: reads.ClientRow, uri: str) -> bool:
    """Whether answers for `client` may be sent to `uri`: one of its own, to the letter.

    On this machine any port will do: a program listens where it finds a free one (RFC 8252, 7.3).
    """
    return uri in client.redirect_uris or any(_but_for_port(uri, one) for one in client.redirect_uris)


def _but_for_port(uri: str, registered: str) -> bool:
    try:
        said, known = urlsplit(uri), urlsplit(registered)
        port = said.port
    except ValueError:
        return False
    if known.scheme != "http" or port is None:
        return False
    return uri == registered.replace(known.netloc, f"{_host(known.netloc)}:{port}", 1)


def _host(netloc: str) -> str:
    return next((host for host in _LOOPBACK if netloc == host or netloc.startswith(f"{host}:")), netloc)


def _check(wanted: AddClient) -> None:
    if CODE_GRANT in wanted.grants and not wanted.redirect_uris:
        raise ClientWrong("A client that is let in by people names where they are sent back to.")
    if CREDENTIALS_GRANT in wanted.grants and not wanted.confidential:
        raise ClientWrong("Only a client that keeps a secret comes in by itself.")
    for uri in wanted.redirect_uris:
        _check_redirect(uri)


def _check_redirect(uri: str) -> None:
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise ClientWrong("A redirect URI is none.") from None
    here = parts.scheme == "http" and _host(parts.netloc) in _LOOPBACK
    own = "." in parts.scheme and not parts.netloc
    if not (parts.scheme == "https" and parts.hostname) and not here and not own:
        raise ClientWrong("A redirect URI is https, http on 127.0.0.1 or [::1], or of a scheme of the program's own.")
    if "#" in uri or parts.username is not None:
        raise ClientWrong("A redirect URI has neither a fragment nor a user.")
