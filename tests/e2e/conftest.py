"""The product as its users have it, on each database: one for all tests of a module, each on things of its own."""

from collections.abc import Iterator

import pytest

from tests.e2e.caller import House
from tests.installation import Installation


@pytest.fixture(scope="module")
def house(fresh_installation: Installation) -> Iterator[House]:
    running = House(fresh_installation)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def own_house(installation: Installation) -> Iterator[House]:
    """A house of this test's own, to do with what it likes; on the same kind of database as `house`."""
    running = House(installation)
    running.start()
    yield running
    running.stop()
