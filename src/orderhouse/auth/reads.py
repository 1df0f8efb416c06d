"""Questions to auth's database: what lets somebody in, and lists. Plain SQL, the same on both databases."""

from typing import NamedTuple
from uuid import UUID

from orderhouse.auth.models import IDLE, SECOND
from orderhouse.auth.schemas.audit import ListAudit
from orderhouse.kernel import pages
from orderhouse.kernel.clock import Instant
from orderhouse.runtime.database.sql import Row, as_id, as_id_or_none
from orderhouse.runtime.database.transaction import Reading
from orderhouse.runtime.revocations import Revoked

_MOST = 200
_MOST_REVOKED = 5000
_OVERLAP = 5 * SECOND


class Kept(NamedTuple):
    """What somebody can prove who they are by."""

    password_hash: str
    must_change: bool
    has_factor: bool


class SessionRow(NamedTuple):
    """A session, as it is shown."""

    id: UUID
    device: str
    address: str
    client_id: str
    factors: str
    created_at: Instant
    seen_at: Instant
    expires_at: Instant


class Waiting(NamedTuple):
    """A refresh token that may be used."""

    user_id: UUID
    session_id: UUID
    client_id: str
    scope: str | None
    issued_at: Instant
    expires_at: Instant


class ApiKeyRow(NamedTuple):
    """An API key, as it is shown."""

    id: UUID
    name: str
    prefix: str
    scope: str
    created_at: Instant
    expires_at: Instant | None
    used_at: Instant | None


class ClientRow(NamedTuple):
    """A client, as it is known to the protocol."""

    id: str
    name: str
    secret_digest: bytes | None
    redirect_uris: tuple[str, ...]
    grants: frozenset[str]
    scope: frozenset[str]
    created_at: Instant


class CodeRow(NamedTuple):
    """An authorization code."""

    client_id: str
    user_id: UUID
    redirect_uri: str
    redirect_said: bool
    scope: str
    challenge: str
    nonce: str
    factors: str
    signed_in_at: Instant
    expires_at: Instant
    used: bool


class DeviceRow(NamedTuple):
    """A device that waits, or waited, to be let in."""

    client_id: str
    scope: str
    user_code: str
    expires_at: Instant
    user_id: UUID | None
    refused: bool
    used: bool


def kept(reading: Reading, user_id: UUID) -> Kept | None:
    """Return what somebody can prove who they are by; None for nothing."""
    row = reading.row(
        "SELECT password_hash, must_change, EXISTS (SELECT 1 FROM totp_secrets AS t WHERE t.user_id = c.user_id "
        "AND t.confirmed_at IS NOT NULL) FROM credentials AS c WHERE c.user_id = :id",
        id=user_id,
    )
    return Kept(row[0], bool(row[1]), bool(row[2])) if row else None


def session_of(reading: Reading, digest: bytes) -> tuple[UUID, UUID] | None:
    """Return the session of a refresh token, and whose it is."""
    row = reading.row(
        "SELECT s.id, s.user_id FROM refresh_tokens AS r JOIN sessions AS s ON s.id = r.session_id "
        "WHERE r.digest = :digest",
        digest=digest,
    )
    return (as_id(row[0]), as_id(row[1])) if row else None


def waiting(reading: Reading, digest: bytes, at: Instant) -> Waiting | None:
    """Return a refresh token that may be used now; None for any other."""
    row = reading.row(
        "SELECT s.user_id, s.id, s.client_id, s.scope, r.issued_at, s.expires_at FROM refresh_tokens AS r "
        "JOIN sessions AS s ON s.id = r.session_id WHERE r.digest = :digest AND r.used_at IS NULL "
        "AND r.issued_at > :since AND s.ended_at IS NULL AND s.expires_at > :at",
        digest=digest,
        since=at - IDLE,
        at=at,
    )
    if row is None:
        return None
    user_id, session_id, client_id, scope, issued_at, expires_at = row
    return Waiting(as_id(user_id), as_id(session_id), client_id, scope, issued_at, min(expires_at, issued_at + IDLE))


def user_of_mailed(reading: Reading, digest: bytes, purpose: str, at: Instant) -> UUID | None:
    """Return whose mailed token this is, if it is good for its purpose now."""
    row = reading.row(
        "SELECT user_id FROM mailed_tokens WHERE digest = :digest AND purpose = :purpose AND used_at IS NULL "
        "AND expires_at > :at",
        digest=digest,
        purpose=purpose,
        at=at,
    )
    return as_id(row[0]) if row else None


def sessions(reading: Reading, user_id: UUID, at: Instant) -> list[SessionRow]:
    """Return somebody's sessions that go on, the latest first."""
    found = reading.rows(
        "SELECT id, device, address, client_id, factors, created_at, seen_at, expires_at FROM sessions "
        "WHERE user_id = :user AND ended_at IS NULL AND expires_at > :at ORDER BY id DESC LIMIT :most",
        user=user_id,
        at=at,
        most=_MOST,
    )
    return [SessionRow(as_id(row[0]), *row[1:]) for row in found]


def api_keys(reading: Reading, user_id: UUID, at: Instant) -> list[ApiKeyRow]:
    """Return somebody's API keys that are good, the latest first."""
    found = reading.rows(
        "SELECT id, name, prefix, scope, created_at, expires_at, used_at FROM api_keys WHERE user_id = :user "
        "AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :at) ORDER BY id DESC LIMIT :most",
        user=user_id,
        at=at,
        most=_MOST,
    )
    return [ApiKeyRow(as_id(row[0]), *row[1:]) for row in found]


def api_key_of(reading: Reading, digest: bytes) -> tuple[UUID, UUID] | None:
    """Return the id of an API key, and whose it is."""
    row = reading.row("SELECT id, user_id FROM api_keys WHERE digest = :digest", digest=digest)
    return (as_id(row[0]), as_id(row[1])) if row else None


def revoked(reading: Reading, after: UUID | None, at: Instant) -> list[Revoked]:
    """Return what was revoked after `after`, or a few seconds before it: commits are not in the order of ids."""
    since = UUID(int=max(0, (after.int >> 80) - _OVERLAP // 1000) << 80) if after else UUID(int=0)
    found = reading.rows(
        "SELECT id, kind, of, before, until FROM revocations WHERE id > :since AND until > :at ORDER BY id LIMIT :most",
        since=since,
        at=at,
        most=_MOST_REVOKED,
    )
    return [Revoked(as_id(row[0]), *row[1:]) for row in found]


def factor_of(reading: Reading, user_id: UUID) -> tuple[bool, int] | None:
    """Return whether somebody's second factor counts, and how many recovery codes are left; None for no factor."""
    row = reading.row(
        "SELECT confirmed_at IS NOT NULL, (SELECT count(*) FROM recovery_codes AS r WHERE r.user_id = t.user_id "
        "AND r.used_at IS NULL) FROM totp_secrets AS t WHERE t.user_id = :id",
        id=user_id,
    )
    return (bool(row[0]), int(row[1])) if row else None


_CLIENT = "SELECT id, name, secret_digest, redirect_uris, grants, scope, created_at FROM oauth_clients"
_DEVICE = (
    "SELECT client_id, scope, user_code, expires_at, user_id, refused, used_at IS NOT NULL FROM oauth_device_codes"
)


def client(reading: Reading, client_id: str) -> ClientRow | None:
    """Return a client that was not taken away."""
    row = reading.row(f"{_CLIENT} WHERE id = :id AND revoked_at IS NULL", id=client_id)
    return _client(row) if row else None


def clients(reading: Reading) -> list[ClientRow]:
    """Return the clients there are, the latest first."""
    return [
        _client(row)
        for row in reading.rows(f"{_CLIENT} WHERE revoked_at IS NULL ORDER BY id DESC LIMIT :most", most=_MOST)
    ]


def _client(row: Row) -> ClientRow:
    client_id, name, secret, uris, grants, scope, created_at = row
    return ClientRow(
        client_id,
        name,
        None if secret is None else bytes(secret),
        tuple(uris.split()),
        frozenset(grants.split()),
        frozenset(scope.split()),
        created_at,
    )


def code(reading: Reading, digest: bytes) -> CodeRow | None:
    """Return an authorization code."""
    row = reading.row(
        "SELECT client_id, user_id, redirect_uri, redirect_said, scope, challenge, nonce, factors, signed_in_at, "
        "expires_at, used_at IS NOT NULL FROM oauth_codes WHERE digest = :digest",
        digest=digest,
    )
    if row is None:
        return None
    client_id, user_id, redirect_uri, said, *more, used = row
    return CodeRow._make((client_id, as_id(user_id), redirect_uri, bool(said), *more, bool(used)))


def device(reading: Reading, digest: bytes) -> DeviceRow | None:
    """Return a device, by its code."""
    return _device(reading.row(f"{_DEVICE} WHERE digest = :digest", digest=digest))


def device_of_user_code(reading: Reading, user_code: str, at: Instant) -> DeviceRow | None:
    """Return a device that waits under a user code."""
    return _device(
        reading.row(
            f"{_DEVICE} WHERE user_code = :user_code AND expires_at > :at AND user_id IS NULL AND NOT refused",
            user_code=user_code,
            at=at,
        )
    )


def _device(row: Row | None) -> DeviceRow | None:
    if row is None:
        return None
    return DeviceRow(row[0], row[1], row[2], row[3], as_id_or_none(row[4]), bool(row[5]), bool(row[6]))


class AuditRow(NamedTuple):
    """An entry of the audit log; `before` and `after` are JSON."""

    id: UUID
    at: Instant
    action: str
    actor: str
    user_id: UUID | None
    address: str
    request_id: str
    before: str
    after: str


def audit(reading: Reading, wanted: ListAudit, limit: int) -> tuple[list[AuditRow], str | None]:
    """Return up to `limit` entries of the audit log, the latest first, and the cursor of those behind them."""
    filters, values = [], dict[str, object]()
    for name in ("action", "actor", "user_id", "request_id"):
        if (value := getattr(wanted, name)) is not None:
            filters.append(f"{name} = :{name}")
            values[name] = value
    for name, condition in (("since", "at >= :since"), ("until", "at < :until")):
        if (value := getattr(wanted, name)) is not None:
            filters.append(condition)
            values[name] = value
    if wanted.cursor is not None:
        filters.append("(at, id) < (:behind_at, :behind_id)")
        values["behind_at"], values["behind_id"] = pages.key_of("audit", wanted.cursor, int, UUID)
    where = f" WHERE {' AND '.join(filters)}" if filters else ""
    found = reading.rows(
        f"SELECT {', '.join(AuditRow._fields)} FROM audit{where} ORDER BY at DESC, id DESC LIMIT :limit",
        **values,
        limit=limit + 1,
    )
    entries = [_audit_row(row) for row in found[:limit]]
    return entries, pages.cursor_of("audit", entries[-1].at, entries[-1].id) if len(found) > limit else None


def _audit_row(row: Row) -> AuditRow:
    entry_id, at, action, actor, user_id, *rest = row
    return AuditRow(as_id(entry_id), at, action, actor, as_id_or_none(user_id), *rest)


def linked(reading: Reading, issuer: str, subject: str) -> UUID | None:
    """Return whom an outside provider's subject is linked with."""
    row = reading.row(
        "SELECT user_id FROM links WHERE issuer = :issuer AND subject = :subject", issuer=issuer, subject=subject
    )
    return as_id(row[0]) if row else None
