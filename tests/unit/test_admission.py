"""Admission: who finds the queue of writes full waits a moment, and is refused; too many do not even wait."""

import asyncio
from typing import cast

import pytest

from orderhouse.runtime.database.database import Database
from orderhouse.runtime.database.errors import DatabaseBusy
from orderhouse.runtime.web.admission import Admission

pytestmark = pytest.mark.anyio


class Filling:
    """A database that is full as long as it is told so."""

    full = True


@pytest.fixture
def filling() -> Filling:
    return Filling()


@pytest.fixture
def admission(filling: Filling, monkeypatch: pytest.MonkeyPatch) -> Admission:
    monkeypatch.setattr(Admission, "WAIT_S", 0.01)
    monkeypatch.setattr(Admission, "MOST", 2)
    return Admission(cast(Database, filling))


async def test_who_finds_no_place_within_the_time_is_refused(admission: Admission) -> None:
    assert admission.full
    with pytest.raises(DatabaseBusy):
        await admission.wait()


async def test_who_finds_a_place_within_the_time_is_let_in(admission: Admission, filling: Filling) -> None:
    waiting = asyncio.create_task(admission.wait())
    await asyncio.sleep(0)
    filling.full = False
    await waiting


async def test_no_more_wait_than_there_is_room_for_and_room_is_made_by_who_goes_away(admission: Admission) -> None:
    waiting = [asyncio.create_task(admission.wait()) for _ in range(2)]
    await asyncio.sleep(0)
    began = asyncio.get_running_loop().time()
    with pytest.raises(DatabaseBusy):
        await admission.wait()
    assert asyncio.get_running_loop().time() - began < Admission.WAIT_S, "who is refused for want of room does not wait"
    waiting[0].cancel()
    await asyncio.sleep(0)
    late = asyncio.create_task(admission.wait())
    outcomes = await asyncio.gather(waiting[1], late, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [DatabaseBusy, DatabaseBusy]
