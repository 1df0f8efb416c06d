"""The figures of a worker: summed one at a time, with the rest that is set."""

import asyncio
from datetime import date
from pathlib import Path

import pytest

from orderhouse.assembly import neighbours, places
from orderhouse.assembly.contexts import Contexts
from orderhouse.assembly.neighbours import OwnSales
from orderhouse.assembly.pace import Pace
from orderhouse.jobs.neighbours import Cut
from orderhouse.kernel import clock
from orderhouse.runtime.settings import Settings
from orderhouse.runtime.transports.direct import DirectSource

pytestmark = pytest.mark.anyio


async def test_sums_of_a_worker_rest_in_between_as_long_as_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    rested: list[float] = []

    async def rest(seconds: float) -> None:
        rested.append(seconds)

    def paced(times: float) -> Pace:
        asked.append(times)
        return Pace(times, sleep=rest)

    monkeypatch.setattr(neighbours, "Pace", paced)
    settings = Settings(data_dir=tmp_path, worker_rest=100, _env_file=None)
    places.migrate_all(settings)
    contexts = Contexts.opened(settings)
    sales = OwnSales(tmp_path, DirectSource(contexts.orders.database), contexts.customers.directory, settings)
    try:
        cut, now = Cut("status", date(2026, 1, 1), date(2026, 12, 31)), clock.now()
        found = await asyncio.gather(*(sales.figures(cut, now) for _ in range(3)))
    finally:
        await sales.close()
        await contexts.close()
    assert [figures["totals"]["orders"] for figures in found] == [0, 0, 0]
    assert asked == [100]
    assert len(rested) == 2
