"""What customers tells its neighbours, over HTTP, for a service beside it."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from orderhouse.customers.contract import CustomerCard
from orderhouse.customers.errors import CustomerNotFound
from orderhouse.runtime.calls import Neighbour, NeighbourUnavailable


class HttpCustomers:
    """Customers, asked as a neighbour."""

    def __init__(self, neighbour: Neighbour) -> None:
        """Ask `neighbour`, which serves customers."""
        self._neighbour = neighbour

    async def cards(self, ids: Collection[UUID]) -> Mapping[UUID, CustomerCard]:
        """Return the card of each of `ids` there is a customer for; few are asked for, one by one."""
        found = [await asyncio.to_thread(self._card, one) for one in ids]
        return {card.id: card for card in found if card is not None}

    async def with_email(self, email: str) -> CustomerCard | None:
        """Return the card of the customer whose address it is; None when it is nobody's, or no address."""
        told = await asyncio.to_thread(self._neighbour.call, "GET", f"/v1/customers?{urlencode({'email': email})}")
        if told.code == "request_invalid":
            return None
        if told.status != 200:
            raise NeighbourUnavailable
        return next(map(_card, told.body["items"]), None)

    def _card(self, customer_id: UUID) -> CustomerCard | None:
        told = self._neighbour.call("GET", f"/v1/customers/{customer_id}")
        if told.code == CustomerNotFound.code:
            return None
        if told.status != 200:
            raise NeighbourUnavailable
        return _card(told.body)


def _card(said: Mapping[str, Any]) -> CustomerCard:
    return CustomerCard(
        UUID(said["id"]), said["external_id"], said["name"], said["country"], said["active"], said["version"]
    )
