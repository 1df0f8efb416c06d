"""The orders' part of the API."""

from collections.abc import Callable
from functools import cache
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query

from orderhouse.kernel import clock
from orderhouse.kernel.pages import CursorInvalid
from orderhouse.kernel.principal import Principal
from orderhouse.orders import reads
from orderhouse.orders.errors import (
    AmountTooLarge,
    AssignmentForbidden,
    CustomerInactive,
    CustomerUnknown,
    FiltersDoNotCombine,
    MoveNotAllowed,
    OrderChanged,
    OrderUnknown,
    ReferenceTaken,
)
from orderhouse.orders.models import Order
from orderhouse.orders.repository import team_mates
from orderhouse.orders.schemas import (
    Change,
    ChangeOrder,
    HistoryPage,
    ListHistory,
    ListOrders,
    Move,
    MoveOrder,
    OrderOut,
    OrderPage,
    PlacedOut,
    PlaceOrder,
    TransitionOut,
    path_of,
)
from orderhouse.orders.service import Moved, Newcomers, OrderService
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web.answers import etag, json_answer, unchanged
from orderhouse.runtime.web.fastapi_edge import Asker, Edge, IfMatch, IfMatchMaybe, IfNoneMatch, Once, needs

_REFUSED_PLACING = (CustomerUnknown, CustomerInactive, ReferenceTaken, AmountTooLarge)


def routes(edge: Edge, database: Database, service: OrderService, newcomers: Newcomers) -> APIRouter:
    """Return the orders' routes."""
    router = edge.router("/v1/orders", "orders")

    @router.post("", status_code=201, response_model=PlacedOut, **needs("orders:place", *_REFUSED_PLACING, key=True))
    async def place_order(wanted: PlaceOrder, once: Once, caller: Asker) -> Answer:
        """Place an order."""
        return await once(service.place, wanted, answer=_told(201, caller), learn=newcomers.learn)

    @router.get("", response_model=OrderPage, **needs("orders:read", FiltersDoNotCombine, CursorInvalid))
    async def list_orders(wanted: Annotated[ListOrders, Query()], caller: Asker) -> Answer:
        """List the orders you may see, a page at a time, latest first."""
        # A page that passes over what it does not show may take a while: it does so beside the event loop.
        team = await database.read(team_mates, caller) if caller.role == "clerk" else []
        ask = database.scan if reads.planned(wanted, caller, team).narrow else database.read
        found, following = await ask(reads.page, wanted, caller, team)
        return json_answer(
            {
                "items": found,
                "next": following,
                "links": {"next": _link(wanted, following)} if following else {},
            }
        )

    @router.get(
        "/{order_id}",
        response_model=OrderOut,
        **needs("orders:read", OrderUnknown),
    )
    async def get_order(order_id: UUID, caller: Asker, unless: IfNoneMatch) -> Answer:
        """Get an order with its lines, its history and where it may go next."""
        found = await database.read(reads.whole, order_id, caller)
        if found is None:
            raise OrderUnknown
        order, history = found
        return unchanged(etag(order.version), unless) or json_answer(
            {**reads.full(order, may_change=caller.may("orders:change")), "history": history}, etag(order.version)
        )

    @router.get("/{order_id}/history", response_model=HistoryPage, **needs("orders:read", OrderUnknown, CursorInvalid))
    async def list_history(order_id: UUID, wanted: Annotated[ListHistory, Query()], caller: Asker) -> Answer:
        """List what happened to an order, a page at a time, latest first."""
        found = await database.read(reads.history_page, order_id, wanted, caller)
        if found is None:
            raise OrderUnknown
        items, following = found
        query = urlencode({"limit": wanted.limit, "cursor": following})
        links = {"next": f"{path_of(order_id)}/history?{query}"} if following else {}
        return json_answer({"items": items, "next": following, "links": links})

    @router.patch(
        "/{order_id}",
        response_model=PlacedOut,
        **needs("orders:change", OrderUnknown, OrderChanged, AssignmentForbidden),
    )
    async def change_order(order_id: UUID, wanted: ChangeOrder, match: IfMatch, once: Once, caller: Asker) -> Answer:
        """Change an order's note, or who is answerable for it."""
        return await once(service.change, Change(order_id, wanted, match), answer=_told(200, caller))

    @router.post(
        "/{order_id}/transitions",
        status_code=201,
        response_model=TransitionOut,
        **needs("orders:change", OrderUnknown, MoveNotAllowed, OrderChanged),
    )
    async def move_order(order_id: UUID, wanted: MoveOrder, match: IfMatchMaybe, once: Once) -> Answer:
        """Take an order to another status. What the status machine does not allow is refused, with what it does."""
        return await once(service.move, Move(order_id, wanted, match), answer=_moved)

    return router


def _told(status: int, caller: Principal) -> Callable[[Order], Answer]:
    return _telling(status, may_change=caller.may("orders:change"))


@cache
def _telling(status: int, *, may_change: bool) -> Callable[[Order], Answer]:
    """Return what tells an order: one for all who may do the same, so that their orders share a transaction."""

    def told(order: Order) -> Answer:
        said = reads.full(order, may_change=may_change)
        return json_answer(said, ("location", said["links"]["self"]), etag(order.version), status=status)

    return told


def _moved(moved: Moved) -> Answer:
    after = moved.after
    link = path_of(after.id)
    links: dict[str, Any] = {"order": link}
    if after.moves:
        links["transitions"] = {"href": f"{link}/transitions", "to": after.moves}
    body = {
        "order_id": after.id,
        "from": moved.before.status,
        "to": after.status,
        "reason": moved.reason,
        "actor": moved.origin.actor,
        "at": clock.as_text(after.updated_at),
        "version": after.version,
        "links": links,
    }
    return json_answer(body, ("location", link), etag(after.version), status=201)


def _link(wanted: ListOrders, cursor: str) -> str:
    """Return the address of the next page: this one's, with another cursor."""
    query = wanted.model_dump(exclude_unset=True, exclude={"cursor"})
    for name in ("placed_from", "placed_to"):
        if query.get(name) is not None:
            query[name] = clock.as_text(query[name])
    return f"/v1/orders?{urlencode({**query, 'cursor': cursor})}"
