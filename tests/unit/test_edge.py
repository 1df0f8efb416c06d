"""The edge: what a request must be, who may send it, and what comes back."""

import inspect
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from starlette.routing import Match
from starlette.types import Scope

from orderhouse.kernel.principal import ROLES, Role
from orderhouse.runtime.once import Answer
from orderhouse.runtime.tokens import SigningKeys, Verifier
from orderhouse.runtime.web.fastapi_edge import Edge, HouseRoute, Once, needs, open_to_all
from tests.unit import edge_world
from tests.unit.edge_world import FRAMEWORKS, KEY, LIMITS, THING, Api, MakeThing

TEA = {"name": "tea"}
_THING = UUID(THING)


@pytest.fixture(params=FRAMEWORKS)
def api(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Api]:
    with edge_world.opened(tmp_path, request.param) as opened:
        yield opened


@pytest.fixture(scope="module", params=FRAMEWORKS)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API for tests that leave nothing behind."""
    with edge_world.opened(tmp_path_factory.mktemp("shared"), request.param) as opened:
        yield opened


def code(answer: Any) -> str:
    """Return the code of a refusal that is told as every refusal is."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["title"]
    return str(problem["type"].removeprefix("/problems/"))


# Answers


def test_an_answer_is_what_the_endpoint_said_and_what_every_answer_carries(api: Api) -> None:
    made = api("POST", "/v1/things", json=TEA, headers=KEY)
    assert made.status_code == 201
    assert made.headers["location"].startswith("/things/")
    assert made.headers["content-length"] == str(len(made.content))
    assert made.headers["x-content-type-options"] == "nosniff"
    assert made.headers["cache-control"] == "no-store"
    assert made.headers["x-request-id"]
    assert "idempotency-replayed" not in made.headers


def test_what_the_caller_has_already_is_not_sent_again(shared: Api) -> None:
    got = shared("GET", f"/v1/things/{THING}")
    again = shared("GET", f"/v1/things/{THING}", headers={"If-None-Match": got.headers["etag"]})
    weakened = shared("GET", f"/v1/things/{THING}", headers={"If-None-Match": f"W/{got.headers['etag']}"})
    assert (got.status_code, again.status_code, weakened.status_code) == (200, 304, 304)
    assert again.content == b""
    assert again.headers["etag"] == got.headers["etag"]
    assert "content-type" not in again.headers


def test_head_is_get_without_the_body(shared: Api) -> None:
    got, head = shared("GET", f"/v1/things/{THING}"), shared("HEAD", f"/v1/things/{THING}")
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers["content-length"] == got.headers["content-length"]
    assert head.headers["etag"] == got.headers["etag"]


def test_a_query_comes_as_its_schema_has_it(shared: Api) -> None:
    assert shared("GET", "/v1/things").json() == [{"name": "10 None owner"}]
    assert shared("GET", "/v1/things?limit=3&from=caf%C3%A9", role="clerk").json() == [{"name": "3 café clerk"}]


# Who may


def test_without_a_token_nothing_is_done(api: Api) -> None:
    refused = api("POST", "/v1/things", json=TEA, headers=KEY, role=None)
    assert refused.status_code == 401
    assert code(refused) == "unauthenticated"
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert api.service.calls == 0


@pytest.mark.parametrize("said", ["", "Bearer", "Bearer ", "Basic bWU6bWU=", "bearer x", "Bearer a.b.c", "Token \xe9"])
def test_whatever_is_no_token_of_ours_is_refused(shared: Api, said: str) -> None:
    refused = shared("GET", "/v1/things", headers={"Authorization": said.encode("latin-1")})
    assert (refused.status_code, code(refused)) == (401, "unauthenticated")


def test_the_scheme_is_bearer_in_any_case(shared: Api) -> None:
    assert shared("GET", "/v1/things", headers={"Authorization": f"bEARER {shared.token('owner')}"}).status_code == 200


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_what_the_table_of_permissions_says(shared: Api, role: Role) -> None:
    answer = shared("POST", f"/v1/things/{THING}/retirement", role=role)
    if role in ("owner", "manager"):
        assert answer.status_code == 200
    else:
        assert (answer.status_code, code(answer)) == (403, "permission_missing")


def test_who_may_not_is_told_before_the_body_is_looked_at(shared: Api) -> None:
    refused = shared("POST", "/v1/things", content=b"{", headers=KEY, role=None)
    assert refused.status_code == 401


# Paths


@pytest.mark.parametrize(
    "thing",
    [
        "1",
        "tea",
        THING.replace("-", ""),
        f"{{{THING}}}",
        f"{THING}x",
        f"{THING[:-1]}x",
        "x" * 36,
        "{}",
        "%00",
        "é",
        "null",
    ],
)
def test_what_is_no_id_names_nothing(shared: Api, thing: str) -> None:
    refused = shared("GET", f"/v1/things/{thing}")
    assert (refused.status_code, code(refused)) == (404, "not_found")


def test_ids_may_be_written_in_capitals(shared: Api) -> None:
    assert shared("GET", f"/v1/things/{THING.upper()}").json() == {"name": THING}


def test_who_names_an_id_is_served_without_a_look_at_every_route(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    really_matches = HouseRoute.matches

    def matches(route: HouseRoute, scope: Scope) -> tuple[Match, Scope]:
        looked.append(route.path)
        return really_matches(route, scope)

    monkeypatch.setattr(HouseRoute, "matches", matches)
    with edge_world.opened(tmp_path, "fastapi") as opened:
        assert opened("GET", f"/v1/things/{THING}").json() == {"name": THING}
        assert looked == []
        assert opened("GET", "/v1/things/tea").status_code == 404
        assert looked != [], "the control: the router is asked after all"


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/things/", "/v2/things", "//evil.test/v1/things/", "/v1/things%2F"])
def test_an_unknown_path_is_not_found_and_never_redirected(shared: Api, path: str) -> None:
    refused = shared("GET", path)
    assert (refused.status_code, code(refused)) == (404, "path_unknown")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/things", "GET, HEAD, POST"),
        ("OPTIONS", "/v1/things", "GET, HEAD, POST"),
        ("PUT", f"/v1/things/{THING}", "GET, HEAD, PATCH"),
        ("HEAD", f"/v1/things/{THING}/retirement", "POST"),
        ("POST", "/health/liveness", "GET, HEAD"),
    ],
)
def test_a_method_nobody_takes_is_refused_with_all_that_are(shared: Api, method: str, path: str, allowed: str) -> None:
    refused = shared(method, path)
    assert refused.status_code == 405
    assert refused.headers["allow"] == allowed
    if method != "HEAD":
        assert code(refused) == "method_not_allowed"


# Bodies

NONSENSE = [
    b"",
    b" ",
    b"{",
    b"}",
    b'{"name": "tea"',
    b'{"name": "tea"}}',
    b'{"name": "tea"} {}',
    b'{"name": "tea",}',
    b"{'name': 'tea'}",
    b'{name: "tea"}',
    b'{"name": tea}',
    b'/* tea */ {"name": "tea"}',
    b'{"name": "tea"} // tea',
    b'\xef\xbb\xbf{"name": "tea"}',
    '{"name": "tea"}'.encode("utf-16"),
    b'{"name": "\xff"}',
    b'{"name": "\xed\xa0\x80"}',
    b'{"name": "\xc0\xaf"}',
    b'{"name": "\\ud800"}',
    b'{"name": "\\udc00"}',
    b'{"name": "\\ud800\\u0041"}',
    b'{"name": "\\x41"}',
    b'{"name": "a\nb"}',
    b'{"name": "\x00"}',
    b"\x00",
    b'{"name": "tea", "name": "tea"}',
    b'{"name": "tea", "anything": {"a": 1, "a": 1}}',
    b'{"name": "tea", "n\\u0061me": "coffee"}',
    b'{"name": "tea", "share": NaN}',
    b'{"name": "tea", "share": Infinity}',
    b'{"name": "tea", "share": -Infinity}',
    b'{"name": "tea", "share": +1}',
    b'{"name": "tea", "share": 01}',
    b'{"name": "tea", "share": .5}',
    b'{"name": "tea", "share": 5.}',
    b'{"name": "tea", "share": 0x10}',
    b'{"name": "tea", "anything": ' + b"9" * 21 + b"}",
    b'{"name": "tea", "anything": -0.' + b"1" * 21 + b"}",
    b'{"name": "tea", "anything": 1e' + b"1" * 21 + b"}",
    b'{"name": "tea", "anything": ' + b"9" * 4000 + b"}",
    b'{"name": "tea", "anything": ' + b"[" * 9 + b"]" * 9 + b"}",
    b'{"name": "tea", "anything": ' + b'{"a":' * 9 + b"1" + b"}" * 9 + b"}",
    b'{"name": "tea", "share": 1e999}',
    b'{"name": "tea", "share": -1e999}',
    b'{"name": "tea", "anything": [1e400]}',
    b"[" * 4000,
    b'{"a":' * 800,
    b'"' + b'\\"' * 2000,
    b"undefined",
    b"None",
    b"<thing/>",
    b"name=tea",
]

UNFIT = [
    b"null",
    b"true",
    b"1",
    b'"tea"',
    b"[]",
    b'[{"name": "tea"}]',
    b"{}",
    b'{"name": null}',
    b'{"name": 7}',
    b'{"name": true}',
    b'{"name": ["tea"]}',
    b'{"name": ""}',
    b'{"name": "\\u0000"}',
    b'{"name": "\\\\\\u0000"}',
    b'{"name": "tea", "anything": {"\\u0000": 1}}',
    b'{"name": "tea", "unknown": 1}',
    b'{"name": "tea", "__proto__": {}}',
    b'{"Name": "tea"}',
    b'{"name": "tea", "parts": {}}',
    b'{"name": "tea", "parts": [1]}',
    b'{"name": "tea", "parts": [{"sku": "A", "quantity": "1"}]}',
    b'{"name": "tea", "parts": [{"sku": "A", "quantity": 1.0}]}',
    b'{"name": "tea", "parts": [{"sku": "A", "quantity": 1e2}]}',
    b'{"name": "tea", "parts": [{"sku": "A", "quantity": true}]}',
    b'{"name": "tea", "parts": [{"sku": "A", "quantity": 99999999999999999999}]}',
    b'{"name": "tea", "parts": [{"sku": "A", "quantity": -1}]}',
    b'{"name": "tea", "share": "0.5"}',
    b'{"name": "tea", "owner": "me"}',
]


@pytest.mark.parametrize("body", NONSENSE)
def test_what_is_not_exactly_json_is_malformed(shared: Api, body: bytes) -> None:
    refused = shared.raw(body)
    assert (refused.status_code, code(refused)) == (400, "malformed")
    assert len(refused.content) < 600


@pytest.mark.parametrize("body", UNFIT)
def test_json_that_does_not_fit_is_invalid(shared: Api, body: bytes) -> None:
    refused = shared.raw(body)
    assert (refused.status_code, code(refused)) == (422, "request_invalid")


@pytest.mark.parametrize(
    "name",
    [
        "tea",
        "Ünïcødé",
        "\U0001f375",
        "a\tb",
        "\\u0000",
        '"',
        "\\",
        "\u2028",
        "\ufeff",
        "\x7f",
        "e\u0301",
        " tea ",
        "1" * 99,
    ],
)
def test_text_comes_back_to_the_byte(shared: Api, name: str) -> None:
    assert shared("POST", "/v1/things/echo", json={"name": name}).json()["name"] == name


def test_depth_and_digits_inside_text_are_text(shared: Api) -> None:
    said = {"name": "tea", "anything": ["[" * 40, "9" * 40, '\\"[', "{" * 40]}
    assert shared("POST", "/v1/things/echo", json=said).json()["anything"] == said["anything"]


def test_what_is_just_within_the_limits_is_taken(shared: Api) -> None:
    deep = b'{"name": "tea", "anything": ' + b"[" * 7 + b"]" * 7 + b"}"
    assert shared.raw(deep).status_code == 200
    assert shared.raw(b'{"name": "tea", "anything": ' + b"9" * 18 + b"}").status_code == 200
    assert shared.raw(b'{"name": "' + b"t" * 10 + b'"}' + b" " * (LIMITS.body_bytes - 22)).status_code == 200


@pytest.mark.parametrize(
    "media_type",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/jsonx",
        "application/xml",
        "application/json; charset=latin-1",
        "application/json; charset=utf-16",
        "application/json, text/plain",
    ],
)
def test_another_media_type_is_not_supported(shared: Api, media_type: str) -> None:
    refused = shared.raw(b'{"name": "tea"}', media_type)
    assert (refused.status_code, code(refused)) == (415, "media_type_unsupported")


@pytest.mark.parametrize(
    "media_type",
    ["application/json", "Application/JSON", "application/json; charset=utf-8", 'application/json;charset="UTF-8"'],
)
def test_json_may_say_that_it_is_utf8(shared: Api, media_type: str) -> None:
    assert shared.raw(b'{"name": "tea"}', media_type).status_code == 200


# Queries


@pytest.mark.parametrize(
    "query",
    [
        "unknown=1",
        "limit=1&limit=2",
        "limit=0",
        "limit=51",
        "limit=x",
        "limit=",
        "limit=1.5",
        "limit=1e1",
        "Limit=1",
        "since=a",
        "from=%00",
        "from=" + "a" * 21,
        "limit[]=1",
    ],
)
def test_a_query_that_does_not_fit_is_invalid(shared: Api, query: str) -> None:
    refused = shared("GET", f"/v1/things?{query}")
    assert (refused.status_code, code(refused)) == (422, "request_invalid")


@pytest.mark.parametrize("query", ["from=%ff", "from=%ed%a0%80", "&".join(f"a{n}=1" for n in range(60))])
def test_a_query_that_is_no_text_is_malformed(shared: Api, query: str) -> None:
    refused = shared("GET", f"/v1/things?{query}")
    assert (refused.status_code, code(refused)) == (400, "malformed")


# Once


def test_a_key_is_needed_where_the_route_says_so(api: Api) -> None:
    refused = api("POST", "/v1/things", json=TEA)
    assert (refused.status_code, code(refused)) == (400, "idempotency_key_missing")
    assert api.service.calls == 0


def test_elsewhere_a_key_may_be_given(api: Api) -> None:
    path = f"/v1/things/{THING}/retirement"
    assert [api("POST", path).status_code, api("POST", path).status_code] == [200, 200]
    first, second = api("POST", path, headers=KEY), api("POST", path, headers=KEY)
    assert second.headers["idempotency-replayed"] == "true"
    assert first.content == second.content


def test_the_same_request_hears_the_same_answer(api: Api) -> None:
    first, second = (api("POST", "/v1/things", json=TEA, headers=KEY) for _ in range(2))
    assert second.headers["idempotency-replayed"] == "true"
    for same in ("content", "status_code"):
        assert getattr(first, same) == getattr(second, same)
    assert first.headers["location"] == second.headers["location"]


def test_it_is_the_same_request_in_another_order_and_spacing_and_with_a_quoted_key(api: Api) -> None:
    bodies = [
        b'{"name":"tea","parts":[{"sku":"A","quantity":1}]}',
        b' {"parts": [{"quantity": 1, "sku": "A"}], "name": "te\\u0061"}',
    ]
    answers = [
        api("POST", "/v1/things", content=body, headers={"Content-Type": "application/json", "Idempotency-Key": key})
        for body, key in zip(bodies, ["k1", '"k1"'], strict=True)
    ]
    assert answers[0].content == answers[1].content
    assert answers[1].headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize("other", [{"name": "coffee"}, {"name": "tea", "share": 1.0}, {"name": "tea", "parts": []}])
def test_a_key_used_for_something_else_is_refused(api: Api, other: dict[str, Any]) -> None:
    api("POST", "/v1/things", json=TEA, headers=KEY)
    refused = api("POST", "/v1/things", json=other, headers=KEY)
    assert (refused.status_code, code(refused)) == (422, "idempotency_key_reused")


def test_a_key_is_for_one_thing_in_the_path(api: Api) -> None:
    api("POST", f"/v1/things/{THING}/retirement", headers=KEY)
    refused = api("POST", f"/v1/things/{THING[:-1]}1/retirement", headers=KEY)
    assert (refused.status_code, code(refused)) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(
    "key", ["", " ", '"', '""', '"a', 'a"b"é', "é", "a\x7f", "x" * 256, f'"{"x" * 256}"', '"a\\b"', "a\tb"]
)
def test_what_is_no_key_is_refused(shared: Api, key: str) -> None:
    refused = shared("POST", "/v1/things", json=TEA, headers={"Idempotency-Key": key.encode("latin-1")})
    assert (refused.status_code, code(refused)) == (400, "idempotency_key_invalid")


@pytest.mark.parametrize(
    "key", ["a", "x" * 255, f'"{"x" * 255}"', "a b", 'a"b', "a\\b", '"a\\"b"', '"a b"', "8e03978e-40d5"]
)
def test_any_printable_ascii_is_a_key(api: Api, key: str) -> None:
    assert api("POST", "/v1/things", json=TEA, headers={"Idempotency-Key": key}).status_code == 201


def test_an_integer_of_any_size_can_be_repeated(api: Api) -> None:
    said = {"name": "tea", "anything": 99_999_999_999_999_999_999}
    answers = [api("POST", "/v1/things", json=said, headers=KEY) for _ in range(2)]
    assert answers[0].content == answers[1].content


def test_a_refused_request_leaves_its_key_free(api: Api) -> None:
    assert code(api("POST", "/v1/things", json={"name": "ugly"}, headers=KEY)) == "name_ugly"
    assert api("POST", "/v1/things", json=TEA, headers=KEY).status_code == 201


# Versions


def test_a_change_needs_the_version_it_is_of(shared: Api) -> None:
    refused = shared("PATCH", f"/v1/things/{THING}", json=TEA)
    assert (refused.status_code, code(refused)) == (428, "if_match_missing")
    assert shared("PATCH", f"/v1/things/{THING}", json=TEA, headers={"If-Match": '"1"'}).status_code == 200


@pytest.mark.parametrize("tag", ["", "1", "'1'", '"1', '1"', '"1" "2"', '"1",', "{}", '"a b"', 'w/"1"'])
def test_what_is_no_tag_is_malformed(shared: Api, tag: str) -> None:
    for method, path in (("PATCH", f"/v1/things/{THING}"), ("POST", f"/v1/things/{THING}/retirement")):
        refused = shared(method, path, json=TEA, headers={"If-Match": tag})
        assert (refused.status_code, code(refused)) == (400, "malformed")


@pytest.mark.parametrize("tag", ['"2"', 'W/"1"', "*", '"1", "2"', '"x"', '"01234567890"', '"é"'.encode("latin-1")])
def test_a_tag_that_is_not_of_the_present_version_is_stale(shared: Api, tag: str | bytes) -> None:
    for method, path in (("PATCH", f"/v1/things/{THING}"), ("POST", f"/v1/things/{THING}/retirement")):
        refused = shared(method, path, json=TEA, headers={"If-Match": tag})
        assert (refused.status_code, code(refused)) == (412, "stale")


# Headers that decide


@pytest.mark.parametrize("name", ["Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match"])
def test_a_header_that_decides_may_come_once(api: Api, name: str) -> None:
    headers = {"Authorization": f"Bearer {api.token('owner')}", "Content-Type": "application/json", **KEY}
    twice = [*headers.items(), (name, headers.get(name, '"1"')), (name, headers.get(name, '"1"'))]
    refused = api("POST", "/v1/things", content=b'{"name": "tea"}', headers=twice)
    assert (refused.status_code, code(refused)) == (400, "malformed")
    assert api.service.calls == 0


# Routes that cannot be made


def edge(tmp_path: Path) -> Edge:
    return Edge(Verifier(SigningKeys.made(tmp_path).jwks()), LIMITS)


async def _unannotated(thing) -> Answer:  # type: ignore[no-untyped-def]
    raise NotImplementedError


async def _number(size: int) -> Answer:
    raise NotImplementedError


async def _two_bodies(one: MakeThing, other: MakeThing) -> Answer:
    raise NotImplementedError


async def _default(thing_id: UUID = _THING) -> Answer:
    raise NotImplementedError


async def _foreign_id(other_id: UUID, thing_id: UUID) -> Answer:
    raise NotImplementedError


async def _nothing() -> Answer:
    raise NotImplementedError


async def _once(thing_id: UUID, once: Once) -> Answer:
    raise NotImplementedError


def _synchronous(thing_id: UUID) -> Answer:
    raise NotImplementedError


@pytest.mark.parametrize(
    "endpoint", [_unannotated, _number, _two_bodies, _default, _foreign_id, _nothing, _once, _synchronous]
)
def test_a_route_that_asks_for_what_the_edge_does_not_give_cannot_be_made(
    tmp_path: Path, endpoint: Callable[..., Awaitable[Answer]]
) -> None:
    router = edge(tmp_path).router("/v1", "things")
    with pytest.raises(TypeError, match=r"POST /v1/\{thing_id\}"):
        router.post("/{thing_id}", **needs("orders:read"))(endpoint)


def test_a_route_without_a_permission_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="_nothing names no permission"):
        edge(tmp_path).router("/v1", "things").get("")(_nothing)


def test_a_permission_nobody_defined_cannot_be_needed() -> None:
    with pytest.raises(LookupError, match="orders:everything"):
        needs("orders:everything")


def test_openness_has_a_reason() -> None:
    assert inspect.signature(open_to_all).parameters["reason"].default is inspect.Parameter.empty


def test_a_router_that_was_included_is_run_by_the_edge_too(api: Api) -> None:
    """FastAPI runs an included route by a handler of its own: the first such route here was open to all."""
    inner = Edge(Verifier(api.keys.jwks()), LIMITS).router("/inner", "inner")
    inner.get("", **needs("orders:assign"))(_nothing)
    api.app.include_router(inner, prefix="/outer")
    assert api("GET", "/outer/inner", role=None).status_code == 401
    assert api("GET", "/outer/inner", role="clerk").status_code == 403
    assert api("POST", "/outer/inner").headers["allow"] == "GET, HEAD"
