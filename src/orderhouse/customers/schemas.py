"""What customers looks like on the wire."""

from typing import Annotated, Literal, NamedTuple
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from orderhouse.kernel.email import Email
from orderhouse.kernel.pages import COUNTED_TO, LARGEST_OFFSET, LARGEST_PAGE, USUAL_PAGE, Cursor, Offset
from orderhouse.kernel.text import NOT_BLANK, InstantText, Line, Name, not_blank

ID = "0197f0e2-7b7a-7c3a-9f52-6f1d2b3c4d5e"

PATH = "/v1/customers"
SELF = f"{PATH}/{{}}"
DEACTIVATION = f"{PATH}/{{}}/deactivation"
REACTIVATION = f"{PATH}/{{}}/reactivation"
LINKS = {"self": SELF, "orders": "/v1/orders?customer={}"}
"""Where a customer leads to, by its id."""

ExternalId = Annotated[Line, Field(min_length=1, max_length=128, examples=["17850"])]
Country = Annotated[
    Line,
    Field(
        min_length=1,
        max_length=60,
        examples=["United Kingdom"],
        description="A country, as its source names it.",
        json_schema_extra=NOT_BLANK,
    ),
    AfterValidator(not_blank),
]


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
    email: Email | None = Field(None, description="Whose address it is, however it is written.")
    sort: Literal["-created_at", "created_at", "name", "-name"] = Field("-created_at", description="Which comes first.")
    limit: int = Field(USUAL_PAGE, ge=1, le=LARGEST_PAGE, description="How many to a page.")
    cursor: Cursor | None = None
    offset: Offset | None = Field(
        None, description=f"How many to pass over, at most {LARGEST_OFFSET}; instead of a cursor."
    )
