"""Bar 25, first half: a refresh token has one successor, whoever races; used again, its family ends within a second."""

import asyncio
import time

import httpx2
import pytest

from bench.servers import Product
from tests.bars.counts import count
from tests.bars.refreshes import CHEAP, refreshed, signed_in
from tests.installation import Installation

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]

RACERS = 50
REVOKED_WITHIN_S = 1.0


async def raced(product: Product, key: str | None) -> list[str]:
    """Let fifty use one refresh token at once; return what is wrong with how it went."""
    wrong = []
    async with httpx2.AsyncClient(base_url=product.url, timeout=60) as client:
        given = await signed_in(client)
        answers = await asyncio.gather(*(refreshed(client, given["refresh_token"], key) for _ in range(RACERS)))
        done = [answer.json() for answer in answers if answer.status_code == 201]
        successors = {one["refresh_token"] for one in done}
        if len(successors) != 1 or {answer.status_code for answer in answers} - {201, 401}:
            wrong.append(f"{len(successors)} successors")
        if key is not None:
            if len(done) != RACERS:
                wrong.append(f"{len(done)} of {RACERS} retries heard of it")
            return wrong
        # Somebody used it again: the whole family is over, and its newest access token within a second.
        if {(await refreshed(client, one)).status_code for one in successors} != {401}:
            wrong.append("a successor is good after its predecessor was used again")
        bearer = {"Authorization": f"Bearer {done[-1]['access_token']}"}
        until = time.monotonic() + REVOKED_WITHIN_S
        while (await client.get("/v1/auth/sessions", headers=bearer)).status_code != 401:
            if time.monotonic() > until:
                wrong.append("the newest access token is good for longer than a second")
                break
            await asyncio.sleep(0.02)
    return wrong


async def test_bar_25_of_fifty_racing_uses_there_is_one_successor(installation: Installation) -> None:
    with installation.started(**CHEAP) as product:
        for n in range(count(2, 50)):
            assert await raced(product, None) == []
            assert await raced(product, f"retry-{n}") == []


async def test_bar_25_control_a_token_that_is_good_twice_is_caught(installation: Installation) -> None:
    with installation.started("takes_a_refresh_token_twice", **CHEAP) as product:
        assert await raced(product, None)
