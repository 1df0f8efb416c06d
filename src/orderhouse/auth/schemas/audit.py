"""The audit log."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from orderhouse.auth.schemas.shared import ID, IdOut, Schema
from orderhouse.kernel.pages import LARGEST_PAGE, USUAL_PAGE, Cursor
from orderhouse.kernel.text import InstantText, Line, QueryInstant

AUDIT = "/v1/audit"
REFUSALS = f"{AUDIT}/refusals"
LARGEST_EXPORT = 10_000

# As far as every reader of JSON counts exactly: in microseconds, the year 2255.
LATEST = 2**53 - 1


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


class AuditEntryOut(Schema):
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


class AuditPage(Schema):
    """A page of the audit log, the latest first."""

    items: list[AuditEntryOut]
    next: str | None = Field(description="The cursor of the next page; null on the last.")
    links: dict[str, str] = Field(examples=[{"self": "/v1/audit?limit=50"}])


class RefusedIn(Schema):
    """That a neighbour refused somebody something, because of who they are."""

    id: Annotated[UUID, Field(strict=False)] = Field(description="The same again changes nothing.", examples=[ID])
    at: int = Field(ge=0, le=LATEST, description="Microseconds since 1970.", examples=[1_790_000_000_000_000])
    actor: Line = Field(max_length=128, examples=[ID])
    address: Line = Field(max_length=64, examples=["192.0.2.7"])
    operation: Line = Field(max_length=200, examples=["PATCH /v1/users/{user_id}"])
    path: Line = Field(max_length=600, examples=[f"/v1/users/{ID}"])
    code: Line = Field(max_length=60, examples=["permission_missing"])
    request_id: Line = Field(max_length=128, examples=[ID])


class RefusedMany(Schema):
    """What a neighbour refused, together where it was much."""

    items: Annotated[list[RefusedIn], Field(min_length=1, max_length=200)]
