"""Browsers let scripts of other origins call where the house names them, and nowhere else."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.unit import edge_world
from tests.unit.edge_world import FRAMEWORKS, KEY, Api

SHOP = "https://shop.example"
STRANGER = "https://shop.example.evil.example"


@pytest.fixture(scope="module", params=FRAMEWORKS)
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with edge_world.opened(tmp_path_factory.mktemp("cors"), request.param, origins=(SHOP,)) as opened:
        yield opened


def may_read(answer: httpx2.Response) -> bool:
    """Tell whether a browser would show this answer to a script of the shop."""
    return answer.headers.get("access-control-allow-origin") == SHOP


def preflight(api: Api, origin: str, *headers: str) -> httpx2.Response:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    if headers:
        asked["Access-Control-Request-Headers"] = ", ".join(headers)
    return api("OPTIONS", "/v1/things", role=None, headers=asked)


def test_a_script_of_a_known_origin_may_send_what_a_write_needs(api: Api) -> None:
    allowed = preflight(api, SHOP, "authorization", "content-type", "idempotency-key", "if-match")
    assert (allowed.status_code, may_read(allowed)) == (200, True)
    assert "POST" in allowed.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in allowed.headers
    assert allowed.headers["x-request-id"]


def test_it_may_read_what_comes_back_whatever_that_is(api: Api) -> None:
    origin = {"Origin": SHOP}
    made = api("POST", "/v1/things", json={"name": "tea"}, headers=KEY | origin)
    assert (made.status_code, may_read(made)) == (201, True)
    for wanted, answer in (
        (401, api("POST", "/v1/things", role=None, json={}, headers=KEY | origin)),
        (422, api("POST", "/v1/things", json={"nam": 1}, headers=KEY | origin)),
        (404, api("GET", "/v1/nothing", headers=origin)),
        (405, api("DELETE", "/v1/things", headers=origin)),
        (500, api("GET", "/v1/troubles/broken", headers=origin)),
    ):
        assert (answer.status_code, may_read(answer)) == (wanted, True), answer.text
    shown = {name.strip().lower() for name in made.headers["access-control-expose-headers"].split(",")}
    assert {"etag", "location", "retry-after", "x-request-id", "idempotency-replayed"} <= shown


def test_caches_keep_answers_for_different_origins_apart(api: Api) -> None:
    assert "origin" in api("GET", "/v1/nothing", headers={"Origin": SHOP}).headers["vary"].lower()


@pytest.mark.parametrize("origin", [STRANGER, "http://shop.example", "https://shop.example:8443", "null"])
def test_a_script_of_any_other_origin_may_not(api: Api, origin: str) -> None:
    refused = preflight(api, origin, "authorization")
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers
    assert "access-control-allow-origin" not in api("GET", "/v1/nothing", headers={"Origin": origin}).headers


def test_nobody_else_may_where_no_origin_is_named(tmp_path: Path) -> None:
    with edge_world.opened(tmp_path) as closed:
        asked = preflight(closed, SHOP)
        assert asked.status_code == 405
        assert "access-control-allow-origin" not in asked.headers
