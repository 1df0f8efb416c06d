"""Signing in by way of an outside provider."""

from pydantic import Field

from orderhouse.auth.schemas.shared import AUTH, Schema
from orderhouse.kernel.text import Name

OUTSIDE = f"{AUTH}/outside-sign-ins"
RETURN = "/oauth/return"


class OutsideBegun(Schema):
    """Where to go to say who one is, and what to keep until one is back."""

    url: str
    ticket: str = Field(description="To be sent along when coming back, by whoever began; good for ten minutes.")


class OutsideCameBack(Schema):
    """What the outside provider sent back, and the ticket of whoever began."""

    ticket: str = Field(min_length=1, max_length=2000)
    code: str = Field(min_length=1, max_length=2000)
    state: str = Field(min_length=1, max_length=200)
    device: Name | None = Field(None, description="What the session is called in the list of them.")
