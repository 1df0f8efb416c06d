"""What neighbours may know of orders: the facts it tells."""

from typing import Literal, get_args

Kind = Literal["sale", "credit", "adjustment"]
KINDS: tuple[Kind, ...] = get_args(Kind)

Status = Literal["placed", "on_hold", "confirmed", "packed", "shipped", "delivered", "cancelled", "returned"]
STATUSES: tuple[Status, ...] = get_args(Status)

PLACED = "OrderPlaced"
"""A document was accepted. Told once per document, with what it amounts to. Data: kind, status, currency, customer_id,
country, owner_id, placed_at (µs), amount (exact decimal text), total (rounded), lines (how many), source,
external_reference."""

REPLACED = "OrderReplaced"
"""An imported document changed at its source and was taken again. Data as of OrderPlaced, all of it new."""

MOVED = "OrderMoved"
"""An order went from one status to another. Data: from, to."""

ASSIGNED = "OrderAssigned"
"""Somebody else is answerable for an order. Data: owner_id."""

NOTED = "OrderNoteChanged"
"""An order's note was changed; the note itself stays in the orders' own tables. No data."""

FACTS = (PLACED, REPLACED, MOVED, ASSIGNED, NOTED)
"""Every fact orders tells, all of version 1."""
