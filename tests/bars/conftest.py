"""The product as its users have it: a process of its own, on each database, that can be killed and started again."""

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from bench import servers
from bench.servers import Product
from tests.integration.orders_world import House, opened


class Installation:
    """A data folder and a database, to start the product on as often as a test likes."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder = folder
        self.database_url = database_url

    def started(self) -> AbstractContextManager[Product]:
        return servers.product(self.folder, self.database_url, ORDERHOUSE_LOG_LEVEL="warning")

    @property
    def environment(self) -> dict[str, str]:
        return servers.environment(self.folder, self.database_url)


@pytest.fixture(params=["sqlite", "postgresql"])
def installation(request: pytest.FixtureRequest, tmp_path: Path) -> Installation:
    url = request.getfixturevalue("empty_postgres_url") if request.param == "postgresql" else ""
    return Installation(tmp_path / "data", url)


@pytest.fixture
async def house(installation: Installation) -> AsyncIterator[House]:
    """The same in this process, where a defect can be seeded."""
    async with opened(installation.folder, installation.database_url) as running:
        yield running
