"""Signing in, and the sessions that come of it."""

from typing import Literal

from pydantic import Field

from orderhouse.auth.schemas.shared import AUTH, Code, IdOut, NewPassword, Password, Schema, Secret
from orderhouse.kernel.email import Email
from orderhouse.kernel.text import InstantText, Name

SESSIONS = f"{AUTH}/sessions"
SESSION = f"{AUTH}/session"
TOKENS = f"{AUTH}/tokens"


class SignIn(Schema):
    """Who comes in."""

    email: Email
    password: Password
    code: Code | None = Field(None, description="Of the second factor, or a recovery code.")
    new_password: NewPassword | None = Field(None, description="Where the old one was good for once.")
    device: Name | None = Field(None, description="What the session is called in the list of them.")
    device_token: Secret | None = Field(
        None, description="What an earlier sign-in on this device gave: it keeps strangers from locking it out."
    )


class TokensOut(Schema):
    """What lets somebody in (RFC 6749, 5.1)."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int = Field(examples=[600], description="In seconds.")
    refresh_token: str = Field(description="Good for one use.")
    session_id: IdOut
    device_token: str | None = Field(description="To be sent at the next sign-in on this device; null otherwise.")


class Refresh(Schema):
    """A refresh token, to be used up."""

    refresh_token: Secret


class SessionOut(Schema):
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


class SessionPage(Schema):
    """The sessions that go on, the latest first."""

    items: list[SessionOut]
