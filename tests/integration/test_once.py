"""Once: done once, answered alike, whatever is retried, raced or goes wrong."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest

from orderhouse.kernel import clock
from orderhouse.kernel.errors import Refusal
from orderhouse.kernel.principal import Principal
from orderhouse.runtime import facts, once
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.database.errors import DatabaseBusy, StillRunning
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Answer, Asked, KeyReused
from tests.integration.things import NameTaken, NameUgly, Thing, Things, call, names, opened, told

pytestmark = [pytest.mark.anyio, pytest.mark.context("things")]


async def test_a_retry_hears_the_stored_answer_byte_for_byte_even_after_a_restart(place: Place) -> None:
    made = Things()
    async with opened(place) as database:
        first = await call(database, "k")(made.make, "tea", answer=told)
        again = await call(database, "k")(made.make, "tea", answer=told)
    async with opened(place) as database:
        later = await call(database, "k")(made.make, "tea", answer=told)
        assert await database.read(facts.head) == 1
    assert (first.status, first.headers, first.body) == (again.status, again.headers, again.body)
    assert (first.status, first.headers, first.body) == (later.status, later.headers, later.body)
    assert (first.replayed, again.replayed, later.replayed) == (False, True, True)


@pytest.mark.parametrize("raises", [False, True])
async def test_a_retry_hears_its_answer_where_a_stranger_would_be_refused_by_now(place: Place, *, raises: bool) -> None:
    def make(tx: Transaction, asked: Sequence[Asked[str]]) -> Sequence[Thing | Refusal]:
        if tx.row("SELECT 1 FROM things WHERE name = :name", name=asked[0].wanted):
            if raises:
                raise NameTaken
            return [NameTaken()]
        return Things().make(tx, asked)

    async with opened(place) as database:
        first = await call(database, "k")(make, "tea", answer=told)
        again = await call(database, "k")(make, "tea", answer=told)
        assert (again.body, again.replayed) == (first.body, True)
        for other in (call(database, "other"), call(database, None)):
            with pytest.raises(NameTaken):
                await other(make, "tea", answer=told)
        with pytest.raises(KeyReused):
            await call(database, "k", fingerprint=b"other")(make, "tea", answer=told)


async def test_a_key_reused_for_something_else_is_refused(place: Place) -> None:
    async with opened(place) as database:
        await call(database, "k")(Things().make, "tea", answer=told)
        with pytest.raises(KeyReused):
            await call(database, "k", fingerprint=b"other")(Things().make, "milk", answer=told)
        assert await names(database) == ["tea"]


async def test_another_callers_key_is_another_key(place: Place) -> None:
    async with opened(place) as database:
        await call(database, "k")(Things().make, "tea", answer=told)
        stranger = Principal("stranger", "clerk")
        answer = await call(database, "k", caller=stranger)(Things().make, "milk", answer=told)
        assert not answer.replayed
        assert await names(database) == ["milk", "tea"]


async def test_what_was_refused_left_nothing_and_may_be_tried_again_with_its_key(place: Place) -> None:
    async with opened(place) as database:
        with pytest.raises(NameUgly):
            await call(database, "k")(Things().make, "ugly", answer=told)
        assert await database.read(facts.head) == 0
        answer = await call(database, "k", fingerprint=b"other")(Things().make, "tea", answer=told)
        assert answer.status == 201


async def test_only_the_bad_one_of_a_batch_fails_and_the_log_has_no_gap(place: Place) -> None:
    made = Things()
    async with opened(place) as database:
        wanted = ["tea", "boom", "milk", "ugly", "tea", "rice"]
        outcomes = await asyncio.gather(
            *(call(database, f"k{n}")(made.make, name, answer=told) for n, name in enumerate(wanted)),
            return_exceptions=True,
        )
        kinds = [type(outcome) for outcome in outcomes]
        assert kinds == [Answer, RuntimeError, Answer, NameUgly, NameTaken, Answer]
        assert await names(database) == ["milk", "rice", "tea"]
        log = await database.scan(facts.read, 0, 10)
        assert [fact.position for fact in log] == [1, 2, 3]


async def test_those_who_wait_together_share_a_transaction(place: Place) -> None:
    made = Things()
    async with opened(place) as database:
        await asyncio.gather(*(call(database, f"k{n}")(made.make, f"thing {n}", answer=told) for n in range(100)))
    assert sum(made.calls) == 100
    assert len(made.calls) < 20


async def test_fifty_racing_with_one_key_make_one_thing_in_two_databases_handles(place: Place) -> None:
    made = Things()
    async with opened(place) as one, opened(place) as other:
        calls = [call(one if n % 2 else other, f"k{n // 10}") for n in range(50)]
        answers = await asyncio.gather(
            *(once_call(made.make, f"thing {n // 10}", answer=told) for n, once_call in enumerate(calls))
        )
        bodies = Counter(answer.body for answer in answers)
        assert sorted(bodies.values()) == [10] * 5
        assert len(await names(one)) == 5
        assert await one.read(facts.head) == 5


async def test_who_goes_away_does_not_take_the_work_along(place: Place) -> None:
    async with opened(place) as database:
        leaving = asyncio.ensure_future(call(database, "k")(Things().make, "tea", answer=told))
        await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        assert (await call(database, "k")(Things().make, "tea", answer=told)).replayed


async def test_an_earlier_request_that_takes_too_long_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "_PATIENCE_S", 0.05)
    async with opened(place) as database:
        stuck: asyncio.Future[list[once.Answer | Refusal]] = asyncio.get_running_loop().create_future()
        with monkeypatch.context() as lane:
            lane.setattr(database, "put", lambda *_: stuck)
            first = asyncio.ensure_future(call(database, "k")(Things().make, "ugly", answer=told))
            await asyncio.sleep(0)
        with pytest.raises(StillRunning):
            await call(database, "k")(Things().make, "tea", answer=told)
        stuck.set_result([NameUgly()])
        with pytest.raises(NameUgly):
            await first
        assert (await call(database, "k")(Things().make, "tea", answer=told)).status == 201


async def test_a_full_queue_refuses_more_and_keeps_what_it_took(place: Place) -> None:
    async with opened(place, bound=5) as database:
        outcomes = await asyncio.gather(
            *(call(database, f"k{n}")(Things().make, f"thing {n}", answer=told) for n in range(50)),
            return_exceptions=True,
        )
        placed = [outcome for outcome in outcomes if isinstance(outcome, Answer)]
        assert {type(outcome) for outcome in outcomes} == {Answer, DatabaseBusy}
        assert len(await names(database)) == len(placed) > 0


async def test_old_answers_are_forgotten_and_young_ones_kept(place: Place) -> None:
    async with opened(place) as database:
        await call(database, "old")(Things().make, "tea", answer=told)
        between = clock.now()
        await call(database, "young")(Things().make, "milk", answer=told)
        assert await database.write(lambda tx, asked: [once.forget(tx, before) for before in asked], between) == 1
        assert (await call(database, "young")(Things().make, "milk", answer=told)).replayed
