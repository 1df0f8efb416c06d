"""The page that tells how to add a kind of job, followed to the letter."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from orderhouse.jobs import kinds
from orderhouse.jobs.kind import discovered
from tests.installation import Installation
from tests.integration.orders_world import opened
from tests.integration.test_job_kinds import done

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "add-a-job-kind.md"


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The page's file, put where kinds are looked for."""
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    folder = tmp_path / "kinds"
    folder.mkdir()
    (folder / "count_orders.py").write_text(code)
    monkeypatch.setattr(kinds, "__path__", [*kinds.__path__, str(folder)])
    before: dict[str, ModuleType] = dict(sys.modules)
    yield
    for name in sys.modules.keys() - before.keys():
        if name.startswith("orderhouse.jobs.kinds."):
            del sys.modules[name]


@pytest.mark.usefixtures("added")
async def test_following_the_page_there_is_a_kind_that_counts_orders(installation: Installation) -> None:
    async with opened(installation) as house:
        customer = await house.customer()
        for _ in range(3):
            await house.order(customer)
        told: dict[str, Any] = (await house("GET", "/v1/job-kinds")).json()
        [kind] = [one for one in told["items"] if one["name"] == "count-orders"]
        assert (kind["permission"], kind["attempts"], kind["time_limit_s"]) == ("orders:read", 5, 600)
        assert kind["summary"] == "Count the orders you may see by their status."
        assert await done(house, "count-orders") == {"counts": {"placed": 3}}
        assert await done(house, "count-orders", country="Nowhere") == {"counts": {}}
        unfit = await house("POST", "/v1/jobs", {"kind": "count-orders", "argument": {"town": "Paris"}})
        assert (unfit.status_code, unfit.json()["type"]) == (422, "/problems/job_argument_invalid")


def test_kinds_are_looked_for_in_their_folder_alone() -> None:
    assert set(discovered()) == {
        "ping",
        "sales-report",
        "export-orders",
        "import-orders",
        "rebuild-analytics",
        "clean-up",
    }
