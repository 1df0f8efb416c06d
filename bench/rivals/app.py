"""The rival's routes. Run by uvicorn with the product's settings; RIVAL_DATABASE_URL and RIVAL_KEYS say on what.

Written to win what can be won in this style: no lazy loading, no query per row, a pool that fits, connections set up
as the product's, uvloop and httptools, no access log, the response model given as an instance. Tokens are checked by
the product's verifier, which remembers them.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

import orjson
from fastapi import Depends, FastAPI, Header, HTTPException, Query, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy import event, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import selectinload, undefer

from bench.rivals.models import Fact, Order
from orderhouse.kernel import clock, money
from orderhouse.kernel.errors import Refusal
from orderhouse.kernel.pages import cursor_of, key_of
from orderhouse.kernel.principal import Principal
from orderhouse.orders.models import MOVES
from orderhouse.orders.schemas import HistoryOut, LineOut, ListOrders, OrderOut, OrderPage, OrderSummary
from orderhouse.runtime.tokens import SigningKeys, Verifier

_URL = os.environ["RIVAL_DATABASE_URL"]
_SQLITE = _URL.startswith("sqlite")

engine = create_async_engine(
    _URL,
    pool_size=5 if _SQLITE else 10,
    json_deserializer=orjson.loads,
    # Questions need no transaction begun and rolled back around them.
    isolation_level="AUTOCOMMIT",
    connect_args={} if _SQLITE else {"server_settings": {"search_path": "orders", "jit": "off"}},
)
sessions = async_sessionmaker(engine, expire_on_commit=False, autoflush=False)
verifier = Verifier(SigningKeys(Path(os.environ["RIVAL_KEYS"])).jwks())
bearer = HTTPBearer()
app = FastAPI(openapi_url=None)


if _SQLITE:

    @event.listens_for(engine.sync_engine, "connect")
    def _set_up(connection: Any, _record: object) -> None:
        for pragma in ("query_only = ON", "temp_store = MEMORY", "cache_size = -16384"):
            connection.execute(f"PRAGMA {pragma}").close()


async def session() -> AsyncIterator[AsyncSession]:
    async with sessions() as opened:
        yield opened


async def caller(credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)]) -> Principal:
    try:
        found = verifier.verify(credentials.credentials)
    except Refusal as refusal:
        raise HTTPException(401, refusal.title) from None
    if not found.may("orders:read"):
        raise HTTPException(403)
    return found


Session = Annotated[AsyncSession, Depends(session)]
Caller = Annotated[Principal, Depends(caller)]


@app.get("/v1/orders", response_model=OrderPage)
async def list_orders(wanted: Annotated[ListOrders, Query()], session: Session, caller: Caller) -> OrderPage:
    down = wanted.sort.startswith("-")
    key = tuple_(Order.placed_at, Order.id)
    order = (Order.placed_at.desc(), Order.id.desc()) if down else (Order.placed_at, Order.id)
    query = select(Order).order_by(*order).limit(wanted.limit + 1)
    for column, value in (
        (Order.status, wanted.status),
        (Order.customer_id, wanted.customer),
        (Order.owner_id, wanted.assigned_to),
        (Order.country, wanted.country),
        (Order.currency, wanted.currency),
    ):
        if value is not None:
            query = query.where(column.is_(None) if value == "none" else column == value)
    if caller.role == "customer":
        query = query.where(Order.customer_id == caller.customer_id)
    if wanted.cursor:
        after = tuple_(*key_of(f"orders {wanted.sort}", wanted.cursor, int, UUID))
        query = query.where(key < after if down else key > after)
    found = list(await session.scalars(query))
    following = None
    if len(found) > wanted.limit:
        last = found[wanted.limit - 1]
        following = cursor_of(f"orders {wanted.sort}", last.placed_at, last.id)
    link = {**wanted.model_dump(exclude_unset=True, exclude={"cursor"}), "cursor": following}
    return OrderPage(
        items=[OrderSummary(**_summary(order, caller)) for order in found[: wanted.limit]],
        next=following,
        links={"next": f"/v1/orders?{urlencode(link)}"} if following else {},
    )


@app.get("/v1/orders/{order_id}", response_model=OrderOut)
async def get_order(
    order_id: UUID,
    response: Response,
    session: Session,
    caller: Caller,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Any:
    order = await session.get(
        Order, order_id, options=[undefer(Order.lines), selectinload(Order.reasons), selectinload(Order.facts)]
    )
    if order is None or not _visible(order, caller):
        raise HTTPException(404, "There is no such order.")
    tag = f'"{order.version}"'
    response.headers["etag"] = tag
    if if_none_match == tag:
        return Response(status_code=304, headers={"etag": tag})
    reasons = {reason.version: reason.reason for reason in order.reasons}
    said = _summary(order, caller)
    said["links"]["history"] = f"/v1/orders/{order.id}/history"
    return OrderOut(
        **said,
        note=order.note,
        lines=[_line(line, order.currency) for line in order.lines],
        history=[_history(fact, reasons.get(fact.sequence)) for fact in order.facts],
    )


def _visible(order: Order, caller: Principal) -> bool:
    if caller.role == "customer":
        return order.customer_id is not None and order.customer_id == caller.customer_id
    if caller.role == "clerk":
        return caller.subject in (order.owner_id, order.placed_by)
    return True


def _summary(order: Order, caller: Principal) -> dict[str, Any]:
    link = f"/v1/orders/{order.id}"
    links: dict[str, Any] = {"self": link}
    if order.customer_id:
        links["customer"] = f"/v1/customers/{order.customer_id}"
    moves = MOVES[order.status] if order.kind == "sale" else ()  # type: ignore[index]  # one of them
    if moves and caller.may("orders:change"):
        links["transitions"] = {"href": f"{link}/transitions", "to": moves}
    return {
        "id": str(order.id),
        "kind": order.kind,
        "status": order.status,
        "currency": order.currency,
        "customer_id": str(order.customer_id) if order.customer_id else None,
        "country": order.country,
        "placed_at": clock.as_text(order.placed_at),
        "placed_by": order.placed_by,
        "assigned_to": order.owner_id,
        "source": order.source,
        "external_reference": order.external_reference,
        "amount": money.exact_text(order.amount, order.currency),
        "total": money.minor_text(order.total, order.currency),
        "line_count": order.line_count,
        "version": order.version,
        "updated_at": clock.as_text(order.updated_at),
        "links": links,
    }


def _line(line: list[Any], currency: str) -> LineOut:
    number, sku, description, quantity, unit_price, amount = line
    return LineOut(
        line=number,
        sku=sku,
        description=description,
        quantity=quantity,
        unit_price=money.exact_text(unit_price, currency),
        amount=money.exact_text(amount, currency),
    )


def _history(fact: Fact, reason: str | None) -> HistoryOut:
    return HistoryOut(
        sequence=fact.sequence,
        name=fact.name,
        at=clock.as_text(fact.at),
        actor=fact.actor,
        request_id=fact.request_id,
        data=fact.data,
        reason=reason,
    )
