"""Analytics' part of the API."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query

from orderhouse.analytics.errors import CurrencyNeeded, LimitNeedsFallingOrder, RangeInvalid, ZoneUnknown
from orderhouse.analytics.schemas import SalesOut, SalesQuery
from orderhouse.analytics.service import SalesService, customers_of, with_customers
from orderhouse.customers.contract import CustomerDirectory
from orderhouse.kernel import clock
from orderhouse.runtime.once import Answer
from orderhouse.runtime.readers import Follower
from orderhouse.runtime.web.answers import json_answer
from orderhouse.runtime.web.fastapi_edge import Edge, needs

_AT_ONCE = 2
"""How many queries run at a time: each uses every thread it may."""

_MAX_AGE_MS = 250
_PATIENCE_MS = 500
"""How fresh figures are, and how long they are waited for; `fresh_as_of` tells when that is not enough."""


def routes(edge: Edge, service: SalesService, follower: Follower, directory: CustomerDirectory) -> APIRouter:
    """Return analytics' routes."""
    router = edge.router("/v1/analytics", "analytics")
    turn = asyncio.Semaphore(_AT_ONCE)

    @router.get(
        "/sales",
        response_model=SalesOut,
        **needs("analytics:read", RangeInvalid, ZoneUnknown, LimitNeedsFallingOrder, CurrencyNeeded),
    )
    async def get_sales(query: Annotated[SalesQuery, Query()]) -> Answer:
        """Get what was sold between two local days, by day, week, month, customer, user, country or status."""
        async with turn:
            # Taken first: whatever the figures hold, they hold everything up to here.
            fresh_as_of = await follower.refresh(max_age_ms=_MAX_AGE_MS, patience_ms=_PATIENCE_MS)
            figures = await asyncio.to_thread(service.sales, query)
        if query.by == "customer":
            with_customers(figures["items"], await directory.cards(customers_of(figures["items"])))
        return json_answer({**figures, "fresh_as_of": clock.as_text(fresh_as_of)})

    return router
