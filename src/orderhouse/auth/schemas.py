"""What auth looks like on the wire."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from orderhouse.auth.passwords import LONGEST, SHORTEST
from orderhouse.kernel.email import Email
from orderhouse.kernel.pages import LARGEST_PAGE, USUAL_PAGE, Cursor
from orderhouse.kernel.principal import PERMISSIONS
from orderhouse.kernel.text import InstantText, Line, Name, QueryInstant

AUTH = "/v1/auth"
REGISTRATIONS = f"{AUTH}/registrations"
VERIFICATIONS = f"{AUTH}/verifications"
SESSIONS = f"{AUTH}/sessions"
SESSION = f"{AUTH}/session"
TOKENS = f"{AUTH}/tokens"
PASSWORD = f"{AUTH}/password"
RESETS = f"{AUTH}/password-resets"
FACTOR = f"{AUTH}/second-factor"
API_KEYS = f"{AUTH}/api-keys"
API_KEY_TOKENS = f"{AUTH}/api-key-tokens"
CLIENTS = f"{AUTH}/clients"
REVOCATIONS = f"{AUTH}/revocations"
AUDIT = "/v1/audit"
OUTSIDE = f"{AUTH}/outside-sign-ins"
INTROSPECTION = "/oauth/introspection"
REVOCATION = "/oauth/revocation"
AUTHORIZATION = "/oauth/authorization"
TOKEN_ENDPOINT = "/oauth/token"  # noqa: S105 - where tokens are given
DEVICE_AUTHORIZATION = "/oauth/device-authorization"
DEVICE = "/oauth/device"
RETURN = "/oauth/return"

CODE_GRANT, CREDENTIALS_GRANT, REFRESH_GRANT = "authorization_code", "client_credentials", "refresh_token"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
IDENTITY = frozenset({"openid", "profile", "email"})
"""What a client asks for that wants to know who somebody is."""
REFUSALS = f"{AUDIT}/refusals"

LARGEST_EXPORT = 10_000

# As far as every reader of JSON counts exactly: in microseconds, the year 2255.
LATEST = 2**53 - 1

ID = "0197f0e2-7b7a-7c3a-9f52-6f1d2b3c4d5e"

VISIBLE, VISIBLE_OR_NONE = r"^[ -~]+$", r"^[ -~]*$"
"""What RFC 6749 takes for text (its appendix A)."""

Password = Annotated[str, Field(min_length=1, max_length=LONGEST, examples=["correct horse battery staple"])]
NewPassword = Annotated[
    str,
    Field(
        min_length=SHORTEST,
        max_length=LONGEST,
        examples=["correct horse battery staple"],
        description="Ten characters or more of any kind; common ones are refused.",
    ),
]
Secret = Annotated[str, Field(min_length=1, max_length=512)]
Code = Annotated[str, Field(min_length=6, max_length=32, examples=["492039"])]
IdOut = Annotated[str, Field(examples=[ID], json_schema_extra={"format": "uuid"})]


def _known(permission: str) -> str:
    if permission not in PERMISSIONS:
        raise ValueError("must be one of the permissions there are")
    return permission


Permission = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": sorted(PERMISSIONS)})]


class _Schema(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class Register(_Schema):
    """Somebody who wants an account."""

    email: Email
    name: Name
    password: NewPassword


class Accepted(_Schema):
    """It was taken on; what becomes of it goes by mail, whether or not there is such an account."""

    message: str = Field(examples=["Look into your mail."])


class Verify(_Schema):
    """The proof that an address is whose it seems to be: what was sent there, and the password given with it."""

    token: Secret
    password: Password


class SignIn(_Schema):
    """Who comes in."""

    email: Email
    password: Password
    code: Code | None = Field(None, description="Of the second factor, or a recovery code.")
    new_password: NewPassword | None = Field(None, description="Where the old one was good for once.")
    device: Name | None = Field(None, description="What the session is called in the list of them.")
    device_token: Secret | None = Field(
        None, description="What an earlier sign-in on this device gave: it keeps strangers from locking it out."
    )


class TokensOut(_Schema):
    """What lets somebody in (RFC 6749, 5.1)."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int = Field(examples=[600], description="In seconds.")
    refresh_token: str = Field(description="Good for one use.")
    session_id: IdOut
    device_token: str | None = Field(description="To be sent at the next sign-in on this device; null otherwise.")


class OutsideBegun(_Schema):
    """Where to go to say who one is, and what to keep until one is back."""

    url: str
    ticket: str = Field(description="To be sent along when coming back, by whoever began; good for ten minutes.")


class OutsideCameBack(_Schema):
    """What the outside provider sent back, and the ticket of whoever began."""

    ticket: str = Field(min_length=1, max_length=2000)
    code: str = Field(min_length=1, max_length=2000)
    state: str = Field(min_length=1, max_length=200)
    device: Name | None = Field(None, description="What the session is called in the list of them.")


class Refresh(_Schema):
    """A refresh token, to be used up."""

    refresh_token: Secret


class ChangePassword(_Schema):
    """A password, and the one it is to be."""

    password: Password
    new_password: NewPassword


class AskReset(_Schema):
    """Somebody whose password was forgotten."""

    email: Email


class Reset(_Schema):
    """What was sent by mail, and the password it is to be."""

    token: Secret
    new_password: NewPassword


class SessionOut(_Schema):
    """A device that is signed in."""

    id: IdOut
    device: str = Field(examples=["Firefox on the shop's tablet"])
    address: str = Field(examples=["192.0.2.7"], description="Where it signed in from.")
    client_id: str = Field(examples=["orderhouse"])
    factors: list[str] = Field(examples=[["pwd", "otp"]], description="How it was proved (RFC 8176).")
    created_at: InstantText
    seen_at: InstantText
    expires_at: InstantText
    current: bool = Field(description="Whether it is the one that asks.")


class SessionPage(_Schema):
    """The sessions that go on, the latest first."""

    items: list[SessionOut]


class FactorOut(_Schema):
    """Whether there is a second factor."""

    on: bool
    codes_left: int = Field(description="How many recovery codes were not used.")


class FactorOffered(_Schema):
    """A second factor that counts once a code of it was sent back."""

    secret: str
    uri: str = Field(examples=["otpauth://totp/Orderhouse:ada%40example.com?secret=…&issuer=Orderhouse"])


class FactorCode(_Schema):
    """A code of the second factor."""

    code: Code


class RecoveryCodes(_Schema):
    """What stands in for a lost second factor, each good for one use. They are shown this once."""

    codes: list[str]


class AddApiKey(_Schema):
    """A key for a machine."""

    name: Name
    scope: list[Permission] = Field(
        min_length=1, max_length=len(PERMISSIONS), examples=[["orders:read"]], description="What it may be used for."
    )
    expires_in_days: int | None = Field(None, ge=1, le=3650)


class ApiKeyOut(_Schema):
    """A machine's key, without its secret."""

    id: IdOut
    name: str
    prefix: str = Field(examples=["ohk_3fA9"], description="How it begins.")
    scope: list[str]
    created_at: InstantText
    expires_at: InstantText | None
    used_at: InstantText | None


class ApiKeyMade(ApiKeyOut):
    """A machine's key. It is shown this once."""

    key: str


class ApiKeyPage(_Schema):
    """The API keys that are good, the latest first."""

    items: list[ApiKeyOut]


class UseApiKey(_Schema):
    """A machine that comes in."""

    api_key: Secret


class AccessOut(_Schema):
    """What lets a machine in, for ten minutes."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    scope: str = Field(examples=["orders:read"])


def _scope_known(scope: str) -> str:
    if scope not in IDENTITY and scope not in PERMISSIONS:
        raise ValueError("must be one of the permissions there are, openid, profile or email")
    return scope


Scope = Annotated[
    str, AfterValidator(_scope_known), Field(json_schema_extra={"enum": sorted({*PERMISSIONS, *IDENTITY})})
]
RedirectUri = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[!#-\[\]-~]+$")]
Grant = Literal[
    "authorization_code", "client_credentials", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"
]


class AddClient(_Schema):
    """A program that is to act for people, or for itself."""

    name: Name
    grants: list[Grant] = Field(min_length=1, max_length=4, examples=[["authorization_code", "refresh_token"]])
    redirect_uris: list[RedirectUri] = Field(
        [], max_length=20, examples=[["https://client.example/callback"]], description="Compared to the letter."
    )
    scope: list[Scope] = Field(
        max_length=50, examples=[["openid", "orders:read"]], description="All it may ever ask for."
    )
    confidential: bool = Field(False, description="Whether it can keep a secret: a server's program can.")


class ClientOut(_Schema):
    """A client, without its secret."""

    id: IdOut
    name: str
    grants: list[str]
    redirect_uris: list[str]
    scope: list[str]
    confidential: bool
    created_at: InstantText


class ClientMade(ClientOut):
    """A client. Its secret is shown this once."""

    secret: str | None


class ClientList(_Schema):
    """The clients there are, the latest first."""

    items: list[ClientOut]


Said = Annotated[str, Field(max_length=4096, pattern=VISIBLE_OR_NONE)]


class GrantForm(BaseModel):
    """What a client asks the token endpoint (RFC 6749, RFC 7636, RFC 8628)."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    grant_type: Said = Field(examples=[CODE_GRANT])
    code: Said = ""
    redirect_uri: Said = ""
    code_verifier: Said = ""
    refresh_token: Said = ""
    device_code: Said = ""
    scope: Said = ""
    client_id: Said = ""
    client_secret: Said = ""


class GrantOut(_Schema):
    """What a client is given (RFC 6749, 5.1)."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    scope: str
    refresh_token: str | None = None
    id_token: str | None = None


class DeviceForm(BaseModel):
    """A device that wants to be let in (RFC 8628, 3.1)."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    client_id: Said = ""
    scope: Said = ""
    client_secret: Said = ""


class DeviceOut(_Schema):
    """What a device shows, and what it polls with (RFC 8628, 3.2)."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int


class PageForm(BaseModel):
    """What a page of ours sends back, besides what it was asked for: who answers, and what."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    email: str = Field("", max_length=LONGEST)
    password: str = Field("", max_length=LONGEST)
    otp: str = Field("", max_length=100)
    user_code: str = Field("", max_length=100)
    decision: Literal["allow", "deny"] = "allow"


class Metadata(BaseModel):
    """What there is and where (RFC 8414, OpenID Connect Discovery)."""

    model_config = ConfigDict(extra="allow", frozen=True)

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class TokenForm(BaseModel):
    """A token, and what whoever has it takes it for."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    token: Annotated[str, Field(max_length=4096, pattern=VISIBLE)]
    token_type_hint: Annotated[str, Field(max_length=100, pattern=VISIBLE_OR_NONE)] = Field(
        "", description="Not needed: a token says by itself what it is."
    )


class Introspected(BaseModel):
    """What a token is good for now (RFC 7662, 2.2); of one that is good for nothing, only that."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    active: bool
    token_type: Literal["Bearer"] | None = None
    iss: str | None = None
    aud: str | None = None
    sub: str | None = None
    client_id: str | None = None
    jti: str | None = None
    iat: int | None = None
    exp: int | None = None
    role: str | None = None
    scope: str | None = None
    sid: str | None = None


class RevokedOut(_Schema):
    """Access tokens that are not good any more."""

    id: IdOut
    kind: Literal["session", "subject", "token"]
    of: str
    before: int = Field(description="Of a subject, those issued up to this instant, in microseconds since 1970.")
    until: int = Field(description="From when on it says nothing more, in microseconds since 1970.")


class RevokedList(_Schema):
    """What was revoked and has not expired."""

    items: list[RevokedOut]


class ListRevoked(BaseModel):
    """Which revocations."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: UUID | None = Field(None, description="Only those made after this one, and a few seconds before it.")


class ListAudit(BaseModel):
    """Which entries of the audit log."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: str | None = Field(None, max_length=60, pattern=r"^[a-z_.]+$", description="What was done.")
    actor: Line | None = Field(None, max_length=128, description="Who did it.")
    user_id: UUID | None = Field(None, description="To whom it was done.")
    request_id: Line | None = Field(None, max_length=128, description="By which request.")
    since: QueryInstant | None = Field(None, description="The first instant.")
    until: QueryInstant | None = Field(None, description="The first instant not in it any more.")
    format: Literal["json", "csv", "ndjson"] = Field(
        "json", description=f"A page, or an export of up to {LARGEST_EXPORT}: `Link` leads on."
    )
    limit: int = Field(USUAL_PAGE, ge=1, le=LARGEST_PAGE, description="How many to a page.")
    cursor: Cursor | None = None


class AuditEntryOut(_Schema):
    """Who did what."""

    id: IdOut
    at: InstantText
    action: str = Field(examples=["signed_in"])
    actor: str = Field(examples=[ID], description="Who did it, or was refused it.")
    user_id: IdOut | None = Field(description="To whom it was done, where it was done to somebody.")
    address: str = Field(examples=["192.0.2.7"], description="Where it was asked from; empty where nobody asked.")
    request_id: str = Field(examples=[ID], description="By which request; empty where it was none.")
    before: dict[str, object] = Field(examples=[{"role": "clerk"}])
    after: dict[str, object] = Field(examples=[{"role": "manager"}])


class AuditPage(_Schema):
    """A page of the audit log, the latest first."""

    items: list[AuditEntryOut]
    next: str | None = Field(description="The cursor of the next page; null on the last.")
    links: dict[str, str] = Field(examples=[{"self": "/v1/audit?limit=50"}])


class RefusedIn(_Schema):
    """That a neighbour refused somebody something, because of who they are."""

    id: Annotated[UUID, Field(strict=False)] = Field(description="The same again changes nothing.", examples=[ID])
    at: int = Field(ge=0, le=LATEST, description="Microseconds since 1970.", examples=[1_790_000_000_000_000])
    actor: Line = Field(max_length=128, examples=[ID])
    address: Line = Field(max_length=64, examples=["192.0.2.7"])
    operation: Line = Field(max_length=200, examples=["PATCH /v1/users/{user_id}"])
    path: Line = Field(max_length=600, examples=[f"/v1/users/{ID}"])
    code: Line = Field(max_length=60, examples=["permission_missing"])
    request_id: Line = Field(max_length=128, examples=[ID])


class RefusedMany(_Schema):
    """What a neighbour refused, together where it was much."""

    items: Annotated[list[RefusedIn], Field(min_length=1, max_length=200)]
