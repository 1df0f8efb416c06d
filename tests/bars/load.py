"""Clients that place and move orders at once, and hold what they were told against what is there."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx2

from tests.integration.orders_world import order

ANSWER_S = 30
RETRY_S = 30

Told = tuple[int, bytes, str, str]


def told(answer: httpx2.Response) -> Told:
    return answer.status_code, answer.content, answer.headers["location"], answer.headers["etag"]


def mark() -> str:
    """Return a word that is in one request alone, and in all that comes of it."""
    return f"mark-{uuid4().hex}"


@dataclass(frozen=True)
class Wish:
    """A request that writes, with its key; its mark is the order's note, or the move's reason."""

    mark: str
    path: str
    body: dict[str, Any]


@dataclass
class Findings:
    """How what is there differs from what was told."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)


class Load:
    """So many clients on orders of one customer: each places some and moves some, one after the other."""

    def __init__(self, token: str, *, clients: int = 4, each: int = 2) -> None:
        self._headers = {"Authorization": f"Bearer {token}"}
        self._clients = clients
        self._each = each
        self._customer = ""
        self._wishes: list[Sequence[Wish]] = []
        self.heard: dict[str, Told] = {}
        self.refused: Counter[int] = Counter()

    async def prepare(self, url: str) -> None:
        """Make the customer, and the orders that will be moved."""
        async with self._client(url) as client:
            made = await _insisted(client, Wish(mark(), "/v1/customers", {"name": "Ada", "country": "France"}))
            self._customer = made.json()["id"]
            count = self._clients * self._each
            to_move = [Wish(mark(), "/v1/orders", order(self._customer, note="to be moved")) for _ in range(count)]
            there = [(await _insisted(client, wish)).json()["links"]["transitions"]["href"] for wish in to_move]
        placing = [self._placing() for _ in range(count)]
        moving = [self._moving(path) for path in there]
        self._wishes = [part for wishes in (placing, moving) for part in _parts(wishes, self._clients)]

    def _placing(self) -> Wish:
        said = mark()
        return Wish(said, "/v1/orders", order(self._customer, note=said))

    def _moving(self, path: str) -> Wish:
        said = mark()
        return Wish(said, path, {"to": "confirmed", "reason": said})

    async def run(self, url: str) -> None:
        """Send everything, each client until it is done or its connection breaks."""
        async with self._client(url) as client:
            await asyncio.gather(*(self._send(client, wishes) for wishes in self._wishes))

    async def _send(self, client: httpx2.AsyncClient, wishes: Sequence[Wish]) -> None:
        for wish in wishes:
            try:
                answer = await _asked(client, wish)
            except httpx2.TransportError:
                return
            if answer.status_code == 201:
                self.heard[wish.mark] = told(answer)
            else:
                self.refused[answer.status_code] += 1

    async def settled(self, url: str) -> Findings:
        """Look at what is there, send everything again, look again; return what is not as it was told."""
        found = Findings()
        async with self._client(url) as client:
            kept = _marks(await self._there(client))
            found.lost += [one for one in self.heard if not kept[one]]
            for wish in self._all():
                again = told(await _insisted(client, wish))
                if again != self.heard.setdefault(wish.mark, again):
                    found.changed.append(wish.mark)
            there = await self._there(client)
        kept = _marks(there)
        found.lost += [wish.mark for wish in self._all() if not kept[wish.mark]]
        found.doubled += [one for one, times in kept.items() if times > 1]
        found.doubled += [one["id"] for one in there if one["version"] != len(one["history"])]
        if len(there) != 2 * self._clients * self._each:
            found.doubled.append(f"{len(there)} orders")
        return found

    def _all(self) -> list[Wish]:
        return [wish for wishes in self._wishes for wish in wishes]

    async def _there(self, client: httpx2.AsyncClient) -> list[dict[str, Any]]:
        listed = await _read(client, f"/v1/orders?customer={self._customer}&limit=200")
        return [await _read(client, one["links"]["self"]) for one in listed["items"]]

    def _client(self, url: str) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=url, headers=self._headers, timeout=ANSWER_S)


def _marks(there: Sequence[dict[str, Any]]) -> Counter[str]:
    """Count every mark: as the note of an order, and as the reason of a move."""
    found = Counter(one["note"] for one in there if one["note"])
    found.update(step["reason"] for one in there for step in one["history"] if step.get("reason"))
    del found["to be moved"]
    return found


async def _asked(client: httpx2.AsyncClient, wish: Wish) -> httpx2.Response:
    return await client.post(wish.path, json=wish.body, headers={"Idempotency-Key": wish.mark})


async def _read(client: httpx2.AsyncClient, path: str) -> Any:
    async with asyncio.timeout(RETRY_S):
        while (answer := await client.get(path)).status_code == 503:
            await asyncio.sleep(0.02)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def _insisted(client: httpx2.AsyncClient, wish: Wish) -> httpx2.Response:
    """Ask until it is done; a refusal that another try cannot mend fails the test."""
    async with asyncio.timeout(RETRY_S):
        while True:
            answer = await _asked(client, wish)
            if answer.status_code == 201:
                return answer
            assert answer.status_code in (422, 503), answer.text
            await asyncio.sleep(0.02)


def _parts(wishes: Sequence[Wish], count: int) -> list[Sequence[Wish]]:
    return [wishes[n::count] for n in range(count)]
