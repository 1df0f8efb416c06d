"""The product as its users have it, on each database: one for all tests of a module, each on things of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.caller import House
from tests.installation import Installation


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    url = request.getfixturevalue("module_postgres_url") if request.param == "postgresql" else ""
    running = House(Installation(tmp_path_factory.mktemp("house") / "data", url))
    running.start()
    yield running
    running.stop()


@pytest.fixture
def own_house(request: pytest.FixtureRequest, house: House, tmp_path: Path) -> Iterator[House]:
    """A house of this test's own, to do with what it likes; on the same kind of database as `house`."""
    url = request.getfixturevalue("empty_postgres_url") if house.installation.database_url else ""
    running = House(Installation(tmp_path / "data", url))
    running.start()
    yield running
    running.stop()
