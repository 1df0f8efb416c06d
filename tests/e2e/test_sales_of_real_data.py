"""Every cut of the real data equals an independent computation in Decimal over the file itself."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from orderhouse.assembly import importing, places
from orderhouse.assembly.contexts import Contexts
from tests.independent import online_retail_ledger as ledger
from tests.installation import Installation
from tests.integration.orders_world import House, opened

ZONES = ["Europe/London", "Asia/Tokyo", "Asia/Kolkata", "America/Los_Angeles"]
CUTS: list[ledger.By] = ["day", "week", "month", "customer", "country", "status"]
FIRST, LAST = date(2010, 12, 1), date(2011, 12, 9)


@pytest.fixture(scope="module")
def documents(real_data: Path) -> list[ledger.Document]:
    return ledger.read(real_data)


@pytest.fixture(scope="module")
def imported(fresh_installation: Installation, real_data: Path) -> Installation:
    """An installation that has imported the real data."""
    settings = fresh_installation.settings
    places.migrate_all(settings)

    async def take() -> bool:
        contexts = Contexts.opened(settings)
        try:
            quiet = Console(quiet=True)
            return await importing.run(
                contexts, settings, "online-retail", real_data, update=False, report=None, console=quiet
            )
        finally:
            await contexts.close()

    assert asyncio.run(take())
    return fresh_installation


@pytest.fixture
async def house(imported: Installation, documents: list[ledger.Document]) -> AsyncIterator[House]:
    async with opened(imported) as running:
        sales = sum(document.kind == "sale" for document in documents)
        with anyio.fail_after(120):
            while (await told(running, "status", FIRST, LAST, "Europe/London"))["totals"]["orders"] < sales:
                await asyncio.sleep(0.05)
        yield running


async def told(house: House, by: str, first: date, last: date, zone: str) -> dict[str, Any]:
    query: dict[str, Any] = {
        "by": by,
        "from": first.isoformat(),
        "to": last.isoformat(),
        "time_zone": zone,
        "currency": "GBP",
    }
    return await house.sales(**query, **({"limit": 1000} if by in ("customer", "country") else {}))


def compare(answer: dict[str, Any], expected: ledger.Cut, by: str, external: bool = False) -> None:
    """Hold an answer against the ledger: every cell it shows, what is unassigned, and the totals."""
    shown = {
        (item["external_id"] if external else item["key"]): {
            name: item[name] for name in ("orders", "credits", "gross", "credit_total", "net")
        }
        for item in answer["items"]
    }
    wanted = {key_text(key, by): figures.as_shown() for key, figures in expected.items.items()}
    wanted = {
        key: figures
        for key, figures in wanted.items()
        if by in ("day", "week", "month") or figures["orders"] or figures["credits"]
    }
    if len(answer["items"]) < 1000:
        assert shown.keys() == wanted.keys()
    for key, figures in shown.items():
        assert figures == wanted[key], key
    if by in ("day", "week", "month"):
        assert list(shown) == sorted(wanted)
    assert {name: answer["unassigned"][name] for name in ("orders", "net")} == {
        name: expected.unassigned.as_shown()[name] for name in ("orders", "net")
    }
    totals = dict(answer["totals"])
    assert totals.pop("adjustments") == ledger.rounded(expected.adjustments)
    assert totals == expected.totals.as_shown()


def key_text(key: Any, by: str) -> str:
    if by == "month":
        return str(key)[:7]
    return str(key)


@pytest.mark.anyio
@pytest.mark.parametrize("zone", ZONES)
async def test_every_cut_of_all_of_it_is_right_in_every_zone(
    house: House, documents: list[ledger.Document], zone: str
) -> None:
    for by in CUTS:
        answer = await told(house, by, FIRST, LAST, zone)
        compare(answer, ledger.cut(documents, by, FIRST, LAST, zone), by, external=by == "customer")


@pytest.mark.anyio
async def test_ranges_of_any_kind_are_right(house: House, documents: list[ledger.Document]) -> None:
    ranges = st.tuples(
        st.dates(FIRST - timedelta(days=3), LAST + timedelta(days=3)),
        st.integers(0, 120),
        st.sampled_from(ZONES),
        st.sampled_from(CUTS),
    )
    drawn: list[tuple[date, int, str, ledger.By]] = []

    @settings(max_examples=40, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(ranges)
    def draw(one: tuple[date, int, str, ledger.By]) -> None:
        drawn.append(one)

    draw()
    for first, length, zone, by in drawn:
        last = first + timedelta(days=length)
        answer = await told(house, by, first, last, zone)
        compare(answer, ledger.cut(documents, by, first, last, zone), by, external=by == "customer")


@pytest.mark.anyio
async def test_a_wrong_ledger_would_be_noticed(house: House, documents: list[ledger.Document]) -> None:
    answer = await told(house, "country", FIRST, LAST, "Europe/London")
    without_one = ledger.cut(documents[1:], "country", FIRST, LAST, "Europe/London")
    with pytest.raises(AssertionError):
        compare(answer, without_one, "country")


@pytest.mark.anyio
async def test_every_link_of_a_cell_leads_to_the_orders_it_counts(house: House) -> None:
    for by in ("month", "customer", "country", "status"):
        answer = await told(house, by, date(2011, 3, 1), date(2011, 3, 31), "Asia/Tokyo")
        for cell in [*answer["items"][:3], *([answer["unassigned"]] if answer["unassigned"]["links"] else [])]:
            orders = await house.walked(f"{cell['links']['orders']}&limit=200")
            kinds = [order["kind"] for order in orders]
            assert (kinds.count("sale"), kinds.count("credit")) == (cell["orders"], cell["credits"])
