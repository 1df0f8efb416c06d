"""The page at /docs is whole by itself: nothing in it comes from anywhere else."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.installation import Installation
from tests.integration.orders_world import House, opened

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(Installation(tmp_path / "data")) as running:
        yield running


async def test_the_page_and_all_it_names_is_served_from_here(house: House) -> None:
    page = await house.client.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in page.headers["content-security-policy"]
    named = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert {name for name in named if not name.startswith(("/docs/", "data:,"))} == set()
    for name in (one for one in named if one.startswith("/docs/")):
        asset = await house.client.get(name)
        assert (asset.status_code, asset.headers["content-type"].split(";")[0]) == (
            200,
            "text/css" if name.endswith("css") else "text/javascript",
        )
        assert len(asset.content) > 100
        again = await house.client.get(name, headers={"if-none-match": asset.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["LICENSE", "..%2fdocs_page.py", "x"])
async def test_nothing_but_what_the_page_is_made_of_is_served(house: House, name: str) -> None:
    answer = await house.client.get(f"/docs/{name}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
