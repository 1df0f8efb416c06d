"""What neighbours may know of orders: the facts it tells."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from orderhouse.kernel.events import FactData, FactKind, NoData

Kind = Literal["sale", "credit", "adjustment"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Status = Literal["placed", "on_hold", "confirmed", "packed", "shipped", "delivered", "cancelled", "returned"]
STATUSES: tuple[Status, ...] = get_args(Status)

PLACED = "OrderPlaced"
REPLACED = "OrderReplaced"
MOVED = "OrderMoved"
ASSIGNED = "OrderAssigned"
NOTED = "OrderNoteChanged"


class DocumentData(FactData):
    """What a document amounts to."""

    kind: Kind
    status: Status
    currency: Annotated[str, Field(description="ISO 4217.", min_length=3, max_length=3)]
    customer_id: Annotated[str | None, Field(json_schema_extra={"format": "uuid"})]
    country: str | None
    owner_id: Annotated[str | None, Field(description="Who is answerable for it: the subject of a token.")]
    placed_at: Annotated[int, Field(description="Microseconds since 1970, UTC.")]
    amount: Annotated[str, Field(description="Exact decimal text.")]
    total: Annotated[str, Field(description="What is to be paid: the amount, rounded once.")]
    lines: Annotated[int, Field(ge=0, description="How many.")]
    source: str
    external_reference: str | None


class MoveData(FactData):
    """From which status to which."""

    model_config = FactData.model_config | {"serialize_by_alias": True}

    from_: Annotated[Status, Field(alias="from")]
    to: Status


class AssignmentData(FactData):
    """Who is answerable now."""

    owner_id: str | None


FACT_KINDS = (
    FactKind(PLACED, "A document was accepted. Told once per document, with what it amounts to.", DocumentData),
    FactKind(
        REPLACED,
        "An imported document changed at its source and was taken again; its data is all of it new.",
        DocumentData,
    ),
    FactKind(MOVED, "An order went from one status to another.", MoveData),
    FactKind(ASSIGNED, "Somebody else is answerable for an order.", AssignmentData),
    FactKind(NOTED, "An order's note was changed; the note itself stays in the orders' own tables.", NoData),
)
"""Every fact orders tells."""

FACTS = tuple(kind.name for kind in FACT_KINDS)
