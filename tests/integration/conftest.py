"""What integration tests stand on: an empty place for a context, on each database."""

from pathlib import Path
from uuid import uuid4

import pytest

from orderhouse.runtime.database.database import Place
from orderhouse.runtime.database.postgres import PostgresPlace
from tests.integration import things


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty database with the tables of `things`."""
    where: Place = tmp_path / "things.sqlite3"
    if request.param == "postgresql":
        where = PostgresPlace(request.getfixturevalue("postgres_url"), f"things_{uuid4().hex[:12]}")
    things.create(where)
    return where
