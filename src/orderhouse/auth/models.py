"""What auth keeps, and the rules that hold for it whoever asks. Of every secret only what cannot be turned back.

The ORM writes here: people sign in at the speed of people.
"""

from uuid import UUID

from sqlalchemy import BigInteger, Index, Integer, LargeBinary, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from orderhouse.kernel.clock import Instant
from orderhouse.runtime.database.tables import Id, tables_of

SECOND = 1_000_000
MINUTE = 60 * SECOND
DAY = 24 * 60 * MINUTE

IDLE = 14 * DAY
"""How long a refresh token waits to be used."""

LONGEST = 90 * DAY
"""How long a session lasts, however it is used."""

ACCESS = 10 * MINUTE
"""How long an access token is good for."""

tables = tables_of("auth")


class _Mapped(DeclarativeBase):
    metadata = tables


class Credential(_Mapped):
    """Somebody's password, as argon2id made it."""

    __tablename__ = "credentials"

    user_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    password_hash: Mapped[str] = mapped_column(Text)
    must_change: Mapped[bool]
    changed_at: Mapped[int] = mapped_column(BigInteger)

    def become(self, password_hash: str, *, at: Instant) -> None:
        """Be another password, which its owner chose."""
        self.password_hash, self.must_change, self.changed_at = password_hash, False, at


class Session(_Mapped):
    """One device that signed in, and the family of refresh tokens it got."""

    __tablename__ = "sessions"
    __table_args__ = (
        Index("sessions_user", "user_id", "id"),
        # What has ended or expired long ago is forgotten from the oldest on.
        Index("sessions_expires", "expires_at"),
    )

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(Id)
    client_id: Mapped[str] = mapped_column(Text)
    scope: Mapped[str | None] = mapped_column(Text)
    device: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    factors: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger)
    seen_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int] = mapped_column(BigInteger)
    ended_at: Mapped[int | None] = mapped_column(BigInteger)
    ended_why: Mapped[str] = mapped_column(Text)

    def live(self, at: Instant) -> bool:
        """Whether it goes on."""
        return self.ended_at is None and at < self.expires_at

    def end(self, why: str, *, at: Instant) -> None:
        """Let nothing come of it from now on."""
        self.ended_at, self.ended_why = at, why


class RefreshToken(_Mapped):
    """A refresh token, by its digest: good for one use, by one session."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (Index("refresh_tokens_session", "session_id"),)

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    session_id: Mapped[UUID] = mapped_column(Id)
    issued_at: Mapped[int] = mapped_column(BigInteger)
    used_at: Mapped[int | None] = mapped_column(BigInteger)
    # The digest of the Idempotency-Key it was used with: a retry of that very use hears the same.
    used_with: Mapped[bytes | None] = mapped_column(LargeBinary)

    def waits(self, at: Instant) -> bool:
        """Whether it may still be used for the first time."""
        return self.used_at is None and at < self.issued_at + IDLE


class MailedToken(_Mapped):
    """A token that was sent by mail, by its digest: good for one use, for ten minutes (a day to verify an address)."""

    __tablename__ = "mailed_tokens"
    __table_args__ = (Index("mailed_tokens_expires", "expires_at"), Index("mailed_tokens_user", "user_id"))

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(Id)
    purpose: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[int] = mapped_column(BigInteger)
    used_at: Mapped[int | None] = mapped_column(BigInteger)

    def good_for(self, purpose: str, at: Instant) -> bool:
        """Whether it may be used for this now."""
        return self.purpose == purpose and self.used_at is None and at < self.expires_at


class Attempts(_Mapped):
    """How often something was tried in vain within a window, by a digest of what."""

    __tablename__ = "attempts"
    __table_args__ = (Index("attempts_until", "until"),)

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    failures: Mapped[int] = mapped_column(Integer)
    until: Mapped[int] = mapped_column(BigInteger)


class TotpSecret(_Mapped):
    """Somebody's second factor, sealed; it counts once its owner proved to have it."""

    __tablename__ = "totp_secrets"

    user_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    confirmed_at: Mapped[int | None] = mapped_column(BigInteger)
    # A code is good once: no step at or before this one counts again.
    last_step: Mapped[int] = mapped_column(BigInteger)


class RecoveryCode(_Mapped):
    """A code that stands in for a second factor that was lost, by its digest; good for one use."""

    __tablename__ = "recovery_codes"

    user_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    used_at: Mapped[int | None] = mapped_column(BigInteger)


class ApiKey(_Mapped):
    """A machine's key, by its digest; what is shown of it is its beginning."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("api_keys_digest", "digest", unique=True), Index("api_keys_user", "user_id", "id"))

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(Id)
    name: Mapped[str] = mapped_column(Text)
    prefix: Mapped[str] = mapped_column(Text)
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    scope: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int | None] = mapped_column(BigInteger)
    used_at: Mapped[int | None] = mapped_column(BigInteger)
    revoked_at: Mapped[int | None] = mapped_column(BigInteger)

    def good(self, at: Instant) -> bool:
        """Whether it lets anybody in."""
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)


class Client(_Mapped):
    """Somebody else's program that acts for people, or for itself (RFC 6749)."""

    __tablename__ = "oauth_clients"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    # None for a program that can keep no secret.
    secret_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    # Separated by spaces, which no URI holds.
    redirect_uris: Mapped[str] = mapped_column(Text)
    grants: Mapped[str] = mapped_column(Text)
    scope: Mapped[str] = mapped_column(Text)
    created_at: Mapped[int] = mapped_column(BigInteger)
    revoked_at: Mapped[int | None] = mapped_column(BigInteger)


class AuthorizationCode(_Mapped):
    """What a client trades for tokens, once, within a minute, with the verifier of its PKCE challenge."""

    __tablename__ = "oauth_codes"
    __table_args__ = (Index("oauth_codes_expires", "expires_at"),)

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    client_id: Mapped[str] = mapped_column(Text)
    user_id: Mapped[UUID] = mapped_column(Id)
    redirect_uri: Mapped[str] = mapped_column(Text)
    # Whether the request named the redirect URI: then the trade has to name it too.
    redirect_said: Mapped[bool]
    scope: Mapped[str] = mapped_column(Text)
    challenge: Mapped[str] = mapped_column(Text)
    nonce: Mapped[str] = mapped_column(Text)
    factors: Mapped[str] = mapped_column(Text)
    signed_in_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int] = mapped_column(BigInteger)
    used_at: Mapped[int | None] = mapped_column(BigInteger)
    # The session that came of it: it ends when the code is used again.
    session_id: Mapped[UUID | None] = mapped_column(Id)


class Consent(_Mapped):
    """What somebody lets a client do."""

    __tablename__ = "oauth_consents"

    user_id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    client_id: Mapped[str] = mapped_column(Text, primary_key=True)
    scope: Mapped[str] = mapped_column(Text)
    given_at: Mapped[int] = mapped_column(BigInteger)


class DeviceCode(_Mapped):
    """A device that waits for somebody to let it in from elsewhere (RFC 8628)."""

    __tablename__ = "oauth_device_codes"
    __table_args__ = (
        Index("oauth_device_codes_user_code", "user_code", unique=True),
        Index("oauth_device_codes_expires", "expires_at"),
    )

    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    user_code: Mapped[str] = mapped_column(Text)
    client_id: Mapped[str] = mapped_column(Text)
    scope: Mapped[str] = mapped_column(Text)
    expires_at: Mapped[int] = mapped_column(BigInteger)
    polled_at: Mapped[int] = mapped_column(BigInteger)
    user_id: Mapped[UUID | None] = mapped_column(Id)
    refused: Mapped[bool]
    used_at: Mapped[int | None] = mapped_column(BigInteger)


class Link(_Mapped):
    """Somebody as an outside provider knows them."""

    __tablename__ = "links"
    __table_args__ = (Index("links_user", "user_id"),)

    issuer: Mapped[str] = mapped_column(Text, primary_key=True)
    subject: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(Id)
    linked_at: Mapped[int] = mapped_column(BigInteger)


class Revocation(_Mapped):
    """Access tokens that are not good any more, though they have not expired: of a session, a person, or one of them.

    Of a person, those that were issued up to an instant: whoever comes in anew is not meant.
    """

    __tablename__ = "revocations"
    __table_args__ = (Index("revocations_until", "until"),)

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    of: Mapped[str] = mapped_column(Text)
    before: Mapped[int] = mapped_column(BigInteger)
    until: Mapped[int] = mapped_column(BigInteger)


class AuditEntry(_Mapped):
    """Who did what, by which request, and what it was before and after. A trigger keeps it as it was written."""

    __tablename__ = "audit"
    __table_args__ = (
        # It is read latest first: all of it, or what one did, what was done to one, what was done, and by one request.
        Index("audit_at", "at", "id"),
        Index("audit_actor", "actor", "at", "id"),
        Index("audit_user", "user_id", "at", "id"),
        Index("audit_action", "action", "at", "id"),
        Index("audit_request", "request_id", "at", "id"),
    )

    id: Mapped[UUID] = mapped_column(Id, primary_key=True)
    at: Mapped[int] = mapped_column(BigInteger)
    action: Mapped[str] = mapped_column(Text)
    actor: Mapped[str] = mapped_column(Text)
    user_id: Mapped[UUID | None] = mapped_column(Id)
    address: Mapped[str] = mapped_column(Text)
    request_id: Mapped[str] = mapped_column(Text)
    before: Mapped[str] = mapped_column(Text)
    after: Mapped[str] = mapped_column(Text)
