"""Workers, on SQLite and on PostgreSQL: each job once, in its turn, whoever is lost, late, deaf or told to leave."""

import asyncio
import os
from typing import Any
from uuid import UUID

import pytest

from orderhouse.jobs import reads
from orderhouse.jobs.kind import Progress
from orderhouse.jobs.models.jobs import Queues
from orderhouse.jobs.service.claims import Beat, Claimed, ClaimService, Done, Ended
from orderhouse.jobs.wiring import SCHEMA
from orderhouse.kernel import clock
from orderhouse.runtime import migrate
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.queue import LeaseLost
from tests.integration.jobs_world import OWNER, World, opened, passed

pytestmark = [pytest.mark.anyio, pytest.mark.context("jobs")]

HOUR = 3_600_000_000


class Hands:
    """Claims by hand, at a time of its own."""

    def __init__(self, world: World, *, lease_s: float = 20.0) -> None:
        self.at = clock.now()
        self._world = world
        waiting = Queues.leasing(int(lease_s * 1_000_000))
        self._claims = ClaimService(world.jobs.kinds, waiting, now=lambda: self.at)

    async def claim(self, limit: int = 10) -> list[Claimed]:
        self.at = max(self.at, clock.now())
        found: list[Claimed] = await self._world.jobs.database.write(self._claims.claim, limit)
        return found

    async def end(self, claimed: Claimed) -> Any:
        return await self._world.jobs.database.write(self._claims.end, Ended(claimed, Done({"by": "hand"})))

    async def beat(self, claimed: Claimed) -> Any:
        return await self._world.jobs.database.write(self._claims.beat, Beat(claimed.leased, Progress(1)))


async def test_workers_share_the_work_and_each_job_runs_once(place: Place) -> None:
    async with opened(place) as world, opened(place) as elsewhere:
        asked = [await world.ask("note") for _ in range(60)]
        world.start(threads=3)
        elsewhere.start(threads=3)
        for job_id in asked:
            assert (await world.once(job_id, "done")).attempt == 1
        runs = world.deeds.runs + elsewhere.deeds.runs
        assert runs == {str(job_id): 1 for job_id in asked}
        assert await world.queued() == 0


async def test_what_is_urgent_is_taken_up_first_and_what_is_delayed_not_before_its_time(place: Place) -> None:
    async with opened(place) as world:
        late = await world.ask("note", argument={"name": "late"}, priority="high", delay_s=1)
        for name in ("low", "normal", "high"):
            last = await world.ask("note", argument={"name": name}, priority=name)
        world.start(threads=1)
        await world.once(last, "done")
        done = await world.once(late, "done")
        assert world.deeds.order == ["high", "normal", "low", "late"]
        assert done.started_at is not None
        assert done.started_at >= done.created_at + 1_000_000


async def test_a_job_is_taken_up_at_once_where_it_was_asked_for(place: Place) -> None:
    async with opened(place) as world:
        world.start()
        await world.once(await world.ask("ping"), "done")
        took = []
        for _ in range(9):
            done = await world.once(await world.ask("ping"), "done")
            assert done.started_at is not None
            took.append(done.started_at - done.created_at)
        assert sorted(took)[4] < 100_000


async def test_a_lost_workers_job_is_taken_up_again_and_its_old_lease_changes_nothing(place: Place) -> None:
    async with opened(place) as world:
        job_id, hands = await world.ask("ping", argument={"echo": "x"}), Hands(world)
        [lost] = await hands.claim()
        assert (await world.get(job_id)).state == "running"
        assert await hands.claim() == []
        hands.at += HOUR
        [again] = await hands.claim()
        assert (again.job.id, again.job.attempt) == (job_id, 2)
        before = await world.get(job_id)
        for late in (hands.end, hands.beat):
            with pytest.raises(LeaseLost):
                await late(lost)
        assert await world.get(job_id) == before
        await hands.end(again)
        with pytest.raises(LeaseLost):
            await hands.end(again)
        done = await world.get(job_id)
        assert (done.state, done.result, done.attempt) == ("done", {"by": "hand"}, 2)
        assert [fact.name for fact in await world.told()] == ["JobQueued", "JobDone"]


async def test_a_job_whose_workers_are_lost_again_and_again_is_given_up(place: Place) -> None:
    async with opened(place) as world:
        job_id, hands = await world.ask("ping"), Hands(world)
        for _ in range(3):
            assert len(await hands.claim()) == 1
            hands.at += HOUR
        assert await hands.claim() == []
        failed = await world.get(job_id)
        assert (failed.state, failed.error and failed.error["code"]) == ("failed", "job_workers_lost")
        assert await world.queued() == 0


async def test_a_job_that_was_cancelled_while_its_worker_was_lost_is_not_run_again(place: Place) -> None:
    async with opened(place) as world:
        job_id, hands = await world.ask("note"), Hands(world)
        [_] = await hands.claim()
        await world.cancel(job_id)
        hands.at += HOUR
        assert await hands.claim() == []
        assert (await world.get(job_id)).state == "cancelled"


async def test_a_running_job_is_held_for_as_long_as_it_takes(place: Place) -> None:
    async with opened(place) as world, opened(place) as elsewhere:
        world.start(lease_s=0.4)
        job_id = await world.ask("wait")
        await passed(world.deeds.begun)
        elsewhere.start(lease_s=0.4)
        others = [await world.ask("note", delay_s=1) for _ in range(2)]
        for other in others:
            await world.once(other, "done")
        world.deeds.go_on.set()
        assert (await world.once(job_id, "done")).attempt == 1
        assert elsewhere.deeds.runs[str(job_id)] == 0


async def test_a_job_that_is_late_fails_wherever_it_is(place: Place) -> None:
    async with opened(place) as world:
        waiting = await world.ask("note", deadline_s=1)
        hands = Hands(world)
        hands.at += HOUR
        assert await hands.claim() == []
        failed = await world.get(waiting)
        assert (failed.state, failed.error and failed.error["code"]) == ("failed", "job_deadline_passed")
        world.start()
        running = await world.ask("wait", deadline_s=1)
        failed = await world.once(running, "failed")
        assert (failed.attempt, failed.error and failed.error["code"]) == (1, "job_deadline_passed")


async def test_an_attempt_that_takes_too_long_is_stopped_and_followed_by_another(place: Place) -> None:
    async with opened(place) as world:
        world.start()
        failed = await world.once(job_id := await world.ask("slow"), "failed")
        assert (failed.attempt, failed.error and failed.error["code"]) == (2, "job_too_slow")
        assert world.deeds.runs[str(job_id)] == 2


async def test_a_job_that_does_not_stop_is_given_up_and_the_others_go_on(place: Place) -> None:
    async with opened(place) as world:
        world.start(threads=2)
        deaf = await world.ask("deaf")
        await passed(world.deeds.begun)
        await world.cancel(deaf)
        assert (await world.once(deaf, "cancelled")).attempt == 1
        await world.once(await world.ask("ping"), "done")
        world.deeds.go_on.set()
        await world.once(await world.ask("ping"), "done")
        assert (await world.get(deaf)).state == "cancelled"


async def test_a_worker_that_leaves_puts_back_what_stops_and_it_is_no_attempt(place: Place) -> None:
    async with opened(place) as world:
        leaving = world.start()
        job_id = await world.ask("wait")
        await passed(world.deeds.begun)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        back = await world.get(job_id)
        assert (back.state, back.error) == ("pending", None)
        world.deeds.go_on.set()
        world.start()
        assert (await world.once(job_id, "done")).attempt == 1


async def test_a_job_that_waits_for_a_neighbour_is_cancelled_all_the_same(place: Place) -> None:
    async with opened(place) as world:
        world.start()
        job_id = await world.ask("hear")
        await passed(world.deeds.begun)
        await world.cancel(job_id)
        assert (await world.once(job_id, "cancelled")).attempt == 1


async def test_what_a_job_writes_is_gone_when_it_ends_and_what_it_keeps_stays(place: Place) -> None:
    async with opened(place) as world:
        world.start()
        done = await world.once(await world.ask("write", argument={"name": "x", "times": 3}), "done")
        assert done.result is not None
        file = await world.jobs.database.read(reads.file, UUID(done.result["file"]["id"]), OWNER)
        assert file is not None
        assert (file.owner, file.size, file.media_type) == (OWNER.subject, 3, "text/csv; charset=utf-8")
        assert await world.jobs.database.read(reads.piece, file.content, 0) == b"xxx"
        [folder] = world.deeds.folders
        assert not folder.exists()


async def test_what_is_done_at_home_is_left_to_it(place: Place) -> None:
    async with opened(place) as world, opened(place) as elsewhere:
        elsewhere.start(home=False)
        job_id = await world.ask("tend")
        await world.once(await world.ask("note"), "done")
        assert (await world.get(job_id)).state == "pending"
        world.start(threads=0)
        await world.once(job_id, "done")
        assert (world.deeds.runs[str(job_id)], elsewhere.deeds.runs[str(job_id)]) == (1, 0)


async def test_who_has_no_threads_does_only_what_is_done_at_home(place: Place) -> None:
    async with opened(place) as world:
        world.start(threads=0)
        left = await world.ask("note")
        await world.once(await world.ask("tend"), "done")
        assert (await world.get(left)).state == "pending"


async def test_folders_of_workers_that_were_killed_are_removed_after_a_day(place: Place) -> None:
    async with opened(place) as world:
        old, new = world.folder / "job-old", world.folder / "job-new"
        for folder in (old, new):
            folder.mkdir()
        os.utime(old, (0, 0))
        world.worker()
        assert (old.exists(), new.exists()) == (False, True)


async def test_of_jobs_with_one_concurrency_key_one_runs_at_a_time(place: Place) -> None:
    async with opened(place) as world, opened(place) as elsewhere:
        beside: dict[str, int] = {}
        elsewhere.deeds.beside = world.deeds.beside = beside
        elsewhere.deeds.inside = world.deeds.inside
        world.start(threads=4)
        elsewhere.start(threads=4)
        names = ["till"] * 8 + [f"till {n}" for n in range(4)]
        asked = [await world.ask("alone", argument={"name": name}, concurrency_key=name) for name in names]
        for job_id in asked:
            assert (await world.once(job_id, "done")).attempt == 1
        assert beside == {"till": 1, **{f"till {n}": 1 for n in range(4)}}


async def test_who_waits_for_a_key_goes_on_when_it_is_let_go_and_not_by_chance_later(place: Place) -> None:
    async with opened(place) as world:
        world.start(threads=4)
        first = await world.ask("wait", concurrency_key="till")
        await passed(world.deeds.begun)
        urgent = [await world.ask("note", concurrency_key="till", priority=one) for one in ("low", "high")]
        free = await world.ask("note")
        await world.once(free, "done")
        assert {(await world.get(job_id)).state for job_id in urgent} == {"pending"}
        world.deeds.go_on.set()
        freed = (await world.once(first, "done")).ended_at
        low, high = [await world.once(job_id, "done") for job_id in urgent]
        assert freed is not None
        assert high.started_at is not None
        assert low.started_at is not None
        assert high.started_at - freed < 1_000_000
        assert high.started_at < low.started_at
        assert low.attempt == high.attempt == 1


async def test_a_key_is_held_until_the_lease_of_a_lost_worker_is_over(place: Place) -> None:
    async with opened(place) as world:
        first, second = [await world.ask("ping", concurrency_key="till") for _ in range(2)]
        hands = Hands(world)
        assert [one.job.id for one in await hands.claim()] == [first]
        hands.at += 5_000_000
        assert await hands.claim() == []
        hands.at += HOUR
        [again] = await hands.claim()
        assert (again.job.id, again.job.attempt) == (first, 2)
        await hands.end(again)
        assert [one.job.id for one in await hands.claim()] == [second]


@pytest.mark.parametrize("name", ["set", "nul", "list", "long"])
async def test_a_result_that_cannot_be_kept_is_a_failure_that_is_told(place: Place, name: str) -> None:
    async with opened(place) as world:
        world.start()
        failed = await world.once(await world.ask("say", argument={"name": name}), "failed")
        assert (failed.result, failed.error and failed.error["code"]) == (None, "job_broke")


async def test_a_worker_that_does_not_know_a_kind_leaves_it_to_others(place: Place) -> None:
    async with opened(place) as world:
        job_id, hands = await world.ask("ping"), Hands(world)
        hands._claims._kinds = {}
        assert await hands.claim() == []
        waiting = await world.get(job_id)
        assert (waiting.state, waiting.attempt) == ("pending", 0)


async def test_a_worker_outlives_what_its_database_suffers(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(place) as world:
        answers = iter([RuntimeError("a"), OSError("b")])
        claim = ClaimService.claim

        def failing(self: ClaimService, *what: Any) -> Any:
            for error in answers:
                raise error
            return claim(self, *what)

        monkeypatch.setattr(ClaimService, "claim", failing)
        world.start()
        await world.once(await world.ask("ping"), "done")


async def test_an_end_that_cannot_be_kept_is_tried_again_until_it_is(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orderhouse.runtime.database.errors import DatabaseUnavailable

    async with opened(place) as world:
        answers = iter([DatabaseUnavailable(), DatabaseUnavailable()])
        end = ClaimService.end

        def failing(self: ClaimService, *what: Any) -> Any:
            for error in answers:
                raise error
            return end(self, *what)

        monkeypatch.setattr(ClaimService, "end", failing)
        world.start()
        job_id: UUID = await world.ask("note")
        assert (await world.once(job_id, "done")).attempt == 1
        assert world.deeds.runs[str(job_id)] == 1


async def test_the_migrated_schema_is_the_one_the_code_knows(place: Place) -> None:
    assert migrate.drift(SCHEMA, place) == []
    migrate.migrate(SCHEMA, place, "base")
    migrate.migrate(SCHEMA, place)
    assert migrate.drift(SCHEMA, place) == []
