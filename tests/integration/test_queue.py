"""The queue: leases, fences, lanes in order, and dead letters that can be mended."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderhouse.kernel.ids import new_id
from orderhouse.runtime.database.database import Database, Place
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.queue import Entry, EntryUnknown, Leased, LeaseLost, Queue
from tests.integration.things import opened

pytestmark = [pytest.mark.anyio, pytest.mark.context("things")]

WORK = Queue("work", lease=100, first_delay=8, longest_delay=50, most_attempts=2)


async def done(database: Database, work: Callable[[Transaction], Any]) -> Any:
    return await database.write(lambda tx, asked: [work(tx) for _ in asked], None)


async def claimed(database: Database, now: int, limit: int = 10) -> list[Leased]:
    found: list[Leased] = await done(database, lambda tx: WORK.claim(tx, limit, now))
    return found


async def test_an_entry_is_claimed_once_and_finished(place: Place) -> None:
    async with opened(place) as database:
        await done(database, lambda tx: WORK.put(tx, [Entry("", {"n": 1}), Entry("", {"n": 2}, due_at=50)], 10))
        [first] = await claimed(database, 10)
        assert first.payload == {"n": 1}
        assert await claimed(database, 10) == []
        await done(database, lambda tx: WORK.finish(tx, first))
        assert [leased.payload for leased in await claimed(database, 1000)] == [{"n": 2}]


async def test_whoever_lost_the_lease_cannot_finish_extend_or_fail(place: Place) -> None:
    async with opened(place) as database:
        await done(database, lambda tx: WORK.put(tx, [Entry("", {})], 0))
        [slow] = await claimed(database, 0)
        [quick] = await claimed(database, 101)
        attempts: list[Callable[[Transaction], Any]] = [
            lambda tx: WORK.finish(tx, slow),
            lambda tx: WORK.extend(tx, slow, 101),
            lambda tx: WORK.fail(tx, slow, "late", 101),
        ]
        for late in attempts:
            with pytest.raises(LeaseLost):
                await done(database, late)
        await done(database, lambda tx: WORK.finish(tx, quick))


async def test_an_extended_lease_holds(place: Place) -> None:
    async with opened(place) as database:
        await done(database, lambda tx: WORK.put(tx, [Entry("", {})], 0))
        [mine] = await claimed(database, 0)
        await done(database, lambda tx: WORK.extend(tx, mine, 90))
        assert await claimed(database, 150) == []
        assert len(await claimed(database, 190)) == 1


async def test_entries_of_a_lane_go_in_order_and_other_lanes_pass(place: Place) -> None:
    async with opened(place) as database:
        entries = [Entry("a", {"n": 1}), Entry("a", {"n": 2}), Entry("b", {"n": 3})]
        await done(database, lambda tx: WORK.put(tx, entries, 0))
        now = await claimed(database, 0)
        assert [leased.payload["n"] for leased in now] == [1, 3]
        await done(database, lambda tx: WORK.finish(tx, now[0]))
        assert [leased.payload["n"] for leased in await claimed(database, 0)] == [2]


async def test_failures_come_back_later_then_die_and_can_be_mended(place: Place) -> None:
    async with opened(place) as database:
        await done(database, lambda tx: WORK.put(tx, [Entry("a", {"n": 1})], 0))
        [leased] = await claimed(database, 0)
        assert await done(database, lambda tx: WORK.fail(tx, leased, "first", 0)) is False
        assert await claimed(database, 3) == []
        [leased] = await claimed(database, 8)
        assert leased.reason == "first"
        assert await done(database, lambda tx: WORK.fail(tx, leased, "second", 9)) is True
        assert await claimed(database, 10_000) == []
        [dead] = await database.read(WORK.dead, 10)
        assert (dead.reason, dead.attempts) == ("second", 2)
        await done(database, lambda tx: WORK.replay(tx, dead.id, 10_000, {"n": 7}))
        assert [leased.payload for leased in await claimed(database, 10_000)] == [{"n": 7}]


@given(st.integers(1, 40))
def test_retries_wait_ever_longer_up_to_a_limit_and_never_all_the_same(attempts: int) -> None:
    queue = Queue("work", first_delay=1_000, longest_delay=600_000)
    delays = [queue._delay(attempts) for _ in range(30)]
    longest = min(1_000 * 2 ** (attempts - 1), 600_000)
    assert longest // 2 <= min(delays) <= max(delays) <= longest
    assert len(set(delays)) > 5, "what failed together does not come back together"


async def test_only_dead_letters_can_be_replayed(place: Place) -> None:
    async with opened(place) as database:
        with pytest.raises(EntryUnknown):
            await done(database, lambda tx: WORK.replay(tx, new_id(), 0))
