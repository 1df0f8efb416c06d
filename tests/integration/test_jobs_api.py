"""Jobs over HTTP, on SQLite and on PostgreSQL: asked for, followed, cancelled, tried again."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from orderhouse.runtime.database.database import Place
from tests.integration.jobs_world import Api, passed, served

pytestmark = [pytest.mark.anyio, pytest.mark.context("jobs")]


@pytest.fixture
async def api(place: Place, tmp_path: Path) -> AsyncIterator[Api]:
    async with served(place, tmp_path) as api:
        yield api


def refused(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


async def test_a_job_is_accepted_followed_and_done(api: Api) -> None:
    accepted = await api("POST", "/v1/jobs", {"kind": "ping", "argument": {"echo": "hello"}})
    job = accepted.json()
    assert (accepted.status_code, job["state"], job["owner"], job["attempt"]) == (202, "pending", "me", 0)
    assert accepted.headers["location"] == job["links"]["self"] == f"/v1/jobs/{job['id']}"
    polled = await api("GET", accepted.headers["location"])
    assert (polled.json(), polled.headers["retry-after"]) == (job, "1")
    api.world.start()
    done = await api.once(job, "done")
    assert (done["result"], done["attempt"], done["error"]) == ({"echo": "hello"}, 1, None)
    assert done["created_at"] <= done["started_at"] <= done["ended_at"]
    assert done["links"] == {"self": job["links"]["self"]}
    ended = await api("GET", job["links"]["self"])
    assert "retry-after" not in ended.headers
    assert (await api("GET", job["links"]["self"], headers={"If-None-Match": ended.headers["etag"]})).status_code == 304


async def test_the_same_request_is_the_same_job(api: Api) -> None:
    key = {"Idempotency-Key": "k1"}
    first = await api("POST", "/v1/jobs", {"kind": "ping"}, headers=key)
    again = await api("POST", "/v1/jobs", {"kind": "ping"}, headers=key)
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    assert refused(await api("POST", "/v1/jobs", {"kind": "note"}, headers=key)) == (422, "idempotency_key_reused")
    assert len((await api("GET", "/v1/jobs")).json()["items"]) == 1


@pytest.mark.parametrize(
    ("body", "role", "told"),
    [
        ({"kind": "dance"}, "clerk", (422, "job_kind_unknown")),
        ({"kind": "ping", "argument": {"echo": 7}}, "clerk", (422, "job_argument_invalid")),
        ({"kind": "ping", "argument": {"eco": "x"}}, "clerk", (422, "job_argument_invalid")),
        ({"kind": "ping", "argument": {"echo": "\x01"}}, "clerk", (422, "job_argument_invalid")),
        ({"kind": "manage"}, "clerk", (403, "job_kind_not_allowed")),
        ({"kind": "ping", "delay_s": -1}, "clerk", (422, "request_invalid")),
        ({"kind": "ping", "delay_s": 60, "deadline_s": 60}, "clerk", (422, "job_never_in_time")),
        ({"kind": "ping", "priority": "urgent"}, "clerk", (422, "request_invalid")),
        ({"kind": "ping", "state": "done"}, "clerk", (422, "request_invalid")),
        ({"kind": "ping"}, None, (401, "unauthenticated")),
    ],
)
async def test_what_cannot_be_done_is_refused_and_nothing_waits(
    api: Api, body: dict[str, Any], role: Any, told: tuple[int, str]
) -> None:
    answer = await api("POST", "/v1/jobs", body, role=role)
    assert refused(answer) == told
    assert await api.world.queued() == 0
    assert await api.world.told() == []


async def test_an_argument_that_does_not_fit_is_told_where(api: Api) -> None:
    answer = await api("POST", "/v1/jobs", {"kind": "note", "argument": {"times": -1}})
    assert answer.json()["errors"][0]["pointer"] == "/argument/times"


async def test_a_job_that_breaks_is_tried_again_and_in_the_end_tells_why(api: Api) -> None:
    api.world.start()
    mended, broken = await api.ask("fail", argument={"times": 2}), await api.ask("fail", argument={"times": 9})
    done = await api.once(mended, "done")
    assert (done["attempt"], done["result"], done["error"]) == (3, {"attempt": 3}, None)
    failed = await api.once(broken, "failed")
    assert (failed["attempt"], failed["error"]["code"], failed["result"]) == (3, "job_broke", None)
    # What broke is ours to know: the caller is told that it did.
    assert "canary-4711" not in (await api("GET", broken["links"]["self"])).text
    assert set(failed["links"]) == {"self", "retry"}


async def test_a_job_that_is_refused_is_not_tried_again(api: Api) -> None:
    api.world.start()
    failed = await api.once(await api.ask("refuse"), "failed")
    assert failed["attempt"] == 1
    assert failed["error"] == {
        "type": "/problems/nothing_there",
        "code": "nothing_there",
        "title": "There is nothing to be done with.",
        "detail": "Not a thing.",
        "errors": [],
    }


async def test_a_job_that_finds_a_neighbour_down_tells_it_while_it_waits_to_be_tried_again(api: Api) -> None:
    api.world.start()
    job = await api.ask("lean", argument={"times": 9})
    failed = await api.once(job, "failed")
    assert (failed["attempt"], failed["error"]["code"], failed["error"]["detail"]) == (3, "not_now", "Try in a moment.")
    done = await api.once(await api.ask("lean", argument={"times": 1}), "done")
    assert done["attempt"] == 2


async def test_a_failed_job_is_tried_again_by_hand(api: Api) -> None:
    api.world.start()
    failed = await api.once(await api.ask("fail", argument={"times": 9}), "failed")
    again = await api("POST", failed["links"]["retry"])
    assert (again.status_code, again.json()["state"], again.json()["attempt"]) == (202, "pending", 0)
    assert (await api.once(failed, "failed"))["attempt"] == 3
    assert api.world.deeds.runs[failed["id"]] == 6
    done = await api.once(await api.ask("ping"), "done")
    assert refused(await api("POST", f"{done['links']['self']}/retry")) == (409, "job_not_retryable")


async def test_a_waiting_job_is_cancelled_at_once_and_never_runs(api: Api) -> None:
    job = await api.ask("note")
    cancelled = await api("POST", job["links"]["cancellation"])
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    assert refused(await api("POST", job["links"]["cancellation"])) == (409, "job_ended")
    api.world.start()
    await api.once(await api.ask("note"), "done")
    assert api.world.deeds.runs[job["id"]] == 0
    again = await api("POST", cancelled.json()["links"]["retry"])
    assert again.status_code == 202
    await api.once(job, "done")


async def test_a_running_job_shows_how_far_it_is_and_hears_that_it_is_cancelled(api: Api) -> None:
    api.world.start()
    job = await api.ask("wait", argument={"times": 3})
    await passed(api.world.deeds.begun)
    await api.world.once_it(UUID(job["id"]), lambda found: found.done == 3)
    running = (await api("GET", job["links"]["self"])).json()
    assert running["progress"] == {"done": 3, "total": 10, "note": "waiting"}
    asked = await api("POST", job["links"]["cancellation"])
    assert (asked.json()["state"], asked.json()["cancelling"]) == ("running", True)
    cancelled = await api.once(job, "cancelled")
    await passed(api.world.deeds.seen_stopped)
    assert (cancelled["cancelling"], cancelled["result"]) == (False, None)


async def test_two_jobs_with_one_unique_key_never_wait_or_run_together(api: Api) -> None:
    first = await api.ask("wait", unique_key="month-end")
    assert refused(await api("POST", "/v1/jobs", {"kind": "wait", "unique_key": "month-end"})) == (
        409,
        "job_already_queued",
    )
    await api.ask("note", unique_key="month-end")
    api.world.start()
    await passed(api.world.deeds.begun)
    assert refused(await api("POST", "/v1/jobs", {"kind": "wait", "unique_key": "month-end"}))[0] == 409
    api.world.deeds.go_on.set()
    await api.once(first, "done")
    await api.ask("wait", unique_key="month-end")


async def test_a_job_is_not_tried_again_while_another_has_its_unique_key(api: Api) -> None:
    api.world.start()
    failed = await api.once(await api.ask("refuse", unique_key="k"), "failed")
    await api.ask("refuse", unique_key="k", delay_s=60)
    assert refused(await api("POST", failed["links"]["retry"])) == (409, "job_already_queued")
    assert (await api.once(failed, "failed"))["attempt"] == 1


async def test_jobs_are_listed_to_those_who_may_see_them(api: Api) -> None:
    api.world.start()
    mine = [await api.ask("ping") for _ in range(5)]
    theirs = await api.ask("refuse", subject="somebody")
    for job in (*mine, theirs):
        await api.once(job, "done", "failed")
    listed: list[str] = []
    following = "/v1/jobs?limit=2"
    while following:
        page = (await api("GET", following)).json()
        listed += [one["id"] for one in page["items"]]
        following = page["links"].get("next")
    assert listed == [job["id"] for job in reversed(mine)]
    assert refused(await api("GET", theirs["links"]["self"])) == (404, "job_not_found")
    assert refused(await api("POST", f"{theirs['links']['self']}/cancellation")) == (404, "job_not_found")
    assert (await api("GET", "/v1/jobs?owner=somebody")).json()["items"] == []
    for query in ("state=failed", "kind=refuse", "owner=somebody", "owner=somebody&state=failed&kind=refuse"):
        found = (await api("GET", f"/v1/jobs?{query}", role="manager")).json()["items"]
        assert [one["id"] for one in found] == [theirs["id"]], query
    assert refused(await api("GET", "/v1/jobs?cursor=nonsense"))[1] == "cursor_invalid"


async def test_kinds_tell_what_they_want_to_know_to_those_who_may_ask_for_them(api: Api) -> None:
    kinds = {one["name"]: one for one in (await api("GET", "/v1/job-kinds")).json()["items"]}
    assert "manage" not in kinds
    assert kinds["ping"]["argument"]["properties"]["echo"]["maxLength"] == 200
    assert "manage" in {one["name"] for one in (await api("GET", "/v1/job-kinds", role="owner")).json()["items"]}
