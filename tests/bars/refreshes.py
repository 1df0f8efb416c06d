"""People who sign in and go on, and hold what they were told against what is good."""

import asyncio
from collections import Counter
from typing import Any
from uuid import uuid4

import httpx2

from tests.bars.load import ANSWER_S, RETRY_S, Findings

PASSWORD = "a kettle and four cups"
CHEAP = {"ORDERHOUSE_ARGON2_KIB": "64", "ORDERHOUSE_ARGON2_PASSES": "1"}
"""Hashes that cost next to nothing: where a bar is not about their cost."""


async def signed_in(client: httpx2.AsyncClient) -> dict[str, Any]:
    """Return what somebody new is given who signs in."""
    who = {"email": f"{uuid4().hex}@example.com", "password": PASSWORD}
    registered = await client.post("/v1/auth/registrations", json={**who, "name": "Ada"})
    assert registered.status_code == 202, registered.text
    answer = await client.post("/v1/auth/sessions", json=who)
    assert answer.status_code == 201, answer.text
    given: dict[str, Any] = answer.json()
    return given


async def refreshed(client: httpx2.AsyncClient, token: str, key: str | None = None) -> httpx2.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await client.post("/v1/auth/tokens", json={"refresh_token": token}, headers=headers)


class RefreshLoad:
    """So many people at once, each of whom goes on some times, with a key of its own each time."""

    def __init__(self, _token: str, *, people: int = 3, each: int = 3) -> None:
        self._people = people
        self._each = each
        self._begun: list[str] = []
        self.heard: dict[str, str] = {}
        self.refused: Counter[int] = Counter()

    async def prepare(self, url: str) -> None:
        """Sign everybody in."""
        async with self._client(url) as client:
            self._begun = [(await signed_in(client))["refresh_token"] for _ in range(self._people)]

    async def run(self, url: str) -> None:
        """Let everybody go on, until they are done or their connection breaks."""
        async with self._client(url) as client:
            await asyncio.gather(*(self._go_on(client, token) for token in self._begun))

    async def _go_on(self, client: httpx2.AsyncClient, token: str) -> None:
        for _ in range(self._each):
            try:
                answer = await refreshed(client, token, _key(token))
            except httpx2.TransportError:
                return
            if answer.status_code != 201:
                self.refused[answer.status_code] += 1
                return
            self.heard[token] = token = answer.json()["refresh_token"]

    async def settled(self, url: str) -> Findings:
        """Let everybody ask their last request again and go on to the end; return who could not, or heard otherwise."""
        found = Findings()
        async with self._client(url) as client:
            for token in self._begun:
                await self._asks_again(client, token, found)
        return found

    async def _asks_again(self, client: httpx2.AsyncClient, token: str, found: Findings) -> None:
        while token in self.heard:
            token = self.heard[token]
        # What was asked with the newest token may have been done, or not: the same is asked again, and once more.
        answers = [await _insisted(client, token) for _ in range(2)]
        if {answer.status_code for answer in answers} != {201}:
            found.lost.append(f"{token}: {answers[0].text}")
            return
        if len({answer.json()["refresh_token"] for answer in answers}) > 1:
            found.changed.append(token)
        bearer = {"Authorization": f"Bearer {answers[1].json()['access_token']}"}
        sessions = (await client.get("/v1/auth/sessions", headers=bearer)).json()["items"]
        if len(sessions) != 1:
            found.doubled.append(f"{len(sessions)} sessions")
        # The one that came of it is good for going on.
        if (await _insisted(client, answers[1].json()["refresh_token"])).status_code != 201:
            found.lost.append(token)

    def _client(self, url: str) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(base_url=url, timeout=ANSWER_S)


def _key(token: str) -> str:
    return f"go on from {token}"


async def _insisted(client: httpx2.AsyncClient, token: str) -> httpx2.Response:
    async with asyncio.timeout(RETRY_S):
        while (answer := await refreshed(client, token, _key(token))).status_code == 503:
            await asyncio.sleep(0.02)
    return answer
