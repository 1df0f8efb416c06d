"""Programs that act for people, or for themselves."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from orderhouse.auth.schemas.shared import AUTH, IdOut, Schema
from orderhouse.kernel.principal import PERMISSIONS
from orderhouse.kernel.text import InstantText, Name

CLIENTS = f"{AUTH}/clients"
IDENTITY = frozenset({"openid", "profile", "email"})
"""What a client asks for that wants to know who somebody is."""


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


class AddClient(Schema):
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


class ClientOut(Schema):
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


class ClientList(Schema):
    """The clients there are, the latest first."""

    items: list[ClientOut]
