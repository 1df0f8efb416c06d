"""Readers: effects once, in order, whatever fails and wherever it is killed."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest

from orderhouse.kernel import clock
from orderhouse.kernel.events import Fact, FactData, FactKind, Origin, Upcast
from orderhouse.runtime import facts as logged
from orderhouse.runtime.database.database import Database, Place
from orderhouse.runtime.database.errors import DatabaseUnavailable
from orderhouse.runtime.database.transaction import Reading, Transaction
from orderhouse.runtime.once import Asked
from orderhouse.runtime.queue import Queue
from orderhouse.runtime.readers import DatabaseSink, FactsOutOfOrder, Follower
from orderhouse.runtime.registry import Kinds
from orderhouse.runtime.transports.direct import DirectSource
from tests.integration.things import ME, NameTaken, Things, call, opened, told

pytestmark = [pytest.mark.anyio, pytest.mark.context("things")]


class Sized(FactData):
    """What it weighs, as the tests would have it now."""

    grams: int


class Growing:
    """Grows every thing it reads of by one; refuses what it is told to refuse."""

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self.seen: list[int] = []

    def effect(self, tx: Transaction, facts: Sequence[Fact]) -> None:
        for fact in facts:
            touched = tx.run("UPDATE things SET size = size + 1 WHERE id = :id", id=fact.aggregate)
            assert touched == 1
            if str(fact.aggregate) in self.refused:
                raise ValueError("not this one")
        self.seen.extend(fact.position for fact in facts)


async def make(database: Database, *wanted: str) -> None:
    for name in wanted:
        await call(database, name)(Things().make, name, answer=told)


async def sizes(database: Database) -> dict[str, int]:
    return {row[0]: row[1] for row in await database.read(lambda r: r.rows("SELECT name, size FROM things"))}


async def test_every_fact_has_its_effect_once_and_a_new_reader_goes_on_where_the_last_ended(place: Place) -> None:
    async with opened(place) as database:
        await make(database, "tea", "milk")
        growing = Growing()
        assert await Follower(DirectSource(database), DatabaseSink("r", database, growing.effect)).catch_up() == 2
        await make(database, "rice")
        again = Follower(DirectSource(database), DatabaseSink("r", database, growing.effect), batch=1)
        assert await again.catch_up() == 3
        assert await sizes(database) == {"tea": 2, "milk": 2, "rice": 2}
        assert growing.seen == [1, 2, 3]


async def test_who_shares_a_log_reads_what_another_process_told_once_among_them(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    ask = logged.read

    def counted(log: Reading, after: int, limit: int) -> list[Fact]:
        found = ask(log, after, limit)
        read.extend(fact.position for fact in found)
        return found

    monkeypatch.setattr(logged, "read", counted)
    async with opened(place) as database, opened(place) as another:
        followers = {
            name: Follower(DirectSource(database), DatabaseSink(name, database, lambda _tx, _facts: None), batch=2)
            for name in ("a", "b")
        }
        await make(another, "tea", "milk", "rice")
        assert [await one.catch_up() for one in followers.values()] == [3, 3]
        await make(another, "salt")
        await followers["b"].catch_up()
        await make(database, "jam")
        await make(another, "oats")
        assert [await one.catch_up() for one in followers.values()] == [6, 6]
        assert read == [1, 2, 3, 4, 6]


async def test_what_is_heard_of_a_fact_is_what_its_log_holds(place: Place) -> None:
    async with opened(place) as database:
        source = DirectSource(database)
        for some in (["tea"], ["milk", "rice"]):
            await make(database, *some)
        await database.write_many(Things().make, [Asked(f"thing {n}", ME, 1, Origin("me")) for n in range(300)])
        heard = database.recent().behind(0, 1000)
        assert [fact.position for fact in heard] == [1, 2, 3], "so many in one go are read"
        assert await source.read(0, 1000) == await database.read(logged.read, 0, 1000)
        assert [type(fact.id) for fact in heard] == [UUID] * 3


async def test_facts_delivered_twice_change_nothing(place: Place) -> None:
    async with opened(place) as database:
        await make(database, "tea")
        sink = DatabaseSink("r", database, Growing().effect)
        facts = await DirectSource(database).read(0, 10)
        await sink.take(facts)
        await sink.take(facts)
        assert await sizes(database) == {"tea": 2}


async def test_a_fact_that_fails_is_parked_with_its_aggregate_and_the_others_go_on(place: Place) -> None:
    async with opened(place) as database:
        await make(database, "tea", "milk", "rice")
        growing = Growing()
        source = DirectSource(database)
        milk = (await source.read(1, 1))[0].aggregate
        growing.refused.add(str(milk))
        sink = DatabaseSink("r", database, growing.effect, now=lambda: 10**15)
        await sink.take(await source.read(0, 10))
        assert await sizes(database) == {"tea": 2, "milk": 1, "rice": 2}
        assert await sink.position() == 3
        parked = await database.read(lambda r: r.rows("SELECT lane, reason FROM queue"))
        assert [tuple(row) for row in parked] == [(str(milk), "ValueError: not this one")]

        growing.refused.clear()
        later = DatabaseSink("r", database, growing.effect, now=lambda: 2 * 10**15)
        await later.idle()
        assert await sizes(database) == {"tea": 2, "milk": 2, "rice": 2}
        assert await database.read(Queue("facts:r").due, 10**18) is False


async def test_what_comes_in_another_order_or_twice_is_put_in_order_and_a_gap_is_waited_for(place: Place) -> None:
    async with opened(place) as database:
        await make(database, "tea", "milk", "rice")
        growing = Growing()
        sink = DatabaseSink("r", database, growing.effect)
        one, two, three = await DirectSource(database).read(0, 10)
        for gap in ([two], [one, three], [three, two]):
            with pytest.raises(FactsOutOfOrder):
                await sink.take(gap)
        assert (await sink.position(), await sizes(database)) == (0, {"tea": 1, "milk": 1, "rice": 1})
        await sink.take([two, one, two])
        await sink.take([three, one])
        assert growing.seen == [1, 2, 3]
        assert await sizes(database) == {"tea": 2, "milk": 2, "rice": 2}


@pytest.mark.parametrize("refusal", [NameTaken(), ValueError("no")], ids=["a refusal", "a defect"])
async def test_whatever_an_effect_fails_with_parks_its_fact_and_an_unavailable_database_does_not(
    place: Place, refusal: Exception
) -> None:
    async with opened(place) as database:
        await make(database, "tea", "milk")
        facts = await DirectSource(database).read(0, 10)
        raised: list[Exception] = [DatabaseUnavailable()]

        def effect(tx: Transaction, facts: Sequence[Fact]) -> None:
            if any(fact.position == 1 for fact in facts):
                raise raised[0]

        sink = DatabaseSink("r", database, effect)
        with pytest.raises(DatabaseUnavailable):
            await sink.take(facts)
        assert await sink.position() == 0
        raised[0] = refusal
        await sink.take(facts)
        assert await sink.position() == 2
        assert len(await database.read(lambda r: r.rows("SELECT id FROM queue"))) == 1


async def test_an_effect_sees_facts_in_their_present_version_also_those_that_were_parked(place: Place) -> None:
    async with opened(place) as database:
        await make(database, "tea")
        seen: list[Fact] = []

        def kinds(*versions: Upcast) -> Kinds:
            known = FactKind("ThingMade", "", Sized, len(versions) + 1, dict(enumerate(versions, 1)))
            return Kinds("things", [known])

        def effect(tx: Transaction, facts: Sequence[Fact]) -> None:
            seen.extend(facts)

        before = DatabaseSink("r", database, effect, kinds=kinds(), now=lambda: 1)
        await before.take(await DirectSource(database).read(0, 10))
        [(reason,)] = await database.read(lambda r: r.rows("SELECT reason FROM queue"))
        assert (seen, reason.partition(":")[0]) == ([], "fact_malformed"), "told with size, read with grams"
        after = DatabaseSink("r", database, effect, kinds=kinds(lambda data: {"grams": data["size"]}), now=lambda: 2)
        assert await after.idle() is True
        assert [(fact.version, fact.data) for fact in seen] == [(2, {"grams": 1})]
        assert await after.idle() is False


async def test_facts_taken_before_have_their_effects_again_in_order_and_what_is_told_meanwhile_waits(
    place: Place,
) -> None:
    async with opened(place) as database:
        await make(database, "tea", "milk")
        growing = Growing()
        sink = DatabaseSink("r", database, growing.effect)
        facts = await DirectSource(database).read(0, 10)
        await sink.take(facts[:1])
        await sink.again(facts[:1], "replayed by me")
        later = facts[1]._replace(aggregate=facts[0].aggregate)
        await sink.take([later])
        assert growing.seen == [1], "its aggregate has something to do first"
        while await sink.idle():
            pass
        assert growing.seen == [1, 1, 2]


async def test_who_lost_a_parked_fact_to_somebody_else_leaves_it_to_them(place: Place) -> None:
    async with opened(place) as database:
        await make(database, "tea")
        growing = Growing()
        sink = DatabaseSink("r", database, growing.effect)
        facts = await DirectSource(database).read(0, 10)
        await sink.take(facts)
        await sink.again(facts, "replayed by me")
        [leased] = await database.write(sink._claim, None)

        def mended(tx: Transaction, asked: Sequence[None]) -> list[int]:
            return [tx.run("UPDATE queue SET fence = fence + 1, due_at = 0") for _ in asked]

        await database.write(mended, None)
        await sink._try_again(leased)
        assert (growing.seen, await sizes(database)) == ([1], {"tea": 2})
        assert await sink.idle() is True
        assert await sizes(database) == {"tea": 3}


async def test_a_running_follower_sees_what_is_told_here_at_once_and_elsewhere_soon(place: Place) -> None:
    async with opened(place) as database, opened(place) as elsewhere:
        growing = Growing()
        follower = Follower(DirectSource(database), DatabaseSink("r", database, growing.effect))
        running = asyncio.create_task(follower.run())
        try:
            await make(database, "tea")
            await make(elsewhere, "milk")
            async with asyncio.timeout(5):
                while await sizes(database) != {"tea": 2, "milk": 2}:
                    await asyncio.sleep(0.01)
        finally:
            running.cancel()
        assert growing.seen == [1, 2]
        assert follower.fresh_as_of > 0


async def test_who_wants_it_fresher_wakes_a_reader_that_rests(place: Place) -> None:
    async with opened(place) as database:
        growing = Growing()
        follower = Follower(DirectSource(database), DatabaseSink("r", database, growing.effect), rest_s=60)
        running = asyncio.create_task(follower.run())
        assert await follower.refresh(max_age_ms=0, patience_ms=5000) > 0
        await make(database, "tea")
        before = clock.now()
        assert await follower.refresh(max_age_ms=60_000, patience_ms=5000) < before, "young enough"
        assert await sizes(database) == {"tea": 1}
        assert await follower.refresh(max_age_ms=0, patience_ms=5000) >= before
        assert await sizes(database) == {"tea": 2}
        running.cancel()


async def test_what_cannot_be_fresher_in_time_is_told_as_it_is(place: Place) -> None:
    async with opened(place) as database:
        nobody_runs_it = Follower(DirectSource(database), DatabaseSink("r", database, Growing().effect))
        assert await nobody_runs_it.refresh(max_age_ms=1000, patience_ms=10) == 0
