"""Refusals as problems."""

import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from orderhouse.kernel import errors
from orderhouse.kernel.errors import Refusal
from orderhouse.runtime.once import KeyReused
from orderhouse.runtime.web import problems, refusals
from tests.unit import edge_world
from tests.unit.edge_world import Api, MakeThing

ALL = problems.catalogue()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with edge_world.opened(tmp_path_factory.mktemp("problems")) as opened:
        yield opened


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.Invalid, 422),
        (errors.Forbidden, 403),
        (errors.NotFound, 404),
        (errors.Conflict, 409),
        (errors.Stale, 412),
        (errors.Unavailable, 503),
        (KeyReused, 422),
        (refusals.Malformed, 400),
        (errors.Unauthenticated, 401),
        (errors.TooMany, 429),
        (refusals.MatchMissing, 428),
        (refusals.BodyTooLarge, 413),
    ],
)
def test_one_table_turns_kinds_into_statuses(kind: type[Refusal], status: int) -> None:
    assert problems.status_of(kind) == status


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.code)
def test_every_refusal_can_be_told(kind: type[Refusal]) -> None:
    told = orjson.loads(problems.body_of(kind(), "r1", "/v1/things"))
    assert re.fullmatch(r"/problems/[a-z][a-z0-9_]*", told["type"])
    assert told["title"].endswith(".")
    assert 400 <= told["status"] < 600
    assert told["request_id"] == "r1"


def test_no_two_refusals_have_the_same_code() -> None:
    def below(kind: type[Refusal]) -> Iterator[type[Refusal]]:
        for child in kind.__subclasses__():
            yield child
            yield from below(child)

    ours = {kind for kind in below(Refusal) if kind.__module__.startswith("orderhouse.")}
    codes = [kind.code for kind in ours]
    assert sorted(codes) == sorted(set(codes))


def test_a_refusal_tells_its_detail_and_whatever_more_it_has(api: Api) -> None:
    told = api("GET", "/v1/troubles/told", headers={"X-Request-Id": "r1"}).json()
    assert told == {
        "type": "/problems/secret",
        "title": "A refusal that carries more members.",
        "status": 409,
        "detail": "This one.",
        "allowed": ["a", "b"],
        "instance": "/v1/troubles/told",
        "request_id": "r1",
    }


# What does not fit a schema


def found(api: Api, body: Any) -> dict[str, str]:
    refused = api("POST", "/v1/things/echo", json=body)
    assert refused.status_code == 422
    return {one["pointer"]: one["detail"] for one in refused.json()["errors"]}


def test_each_place_that_does_not_fit_is_pointed_at(api: Api) -> None:
    part = {"sku": "A", "quantity": 0}
    places = found(api, {"name": "", "parts": [{"sku": "B", "quantity": 1}, part], "a/b~c": 1})
    assert set(places) == {"/name", "/parts/1/quantity", "/a~1b~0c"}
    assert places["/parts/1/quantity"] == "Input should be greater than or equal to 1"


def test_a_body_that_is_another_thing_altogether_is_pointed_at_as_a_whole(api: Api) -> None:
    assert set(found(api, ["tea"])) == {""}


def test_a_parameter_is_pointed_at_by_the_name_it_was_sent_under(api: Api) -> None:
    refused = api("GET", f"/v1/things?limit=0&from={'a' * 21}")
    assert {one["pointer"] for one in refused.json()["errors"]} == {"?limit", "?from"}


def test_values_are_never_said_back(api: Api) -> None:
    secret = "hunter2"
    bodies: list[Any] = [
        {"name": 7, "share": secret},
        {"name": {"password": secret}},
        {"name": "tea", "owner": secret},
        {"name": "tea", "parts": [{"sku": "a\x01" + secret, "quantity": secret}]},
        [secret],
        secret,
    ]
    for body in bodies:
        assert secret not in api("POST", "/v1/things/echo", json=body).text
    assert secret not in api("GET", f"/v1/things?limit={secret}").text


def test_an_answer_does_not_grow_with_the_mistakes(api: Api) -> None:
    many = api("POST", "/v1/things/echo", json={f"{'x' * 90}{n}": 1 for n in range(35)})
    assert len(many.json()["errors"]) == 20
    long = api("POST", "/v1/things/echo", json={"name": "tea", "x" * 3000: 1})
    assert len(long.content) < 600
    twice = api.raw(b'{"%b": 1, "%b": 2}' % (b"x" * 1500, b"x" * 1500))
    assert len(twice.content) < 600


def test_what_pydantic_would_quote_is_not_quoted() -> None:
    class Shape(BaseModel):
        model_config = ConfigDict(extra="forbid")
        thing: MakeThing

    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Shape).validate_python({"thing": {"name": "tea", "owner": "zq-hunter2"}})
    assert "zq" not in str(problems.of_validation(caught.value).more)


# What they mean


def test_what_a_problem_means_can_be_looked_up_by_anyone(api: Api) -> None:
    listed = api("GET", "/problems", role=None).json()["items"]
    assert {"request_invalid", "unauthenticated"} <= {kind["code"] for kind in listed}
    refused = api("GET", "/v1/things", role=None).json()
    meaning = api("GET", refused["type"], role=None).json()
    assert meaning == {"code": "unauthenticated", "title": refused["title"], "status": 401}
    assert api("GET", "/problems/nonsense", role=None).status_code == 404
