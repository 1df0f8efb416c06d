"""What analytics looks like on the wire."""

from datetime import date
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

from orderhouse.kernel import money

By = Literal["day", "week", "month", "customer", "user", "country", "status"]
CUTS: tuple[By, ...] = get_args(By)
PERIODS = ("day", "week", "month")
RANKED = ("customer", "user", "country")


def _currency(code: str) -> str:
    if code not in money.CURRENCIES:
        raise ValueError("must be a currency of ISO 4217, such as GBP")
    return code


Currency = Annotated[
    str, AfterValidator(_currency), WithJsonSchema({"type": "string", "enum": list(money.CURRENCIES), "example": "GBP"})
]
# JSON Schema bounds no dates: the pattern says what the bounds do.
_CENTURIES = {"pattern": r"^(19|2[01])\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"}
Day = Annotated[date, Field(ge=date(1900, 1, 1), le=date(2199, 12, 31), json_schema_extra=_CENTURIES)]


class SalesQuery(BaseModel):
    """Which sales, cut how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: By = Field(description="What a cell is. Weeks begin on Monday.")
    from_: Day | None = Field(
        None, alias="from", description="The first local day; thirty days up to the last one if left out."
    )
    to: Day | None = Field(None, description="The last local day, included; today if left out.")
    time_zone: str | None = Field(
        None,
        min_length=1,
        max_length=64,
        description="Whose days (IANA); the shop's if left out.",
        examples=["Europe/London"],
        json_schema_extra={"pattern": "^[A-Za-z0-9_+/-]*$"},
    )
    currency: Currency | None = Field(None, description="Needed where there are several in the range.")
    limit: int | None = Field(
        None, ge=1, le=1000, description="How many customers, users or countries; 50 if left out."
    )


Amount = Annotated[str, Field(pattern=r"^-?\d+(\.\d+)?$", examples=["1204.50"])]


class SalesFigures(BaseModel):
    """What some documents add up to. Amounts are sums of exact amounts, rounded once, half away from zero."""

    orders: int = Field(description="How many sales that are not cancelled.")
    credits: int = Field(description="How many credits that are not cancelled.")
    gross: Amount = Field(description="All sales.")
    credit_total: Amount = Field(description="All credits: negative.")
    net: Amount = Field(description="gross + credit_total.")


class Unassigned(SalesFigures):
    """What belongs to no cell of this cut."""

    links: dict[str, str]


class SalesCell(Unassigned):
    """A day, a customer, a country …: its key, its figures, and the orders behind them."""

    key: str
    name: str | None = Field(None, description="Of a customer.")
    external_id: str | None = Field(None, description="Of a customer: its source's own number.")


class SalesTotals(SalesFigures):
    """All of the range, also beyond the limit."""

    adjustments: Amount = Field(description="Documents that are neither sale nor credit; in no other figure.")


class SalesOut(BaseModel):
    """Sales of a range, cut by something."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "key": "2011-03-01",
                            "orders": 61,
                            "credits": 12,
                            "gross": "22470.10",
                            "credit_total": "-314.20",
                            "net": "22155.90",
                            "links": {"orders": "/v1/orders?placed_from=2011-03-01T00%3A00%3A00.000000Z"},
                        }
                    ],
                    "unassigned": {
                        "orders": 0,
                        "credits": 0,
                        "gross": "0.00",
                        "credit_total": "0.00",
                        "net": "0.00",
                        "links": {},
                    },
                    "totals": {
                        "orders": 61,
                        "credits": 12,
                        "gross": "22470.10",
                        "credit_total": "-314.20",
                        "net": "22155.90",
                        "adjustments": "0.00",
                    },
                    "currency": "GBP",
                    "time_zone": "Europe/London",
                    "fresh_as_of": "2026-11-20T09:30:00.000000Z",
                }
            ]
        }
    )

    items: list[SalesCell]
    unassigned: Unassigned
    totals: SalesTotals
    currency: str | None = Field(description="Null where nothing was sold and none was named.")
    time_zone: str
    fresh_as_of: str = Field(description="Every order placed up to this instant is in the figures.")
