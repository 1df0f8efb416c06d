"""The page that tells how to add a fact, followed to the letter: what it shows is run, and does what it says."""

import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from orderhouse.kernel.events import Origin
from orderhouse.runtime.database.database import Database, Place
from orderhouse.runtime.once import Asked
from orderhouse.runtime.readers import DatabaseSink, Follower
from orderhouse.runtime.registry import FactMalformed, Kinds
from orderhouse.runtime.transports.direct import DirectSource
from tests.integration.things import ME, Things, call, opened, told

pytestmark = [pytest.mark.anyio, pytest.mark.context("things")]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "add-a-fact.md"


@pytest.fixture
def page() -> dict[str, Any]:
    """What the page's code defines."""
    defined: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(block, defined)
    return defined


async def thing(database: Database) -> tuple[UUID, int]:
    await call(database, "tea")(Things().make, "tea", answer=told)
    row = await database.read(lambda r: r.row("SELECT id, size FROM things"))
    assert row
    return (row[0] if isinstance(row[0], UUID) else UUID(bytes=bytes(row[0]))), row[1]


async def test_following_the_page_a_neighbour_knows_what_a_thing_weighs(place: Place, page: dict[str, Any]) -> None:
    async with opened(place) as database:
        made, _ = await thing(database)
        assert await database.write(page["weigh"], Asked((made, 2, 250), ME, 1, Origin("me"))) == 250
        sink = DatabaseSink("weights", database, page["note_weights"])
        await Follower(DirectSource(database), sink).catch_up()
        assert (await thing(database))[1] == 250


async def test_following_the_page_an_old_fact_is_read_as_a_new_one(place: Place, page: dict[str, Any]) -> None:
    async with opened(place) as database:
        made, _ = await thing(database)
        await database.write(page["weigh"], Asked((made, 2, 250), ME, 1, Origin("me")))
        [old] = await DirectSource(database).read(1, 10)
        before, after = Kinds("things", [page["WEIGHED_KIND"]]), Kinds("things", [page["WEIGHED_KIND_2"]])
        assert before.current(old) == old
        assert after.current(old).data == {"grams": 250, "scales": "unknown"}
        with pytest.raises(FactMalformed):
            before.check(page["WEIGHED_KIND"], {"grams": "250"})
