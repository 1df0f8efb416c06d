"""What is Flask's own about a context in Flask; all else is tested on both frameworks, in test_edge and test_limits."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import flask
import httpx2
import pytest
import structlog
from fastapi import FastAPI
from flask import Blueprint, Response
from pydantic import BaseModel

from orderhouse.kernel.errors import Unavailable
from orderhouse.kernel.principal import Principal
from orderhouse.runtime import blocking, telemetry
from orderhouse.runtime.blocking import Bridge
from orderhouse.runtime.once import Answer
from orderhouse.runtime.tokens import SigningKeys, Verifier
from orderhouse.runtime.web import flask_routes
from orderhouse.runtime.web.answers import json_answer
from orderhouse.runtime.web.fastapi_edge import Edge
from orderhouse.runtime.web.flask_edge import body, form, needs, open_to_all, read, write
from orderhouse.runtime.web.front import Front
from tests.integration import things
from tests.unit.edge_world import LIMITS, MakeThing, Service

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Grant(BaseModel):
    """A form."""

    grant_type: str


class Asking:
    """Sends requests to a blueprint's views, many at once if need be."""

    def __init__(self, runner: asyncio.Runner, front: Front) -> None:
        self.runner = runner
        self._front = front

    def __call__(self, method: str, path: str, **more: Any) -> httpx2.Response:
        return self.runner.run(self.sent(method, path, **more))

    async def sent(self, method: str, path: str, **more: Any) -> httpx2.Response:
        transport = httpx2.ASGITransport(app=self._front, raise_app_exceptions=False)
        async with httpx2.AsyncClient(transport=transport, base_url="http://things.test") as client:
            return await client.request(method, path, **more)


@contextmanager
def asked(blueprint: Blueprint, folder: Path, **more: int) -> Iterator[Asking]:
    things.create(folder / "things.sqlite3")
    verifier = Verifier(SigningKeys.made(folder / "keys").jwks())
    with asyncio.Runner() as runner:
        opening = things.opened(folder / "things.sqlite3")
        database = runner.run(opening.__aenter__())
        app = FastAPI()
        made = flask_routes.made("things", [blueprint])
        routes = flask_routes.routes(made, Edge(verifier, LIMITS, database), Bridge(), **more)
        app.router.routes.extend(routes.routes)
        try:
            yield Asking(runner, Front(app, LIMITS))
        finally:
            runner.run(opening.__aexit__(None, None, None))


@pytest.fixture
def blueprint() -> Blueprint:
    return Blueprint("views", __name__, url_prefix="/v1/views")


def routes_of(blueprint: Blueprint, folder: Path) -> None:
    edge = Edge(Verifier(SigningKeys.made(folder).jwks()), LIMITS)
    flask_routes.routes(flask_routes.made("views", [blueprint]), edge, Bridge())


def test_a_view_without_a_permission_cannot_be_made(blueprint: Blueprint, tmp_path: Path) -> None:
    @blueprint.get("")
    def look() -> str:
        return ""

    with pytest.raises(TypeError, match="look names no permission"):
        routes_of(blueprint, tmp_path)


def test_a_path_holds_ids_and_words_only(blueprint: Blueprint, tmp_path: Path) -> None:
    @blueprint.get("/<float:size>")
    @open_to_all("a test")
    def look(size: float) -> Answer:
        raise NotImplementedError

    with pytest.raises(TypeError, match="knows no float"):
        routes_of(blueprint, tmp_path)


def test_a_view_that_writes_once_has_a_database(blueprint: Blueprint, tmp_path: Path) -> None:
    @blueprint.post("")
    @needs("orders:place", key=True)
    def look() -> Answer:
        raise NotImplementedError

    with pytest.raises(TypeError, match="has a database"):
        routes_of(blueprint, tmp_path)


def test_what_a_view_did_not_declare_it_is_not_given(blueprint: Blueprint, tmp_path: Path) -> None:
    @blueprint.post("")
    @open_to_all("a test")
    def look() -> Answer:
        return json_answer(body(MakeThing).name)

    with asked(blueprint, tmp_path) as ask, structlog.testing.capture_logs() as lines:
        assert ask("POST", "/v1/views", json={"name": "tea"}).status_code == 500
    assert lines[0]["event"] == "request_failed"


def test_what_flask_refuses_is_a_problem_like_any_other(blueprint: Blueprint, tmp_path: Path) -> None:
    @blueprint.get("/<int_or_so>")
    @open_to_all("a test")
    def look(int_or_so: str) -> Answer:
        flask.abort(int(int_or_so))

    with asked(blueprint, tmp_path) as ask:
        for status, told in ((418, 400), (400, 400), (500, 500), (503, 500)):
            answer = ask("GET", f"/v1/views/{status}")
            assert answer.status_code == told
            assert answer.headers["content-type"] == "application/problem+json"


def test_a_form_is_read_within_the_limits(blueprint: Blueprint, tmp_path: Path) -> None:
    @blueprint.post("")
    @open_to_all("a standard makes it a form", form=Grant)
    def grant() -> Response:
        return Response(flask.request.form["grant_type"], content_type="text/plain")

    with asked(blueprint, tmp_path) as ask:
        good = ask("POST", "/v1/views", data={"grant_type": "password é"})
        assert (good.status_code, good.text) == (200, "password é")
        assert ask("POST", "/v1/views", json={"grant_type": "password"}).status_code == 415
        assert ask("POST", "/v1/views", data={"grant_type": "x" * LIMITS.body_bytes}).status_code == 413
        assert ask("POST", "/v1/views", data={}).status_code == 415
        assert ask("POST", "/v1/views", data={"grant": "x"}).status_code == 400


def test_a_form_is_validated_and_what_it_does_not_know_ignored(blueprint: Blueprint, tmp_path: Path) -> None:
    @blueprint.post("")
    @open_to_all("a standard makes it a form", form=Grant)
    def grant() -> Answer:
        return json_answer(form(Grant).grant_type)

    with asked(blueprint, tmp_path) as ask:
        for good in (b"grant_type=password+%C3%A9", b"a=1&grant_type=password+%C3%A9&a=2"):
            answer = ask("POST", "/v1/views", content=good, headers=FORM)
            assert (answer.status_code, answer.json()) == (200, "password é")
        for bad, status in ((b"grant_type=a&grant_type=a", 422), (b"a=b", 422), (b"grant_type=%FF", 400)):
            assert ask("POST", "/v1/views", content=bad, headers=FORM).status_code == status


def test_a_query_nobody_asked_for_may_hold_any_bytes(blueprint: Blueprint, tmp_path: Path) -> None:
    @blueprint.get("")
    @open_to_all("a test")
    def look() -> Answer:
        return json_answer(flask.request.args["a"])

    with asked(blueprint, tmp_path) as ask:
        assert ask("GET", "/v1/views?a=%C3%A9%20+b").json() == "é  b"


def test_who_has_no_token_may_be_given_a_part_in_writing(blueprint: Blueprint, tmp_path: Path) -> None:
    service = Service()

    @blueprint.post("")
    @open_to_all("a test", body=MakeThing)
    def join() -> Answer:
        return write(service.make, body(MakeThing), answer=things.told, by=Principal("guest", "service"))

    @blueprint.get("")
    @open_to_all("a test")
    def look() -> Answer:
        found = read(lambda reading: reading.rows("SELECT actor, request_id FROM facts"))
        kept = read(lambda reading: reading.rows("SELECT count(*) FROM answers"))
        return json_answer([found, kept])

    with asked(blueprint, tmp_path) as ask:
        headers = {"Idempotency-Key": "k", "X-Request-Id": "r1"}
        assert ask("POST", "/v1/views", json={"name": "tea"}, headers=headers).status_code == 201
        assert ask("POST", "/v1/views", json={"name": "tea"}, headers=headers).status_code == 409
        assert ask("GET", "/v1/views").json() == [[["guest", "r1"]], [[0]]]


def test_a_view_that_blocks_holds_up_nobody_and_more_than_can_wait_are_refused(
    blueprint: Blueprint, tmp_path: Path
) -> None:
    began, go_on = threading.Semaphore(0), threading.Event()

    @blueprint.get("/slow")
    @open_to_all("a test")
    def be_slow() -> Answer:
        began.release()
        assert go_on.wait(10)
        return json_answer("slow")

    @blueprint.get("/quick")
    @open_to_all("a test")
    def be_quick() -> Answer:
        return json_answer("quick")

    async def many(ask: Asking) -> None:
        slow = asyncio.create_task(ask.sent("GET", "/v1/views/slow"))
        await asyncio.to_thread(began.acquire, timeout=10)
        assert (await ask.sent("GET", "/v1/views/quick")).json() == "quick"
        waiting = [asyncio.create_task(ask.sent("GET", "/v1/views/slow")) for _ in range(2)]
        await asyncio.to_thread(began.acquire, timeout=10)
        refused = await ask.sent("GET", "/v1/views/quick")
        assert (refused.status_code, refused.json()["type"]) == (503, "/problems/threads_busy")
        assert refused.headers["retry-after"]
        go_on.set()
        assert [(await one).status_code for one in (slow, *waiting)] == [200] * 3
        assert (await ask.sent("GET", "/v1/views/quick")).status_code == 200

    with asked(blueprint, tmp_path, threads=2, waiting=1) as ask:
        ask.runner.run(many(ask))


def test_a_line_logged_in_a_view_knows_its_request(blueprint: Blueprint, tmp_path: Path) -> None:
    @blueprint.get("")
    @open_to_all("a test")
    def look() -> Answer:
        event: dict[str, Any] = {}
        return json_answer(telemetry._with_request(None, "", event)["request_id"])

    with asked(blueprint, tmp_path) as ask:
        assert ask("GET", "/v1/views", headers={"X-Request-Id": "r7"}).json() == "r7"


# The way into the loop


async def _seven() -> int:
    return 7


async def _too_late() -> int:
    raise TimeoutError("the database")


def test_before_a_loop_runs_and_after_it_ended_nothing_can_be_asked() -> None:
    bridge = Bridge()
    with pytest.raises(Unavailable):
        bridge(_seven())

    async def serve() -> int:
        bridge.enter()
        return await asyncio.to_thread(bridge, _seven())

    assert asyncio.run(serve()) == 7
    with pytest.raises(Unavailable):
        bridge(_seven())


def test_what_was_asked_raises_here_and_a_loop_that_stopped_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocking, "_LONGEST_S", 0.05)
    bridge = Bridge()

    async def serve() -> None:
        bridge.enter()
        with pytest.raises(TimeoutError, match="the database"):
            await asyncio.to_thread(bridge, _too_late())
        with pytest.raises(Unavailable):
            await asyncio.to_thread(bridge, asyncio.Event().wait())

    asyncio.run(serve())
