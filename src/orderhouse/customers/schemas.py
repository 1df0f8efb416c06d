"""What customers looks like on the wire."""

import re
import unicodedata
from typing import Annotated, Literal, NamedTuple
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from orderhouse.kernel.pages import LARGEST_PAGE, USUAL_PAGE, Cursor
from orderhouse.kernel.text import Line

ID = "0197f0e2-7b7a-7c3a-9f52-6f1d2b3c4d5e"
LARGEST_OFFSET = 10_000
COUNTED_TO = 10_001

PATH = "/v1/customers"
SELF = f"{PATH}/{{}}"
DEACTIVATION = f"{PATH}/{{}}/deactivation"
REACTIVATION = f"{PATH}/{{}}/reactivation"
LINKS = {"self": SELF, "orders": "/v1/orders?customer={}"}
"""Where a customer leads to, by its id."""

# RFC 5321's dot-atom, with the letters of RFC 6531; a quoted local part or an address literal is nobody's address.
_LOCAL = re.compile(r"[^\s\"(),.:;<>@\[\\\]]+(\.[^\s\"(),.:;<>@\[\\\]]+)*")
_DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def email_key(address: str) -> str:
    """Return what is equal for all spellings of one e-mail address; ValueError when it is no address.

    Upper and lower case are one, composed and decomposed letters are one, and so are a domain in letters and in its
    ASCII form (IDNA 2003). Dots and tags in the local part stay: only its own provider knows what they mean.
    """
    local, _, domain = address.rpartition("@")
    too_long = len(local.encode()) > 64 or len(address.encode()) > 254
    if too_long or not local.isprintable() or not _LOCAL.fullmatch(local):
        raise ValueError("must be an e-mail address, such as ada@example.com")
    return f"{_folded(local)}@{_ascii(domain)}"


def _ascii(domain: str) -> str:
    try:
        name = domain.encode("idna").decode().lower()
    except UnicodeError:
        name = ""
    if len(name) > 253 or not _DOMAIN.fullmatch(name):
        raise ValueError("must have a domain such as example.com behind its @")
    return name


def name_key(name: str) -> str:
    """Return what a name is sorted by: without regard to case, and no longer than an order of names needs."""
    return _folded(name)[:64]


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def _email(address: str) -> str:
    email_key(address)
    return address


def _not_blank(text: str) -> str:
    if text.isspace():
        raise ValueError("must not be blank")
    return text


def _not_too_far(offset: int) -> int:
    if offset > LARGEST_OFFSET:
        raise ValueError(f"must be at most {LARGEST_OFFSET}; to go further, follow `next`, a cursor")
    return offset


_NOT_BLANK = {"pattern": r"^[^\x00-\x1F\x7F]*[^\s\x00-\x1F\x7F][^\x00-\x1F\x7F]*$"}

Name = Annotated[
    Line,
    Field(min_length=1, max_length=200, examples=["Ada's Tea Room"], json_schema_extra=_NOT_BLANK),
    AfterValidator(_not_blank),
]
Email = Annotated[
    str,
    Field(max_length=254, examples=["ada@example.com"], json_schema_extra={"format": "email"}),
    AfterValidator(_email),
]
ExternalId = Annotated[Line, Field(min_length=1, max_length=128, examples=["17850"])]
Country = Annotated[
    Line,
    Field(
        min_length=1,
        max_length=60,
        examples=["United Kingdom"],
        description="A country, as its source names it.",
        json_schema_extra=_NOT_BLANK,
    ),
    AfterValidator(_not_blank),
]
Offset = Annotated[int, Field(ge=0, json_schema_extra={"maximum": LARGEST_OFFSET}), AfterValidator(_not_too_far)]
InstantText = Annotated[str, Field(examples=["2026-11-20T09:30:00.000000Z"], json_schema_extra={"format": "date-time"})]


class _Schema(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class AddCustomer(_Schema):
    """A customer to be added."""

    name: Name
    email: Email | None = None
    external_id: ExternalId | None = None
    country: Country | None = None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Ada's Tea Room", "email": "ada@example.com", "country": "United Kingdom"}]
        }
    )


class ImportCustomer(AddCustomer):
    """The trusted variant of AddCustomer: what a source's file may say. No route takes it."""

    source: ExternalId
    external_id: ExternalId
    email: None = None


class ChangeCustomer(_Schema):
    """What is to change about a customer, as a JSON merge patch: what is left out stays, null takes away."""

    # Never seen: a name that is left out stays, and one that is given is a name.
    name: Name = Field(default_factory=str)
    email: Email | None = None
    country: Country | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"email": "tea@example.com"}, {"country": None}]})


class Change(NamedTuple):
    """A ChangeCustomer for one customer, at the version the caller last saw."""

    customer_id: UUID
    wanted: ChangeCustomer
    version: int


class Seen(NamedTuple):
    """One customer, at the version the caller last saw if it said so."""

    customer_id: UUID
    version: int | None


class CustomerOut(_Schema):
    """A customer."""

    id: Annotated[str, Field(examples=[ID], json_schema_extra={"format": "uuid"})]
    name: str = Field(examples=["Ada's Tea Room"])
    email: str | None = Field(examples=["ada@example.com"], description="As it was given.")
    external_id: str | None = Field(examples=["17850"], description="What its source calls it.")
    source: str = Field(examples=["api"], description="Where it came from; an external id is unique within it.")
    country: str | None = Field(examples=["United Kingdom"])
    active: bool = Field(description="Whether it can place orders.")
    version: int = Field(examples=[1], description="Counts its changes; also its ETag.")
    created_at: InstantText
    updated_at: InstantText
    links: dict[str, str] = Field(
        description="Itself, its orders, and what may be done next: deactivation or reactivation.",
        examples=[{name: path.format(ID) for name, path in {**LINKS, "deactivation": DEACTIVATION}.items()}],
    )


class CustomerPage(_Schema):
    """A page of customers."""

    items: list[CustomerOut]
    next: str | None = Field(description="The cursor of the next page; null on the last.")
    total: int | None = Field(
        description=f"How many there are, counted to {COUNTED_TO} and no further; null on pages by cursor."
    )
    links: dict[str, str] = Field(
        description="Itself, and the next page unless it is the last.", examples=[{"self": "/v1/customers?limit=50"}]
    )


class ListCustomers(BaseModel):
    """Which customers, in which order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    active: Literal["true", "false"] | None = Field(None, description="Only those who can place orders, or cannot.")
    external_id: Line | None = Field(None, max_length=128, description="What a source calls it.")
    sort: Literal["-created_at", "created_at", "name", "-name"] = Field("-created_at", description="Which comes first.")
    limit: int = Field(USUAL_PAGE, ge=1, le=LARGEST_PAGE, description="How many to a page.")
    cursor: Cursor | None = None
    offset: Offset | None = Field(
        None, description=f"How many to pass over, at most {LARGEST_OFFSET}; instead of a cursor."
    )
