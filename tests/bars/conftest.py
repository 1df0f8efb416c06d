"""The product as its users have it: a process of its own, on each database, that can be killed and started again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.installation import Installation
from tests.integration.orders_world import House, opened


@pytest.fixture(params=["sqlite", "postgresql"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Installation:
    url = request.getfixturevalue("empty_postgres_url") if request.param == "postgresql" else ""
    return Installation(tmp_path / "data", url)


@pytest.fixture
async def house(installation: Installation) -> AsyncIterator[House]:
    """The same in this process, where a defect can be seeded."""
    async with opened(installation.folder, installation.database_url) as running:
        yield running
