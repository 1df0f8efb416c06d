"""What the standards of OAuth and OpenID Connect say."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from orderhouse.auth.passwords import LONGEST
from orderhouse.auth.schemas.shared import Schema

INTROSPECTION = "/oauth/introspection"
REVOCATION = "/oauth/revocation"
AUTHORIZATION = "/oauth/authorization"
TOKEN_ENDPOINT = "/oauth/token"  # noqa: S105 - where tokens are given
DEVICE_AUTHORIZATION = "/oauth/device-authorization"
DEVICE = "/oauth/device"
CODE_GRANT, CREDENTIALS_GRANT, REFRESH_GRANT = "authorization_code", "client_credentials", "refresh_token"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
VISIBLE, VISIBLE_OR_NONE = r"^[ -~]+$", r"^[ -~]*$"
"""What RFC 6749 takes for text (its appendix A)."""

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


class GrantOut(Schema):
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


class DeviceOut(Schema):
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
