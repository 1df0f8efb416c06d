"""Machines' keys."""

from typing import Literal

from pydantic import Field

from orderhouse.auth.schemas.shared import AUTH, IdOut, Permission, Schema, Secret
from orderhouse.kernel.principal import PERMISSIONS
from orderhouse.kernel.text import InstantText, Name

API_KEYS = f"{AUTH}/api-keys"
API_KEY_TOKENS = f"{AUTH}/api-key-tokens"


class AddApiKey(Schema):
    """A key for a machine."""

    name: Name
    scope: list[Permission] = Field(
        min_length=1, max_length=len(PERMISSIONS), examples=[["orders:read"]], description="What it may be used for."
    )
    expires_in_days: int | None = Field(None, ge=1, le=3650)


class ApiKeyOut(Schema):
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


class ApiKeyPage(Schema):
    """The API keys that are good, the latest first."""

    items: list[ApiKeyOut]


class UseApiKey(Schema):
    """A machine that comes in."""

    api_key: Secret


class AccessOut(Schema):
    """What lets a machine in, for ten minutes."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    scope: str = Field(examples=["orders:read"])
