"""The rules that raise tasks, on the wire."""

from typing import Annotated, Literal, NamedTuple
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema

from orderhouse.kernel import money
from orderhouse.kernel.text import InstantText, Line
from orderhouse.tasks.contract import TaskPriority
from orderhouse.tasks.schemas.shared import IdOut, Links, Schema, Title, Who

RULES = "/v1/task-rules"

MOST_RULES = 50
"""How many rules there may be: each is asked about every order that may be a cause."""


def _currency(code: str) -> str:
    if code not in money.CURRENCIES:
        raise ValueError("must be a currency of ISO 4217, such as GBP")
    return code


def _amount(text: str) -> str:
    money.exact(text)
    return text


Currency = Annotated[
    str, AfterValidator(_currency), WithJsonSchema({"type": "string", "enum": list(money.CURRENCIES), "example": "GBP"})
]


class OrderOnHold(Schema):
    """An order is on hold for so long."""

    kind: Literal["order_on_hold"]
    after_hours: int = Field(48, ge=0, le=8760, examples=[48])


class CreditOver(Schema):
    """A credit over an amount was told of since there is the rule."""

    kind: Literal["credit_over"]
    amount: Annotated[
        str, Field(pattern=r"^\d{1,12}(\.\d{1,6})?$", max_length=19, examples=["500.00"]), AfterValidator(_amount)
    ]
    currency: Currency


class FactDead(Schema):
    """A reader has given a fact up."""

    kind: Literal["dead_letter"]
    reader: Line | None = Field(None, max_length=128, description="Only this reader's; any reader's if left out.")


When = Annotated[
    OrderOnHold | CreditOver | FactDead,
    Field(discriminator="kind", examples=[{"kind": "order_on_hold", "after_hours": 48}]),
]


class AddRule(Schema):
    """A rule that raises a task when something happens, and closes it when that is over."""

    title: Title
    when: When
    enabled: bool = True
    priority: TaskPriority = "high"
    assigned_to: Who | None = Field(None, description="Who is to do what it raises.")
    due_in_days: int | None = Field(None, ge=0, le=365, description="How many days its tasks may take.")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"title": "An order is on hold for two days", "when": {"kind": "order_on_hold", "after_hours": 48}}
            ]
        }
    )


class ChangeRule(Schema):
    """What is to change about a rule, as a JSON merge patch, but for `when`, which is set whole."""

    # Never seen: what is left out stays, and what is given is one of these.
    title: Title = Field(default_factory=str)
    when: When = Field(default_factory=lambda: OrderOnHold(kind="order_on_hold", after_hours=0))
    enabled: bool = Field(default_factory=bool)
    priority: TaskPriority = Field(default_factory=lambda: "high")
    assigned_to: Who | None = None
    due_in_days: int | None = Field(None, ge=0, le=365)

    model_config = ConfigDict(json_schema_extra={"examples": [{"enabled": False}]})


class RuleChange(NamedTuple):
    """A ChangeRule for one rule, at the version the caller last saw."""

    id: UUID
    wanted: ChangeRule
    version: int


class RuleOut(Schema):
    """A rule."""

    id: IdOut
    title: str = Field(examples=["An order is on hold for two days"])
    when: When
    enabled: bool
    priority: TaskPriority
    assigned_to: str | None
    due_in_days: int | None
    version: int = Field(examples=[1], description="Counts its changes; also its ETag.")
    created_at: InstantText
    updated_at: InstantText
    links: Links


class RulesOut(Schema):
    """All rules, in the order of adding."""

    items: list[RuleOut]
