"""The whole product in process, on a real database of each kind, over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2

from orderhouse.assembly import one_process, places
from orderhouse.kernel.principal import Role
from orderhouse.runtime.tokens import SigningKeys
from orderhouse.runtime.web.front import Front
from tests.installation import Installation

LINES = [{"sku": "TEA", "description": "Tea, loose", "quantity": 2, "unit_price": "3.50"}]


class House:
    """A running product, and what a caller says to it."""

    def __init__(self, front: Front, folder: Path) -> None:
        self._keys = SigningKeys(folder / "keys")
        self.folder = folder
        self.front = front
        transport = httpx2.ASGITransport(app=front, raise_app_exceptions=False)
        self.client = httpx2.AsyncClient(transport=transport, base_url="http://orderhouse.test")

    def bearer(
        self, role: Role = "manager", subject: str = "boss", customer: UUID | str | None = None
    ) -> dict[str, str]:
        of = UUID(str(customer)) if customer else None
        return {"Authorization": f"Bearer {self._keys.issue(subject, role, minutes=5, customer_id=of)}"}

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        role: Role = "manager",
        subject: str = "boss",
        customer: UUID | str | None = None,
        **headers: str,
    ) -> httpx2.Response:
        """Send a request; POSTs have a fresh Idempotency-Key unless one is given as `idempotency_key`."""
        sent = self.bearer(role, subject, customer)
        if method == "POST":
            sent["idempotency-key"] = str(uuid4())
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(method, path, json=body, headers=sent)

    async def customer(self, **more: Any) -> str:
        answer = await self("POST", "/v1/customers", {"name": "Ada", "country": "France", **more})
        assert answer.status_code == 201, answer.text
        made: str = answer.json()["id"]
        return made

    async def order(
        self, customer: str, *, role: Role = "manager", subject: str = "boss", **more: Any
    ) -> dict[str, Any]:
        answer = await self("POST", "/v1/orders", order(customer, **more), role=role, subject=subject)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    async def clerk(self) -> str:
        """Return a new clerk."""
        answer = await self("POST", "/v1/users", {"email": f"{uuid4()}@example.com", "name": "Ada", "role": "clerk"})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def team(self, *members: str) -> str:
        """Return a team these users are in; orders hears of it in a moment."""
        made = str((await self("POST", "/v1/teams", {"name": str(uuid4())})).json()["id"])
        for member in members:
            assert (await self("PUT", f"/v1/teams/{made}/members/{member}")).status_code == 200
        return made

    async def sales(self, **query: Any) -> dict[str, Any]:
        answer = await self.client.get("/v1/analytics/sales", params=query, headers=self.bearer())
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def walked(self, path: str, **who: Any) -> list[dict[str, Any]]:
        """Return all items of a list, following its links."""
        items: list[dict[str, Any]] = []
        following: str | None = path
        while following:
            page = (await self("GET", following, **who)).json()
            items += page["items"]
            following = page["links"].get("next")
        return items


def order(customer: str, **more: Any) -> dict[str, Any]:
    return {"customer_id": customer, "currency": "GBP", "lines": LINES, **more}


@asynccontextmanager
async def opened(installation: Installation) -> AsyncIterator[House]:
    """Run the product, all contexts and followers, without a socket."""
    settings = installation.settings
    await asyncio.to_thread(places.migrate_all, settings)
    front = one_process.app(settings)
    async with front.running():
        house = House(front, installation.folder)
        try:
            yield house
        finally:
            await house.client.aclose()
