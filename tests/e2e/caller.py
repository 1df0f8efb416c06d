"""What a user does with a running product: gets a token, sends requests, kills it, starts it again."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import httpx2

from bench.servers import Product
from orderhouse.kernel.principal import Role
from orderhouse.runtime.tokens import SigningKeys
from tests.installation import Installation

LINES = [{"sku": "TEA", "description": "Tea, loose", "quantity": 2, "unit_price": "3.50"}]
ANSWER_S = 30


def order(customer: str, **more: Any) -> dict[str, Any]:
    return {"customer_id": customer, "currency": "GBP", "lines": LINES, **more}


def once_it_is(wanted: object, ask: Callable[[], object], within_s: float) -> None:
    """Ask until it is what is wanted, for so many seconds at most."""
    until = time.monotonic() + within_s
    while (found := ask()) != wanted:
        assert time.monotonic() < until, f"{found!r} is not {wanted!r} after {within_s} s"
        time.sleep(0.01)


class House:
    """A product that runs, or ran."""

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self._running = ExitStack()

    def start(self) -> None:
        self._product: Product = self._running.enter_context(self.installation.started())
        self.client = self._running.enter_context(httpx2.Client(base_url=self._product.url, timeout=ANSWER_S))
        self._owner = self.token()

    def stop(self) -> None:
        self._running.close()

    def kill(self) -> None:
        """Kill it as the out-of-memory killer would."""
        self._product.process.kill()
        self._product.process.wait()
        self.stop()

    @property
    def url(self) -> str:
        return self._product.url

    def token(
        self, role: Role = "owner", subject: str = "operator", customer: str | None = None, minutes: float = 60
    ) -> str:
        """Return a token of the kind the command line prints, made with the same key."""
        keys = SigningKeys(self.installation.folder / "keys")
        return keys.issue(subject, role, minutes=minutes, customer_id=UUID(customer) if customer else None)

    def printed_token(self) -> str:
        """Return an owner's token as the command line prints it."""
        return self._product.token()

    def as_(self, role: Role, subject: str = "somebody", customer: str | None = None) -> Callable[..., httpx2.Response]:
        """Return what sends requests in this role."""
        return partial(self, token=self.token(role, subject, customer))

    def __call__(
        self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str | None
    ) -> httpx2.Response:
        """Send a request as the owner, or by `token`; a POST has a key of its own unless it says which, or None."""
        sent: dict[str, str | None] = {"authorization": f"Bearer {token or self._owner}"}
        if method == "POST":
            sent["idempotency-key"] = str(uuid4())
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        kept = {name: value for name, value in sent.items() if value is not None}
        return self.client.request(method, path, json=body, headers=kept)

    def customer(self, **more: Any) -> str:
        answer = self("POST", "/v1/customers", {"name": "Ada's Tea Room", "country": "France", **more})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def order(self, customer: str, **more: Any) -> dict[str, Any]:
        answer = self("POST", "/v1/orders", order(customer, **more))
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def sales(self, by: str, **query: Any) -> dict[str, Any]:
        asked = {"by": by, "currency": "GBP", **query}
        answer = self.client.get(
            "/v1/analytics/sales", params=asked, headers={"Authorization": f"Bearer {self._owner}"}
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def cell(self, by: str, key: str, **query: Any) -> dict[str, Any] | None:
        """Return one cell of the sales, or None as long as there is none."""
        limit = {"limit": 1000} if by in ("customer", "user", "country") else {}
        cells = [cell for cell in self.sales(by, **limit, **query)["items"] if cell["key"] == key]
        assert len(cells) <= 1
        return cells[0] if cells else None

    def walked(self, path: str, **who: Any) -> list[dict[str, Any]]:
        """Return all items of a list, following its links."""
        items: list[dict[str, Any]] = []
        following: str | None = path
        while following:
            answer = self("GET", following, **who)
            assert answer.status_code == 200, answer.text
            items += answer.json()["items"]
            following = answer.json()["links"].get("next")
        return items
