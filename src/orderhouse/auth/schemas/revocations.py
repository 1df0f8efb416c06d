"""What was revoked before it expired."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from orderhouse.auth.schemas.shared import AUTH, IdOut, Schema

REVOCATIONS = f"{AUTH}/revocations"


class RevokedOut(Schema):
    """Access tokens that are not good any more."""

    id: IdOut
    kind: Literal["session", "subject", "token"]
    of: str
    before: int = Field(description="Of a subject, those issued up to this instant, in microseconds since 1970.")
    until: int = Field(description="From when on it says nothing more, in microseconds since 1970.")


class RevokedList(Schema):
    """What was revoked and has not expired."""

    items: list[RevokedOut]


class ListRevoked(BaseModel):
    """Which revocations."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after: UUID | None = Field(None, description="Only those made after this one, and a few seconds before it.")
