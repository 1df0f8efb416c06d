"""What orders looks like on the wire."""

from functools import lru_cache
from typing import Annotated, Any, Literal, NamedTuple
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from orderhouse.kernel import money
from orderhouse.kernel.clock import Instant
from orderhouse.kernel.pages import LARGEST_PAGE, USUAL_PAGE, Cursor
from orderhouse.kernel.text import Line, Lines, QueryInstant
from orderhouse.orders.contract import Kind, Status

ID = "0197f0e2-7b7a-7c3a-9f52-6f1d2b3c4d5e"
PRICE_PATTERN = r"^\d{1,12}(\.\d{1,6})?$"
AMOUNT_PATTERN = r"^-?\d+(\.\d+)?$"


def _currency(code: str) -> str:
    if code not in money.CURRENCIES:
        raise ValueError("must be a currency of ISO 4217, such as GBP")
    return code


def _price(value: object) -> object:
    # An exact integer is what the price becomes; a number in JSON never gets here, for floats cannot be trusted.
    if not isinstance(value, str):
        raise ValueError('must be a decimal in a string, such as "3.50"')  # noqa: TRY004 - pydantic tells ValueErrors
    return _exact_price(value)


@lru_cache(maxsize=4096)
def _exact_price(text: str) -> int:
    amount = money.exact(text)
    if amount < 0 or text.startswith("-"):
        raise ValueError("must not be negative")
    return amount


Currency = Annotated[
    str, AfterValidator(_currency), WithJsonSchema({"type": "string", "enum": list(money.CURRENCIES), "example": "GBP"})
]
Price = Annotated[
    int,
    BeforeValidator(_price),
    WithJsonSchema({"type": "string", "pattern": PRICE_PATTERN, "examples": ["3.50"]}),
]
"""A decimal string on the wire, exact millionths inside."""


def path_of(order_id: UUID | str) -> str:
    """Return where in the API an order is."""
    return f"/v1/orders/{order_id}"


class _Schema(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class WantedLine(_Schema):
    """So many of one thing, at a price each."""

    sku: Line = Field(min_length=1, max_length=64, examples=["TEA"])
    description: Line | None = Field(None, max_length=500, examples=["Tea, loose, 250 g"])
    quantity: int = Field(ge=1, le=1_000_000, examples=[2])
    unit_price: Price


class PlaceOrder(_Schema):
    """An order to be placed."""

    customer_id: UUID = Field(strict=False, examples=[ID])
    currency: Currency
    lines: list[WantedLine] = Field(min_length=1, max_length=500)
    external_reference: Line | None = Field(None, min_length=1, max_length=128, examples=["PO-2041"])
    note: Lines | None = Field(None, max_length=2000, examples=["Leave at the back door."])

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customer_id": ID,
                    "currency": "GBP",
                    "lines": [{"sku": "TEA", "description": "Tea, loose", "quantity": 2, "unit_price": "3.50"}],
                    "external_reference": "PO-2041",
                }
            ]
        }
    )


class ImportedLine(NamedTuple):
    """A line as a trusted source says it: any sign of quantity and price; the price in exact millionths."""

    sku: str
    description: str | None
    quantity: int
    unit_price: int


class ImportOrder(NamedTuple):
    """The trusted variant of PlaceOrder: what a source's document may say beyond a request.

    Kind, a time in the past, no customer, an initial status, any sign of quantity, thousands of lines. Only importers
    make one, from rows they have checked themselves, so nothing is validated here a second time; no route takes it.
    With `replace`, a document that is there and differs is taken anew: what the source says is new, while the status
    it was taken to here, who is answerable for it, and a note the source has none for stay.
    """

    customer_id: UUID | None
    currency: str
    lines: list[ImportedLine]
    external_reference: str
    note: str | None
    source: str
    kind: Kind
    status: Status
    placed_at: Instant
    country: str | None
    fingerprint: bytes
    replace: bool = False


class MoveOrder(_Schema):
    """Where an order is to go, and why."""

    to: Status = Field(examples=["confirmed"])
    reason: Lines | None = Field(None, min_length=1, max_length=500, examples=["Paid."])


class ChangeOrder(_Schema):
    """What is to change on an order; what is left out stays."""

    note: Lines | None = Field(None, max_length=2000, examples=["Ring twice."])
    assigned_to: Line | None = Field(None, min_length=1, max_length=128, examples=["clerk-7"])

    model_config = ConfigDict(json_schema_extra={"examples": [{"note": "Ring twice."}]})


class Move(NamedTuple):
    """A MoveOrder for one order, at the version the caller last saw if it said so."""

    order_id: UUID
    wanted: MoveOrder
    version: int | None


class Change(NamedTuple):
    """A ChangeOrder for one order, at the version the caller last saw."""

    order_id: UUID
    wanted: ChangeOrder
    version: int


Amount = Annotated[str, Field(pattern=AMOUNT_PATTERN, examples=["7.00"])]
InstantText = Annotated[str, Field(examples=["2026-11-20T09:30:00.000000Z"], json_schema_extra={"format": "date-time"})]


class LineOut(_Schema):
    """A line as it was ordered."""

    line: int = Field(examples=[1])
    sku: str
    description: str | None
    quantity: int
    unit_price: Amount
    amount: Amount


class HistoryOut(_Schema):
    """Something that happened to an order."""

    sequence: int = Field(examples=[1])
    name: str = Field(examples=["OrderPlaced"])
    at: InstantText
    actor: str = Field(examples=["clerk-7"])
    request_id: str
    data: dict[str, Any]
    reason: str | None


class OrderSummary(_Schema):
    """An order in a list."""

    id: Annotated[str, Field(examples=[ID], json_schema_extra={"format": "uuid"})]
    kind: Kind
    status: Status
    currency: Currency
    customer_id: str | None
    country: str | None
    placed_at: InstantText
    placed_by: str
    assigned_to: str | None
    source: str
    external_reference: str | None
    amount: Amount = Field(description="Exact: the sum of its lines.")
    total: Amount = Field(description="Payable: rounded once to the currency's minor unit, half away from zero.")
    line_count: int
    version: int
    updated_at: InstantText
    links: dict[str, Any]


class PlacedOut(OrderSummary):
    """An order with its lines."""

    note: str | None
    lines: list[LineOut]


class OrderOut(PlacedOut):
    """An order, whole."""

    history: list[HistoryOut] = Field(description="What happened last, in order; all of it is behind `links.history`.")


class HistoryPage(_Schema):
    """A page of what happened to an order."""

    items: list[HistoryOut]
    next: str | None = Field(description="The cursor of the next page; null on the last.")
    links: dict[str, Any]


class OrderPage(_Schema):
    """A page of orders."""

    items: list[OrderSummary]
    next: str | None = Field(description="The cursor of the next page; null on the last.")
    links: dict[str, Any]


class TransitionOut(_Schema):
    """A transition that was made."""

    order_id: str
    from_status: Status = Field(serialization_alias="from", validation_alias="from")
    to: Status
    reason: str | None
    actor: str
    at: InstantText
    version: int
    links: dict[str, Any]


class ListHistory(BaseModel):
    """How much of an order's history."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int = Field(USUAL_PAGE, ge=1, le=LARGEST_PAGE, description="How many to a page.")
    cursor: Cursor | None = None


class ListOrders(BaseModel):
    """Which orders, in which order. At most one of customer, assigned_to, country, kind and external_reference."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: Status | None = Field(None, description="Also beside customer or assigned_to.")
    customer: UUID | Literal["none"] | None = Field(None, description="A customer's id, or none: without a customer.")
    assigned_to: Line | None = Field(None, max_length=128, description="Who is answerable, or none: nobody is.")
    country: Line | None = Field(None, max_length=60, description="A country as orders name it, or none.")
    kind: Literal["credit", "adjustment"] | None = Field(None, description="Only documents that are no sales.")
    external_reference: Line | None = Field(None, max_length=128, description="The source's own number; with source.")
    source: Line = Field("api", max_length=64, description="Whose external_reference it is.")
    placed_from: QueryInstant | None = Field(None, description="The first instant.")
    placed_to: QueryInstant | None = Field(None, description="The first instant not in it any more.")
    currency: Currency | None = Field(None, description="Narrows any of the others.")
    counted: Literal["true"] | None = Field(
        None, description="Only what sales figures count: sales and credits that are not cancelled. Narrows the others."
    )
    sort: Literal["-placed_at", "placed_at"] = Field("-placed_at", description="Latest or earliest first.")
    limit: int = Field(USUAL_PAGE, ge=1, le=LARGEST_PAGE, description="How many to a page.")
    cursor: Cursor | None = None
