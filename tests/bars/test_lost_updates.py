"""Bar 5: who changes without having seen the latest is told so, and no update is lost."""

import asyncio
from typing import Any

import pytest

from orderhouse.orders import service
from orderhouse.orders.models import Order
from orderhouse.orders.repository import OrderRepository
from orderhouse.runtime.once import Asked
from tests.bars.counts import count
from tests.integration.orders_world import House

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(3600)]

WRITERS = 8


async def appended(house: House, path: str, writer: int, times: int) -> None:
    """Append to the note so many times, reading it anew whenever somebody else was quicker."""
    for n in range(times):
        while True:
            seen = await house("GET", path)
            note = f"{seen.json()['note'] or ''}{writer}.{n};"[-1900:]
            answer = await house("PATCH", path, {"note": note}, if_match=seen.headers["etag"])
            if answer.status_code == 200:
                break
            assert answer.status_code == 412


async def changes(house: House) -> tuple[int, int]:
    """Return how many changes were acknowledged and how many the order counts."""
    path = (await house.order(await house.customer()))["links"]["self"]
    times = count(64, 10_000) // WRITERS
    await asyncio.gather(*(appended(house, path, writer, times) for writer in range(WRITERS)))
    whole = (await house("GET", path)).json()
    return times * WRITERS, whole["version"] - 1


async def test_bar_5_no_update_is_lost(house: House) -> None:
    acknowledged, kept = await changes(house)
    assert kept == acknowledged


async def test_bar_5_without_and_with_a_stale_version_nothing_changes(house: House) -> None:
    path = (await house.order(await house.customer()))["links"]["self"]
    assert (await house("PATCH", path, {"note": "x"})).status_code == 428
    assert (await house("PATCH", path, {"note": "first"}, if_match='"1"')).status_code == 200
    assert (await house("PATCH", path, {"note": "late"}, if_match='"1"')).status_code == 412
    assert (await house("GET", path)).json()["note"] == "first"


async def test_bar_5_control_a_service_that_ignores_the_version_is_caught(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    careful = service._seen

    def careless(orders: OrderRepository, order: Order | None, asked: Asked[Any]) -> Order:
        return careful(orders, order, asked._replace(wanted=asked.wanted._replace(version=None)))

    monkeypatch.setattr(service, "_seen", careless)
    path = (await house.order(await house.customer()))["links"]["self"]
    assert (await house("PATCH", path, {"note": "first"}, if_match='"1"')).status_code == 200
    late = await house("PATCH", path, {"note": "late"}, if_match='"1"')
    assert late.status_code == 200, "the defect is not seeded"
    assert (await house("GET", path)).json()["note"] != "first"
