"""The same nonsense is sent to a context in FastAPI and to the ones in Flask: nobody can tell which is which."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from orderhouse.kernel.ids import new_id
from tests.installation import Installation
from tests.integration.orders_world import House, opened
from tests.unit.test_edge import NONSENSE, UNFIT

pytestmark = pytest.mark.anyio

LISTS = {"/v1/users": "flask", "/v1/invitations": "flask", "/v1/teams": "flask", "/v1/roles": "flask"}
MODEL = "/v1/customers"
"""The context in FastAPI that the others are held against."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with opened(Installation(tmp_path_factory.mktemp("house") / "data")) as running:
        yield running


def seen(answer: httpx2.Response) -> tuple[Any, ...]:
    """Return what a caller could tell frameworks apart by."""
    told = answer.json() if answer.content else {}
    shape = sorted(told) if isinstance(told, dict) else type(told).__name__
    errors = sorted(told["errors"][0]) if isinstance(told, dict) and told.get("errors") else None
    said = told.get("type") if answer.status_code >= 400 else None
    headers = {name for name in answer.headers if name not in ("content-length", "location", "etag")}
    return answer.status_code, answer.headers.get("content-type"), said, shape, errors, sorted(headers)


async def both(house: House, path: str, method: str, suffix: str = "", **more: Any) -> tuple[Any, Any]:
    headers = {**house.bearer("owner"), "Idempotency-Key": str(new_id()), **more.pop("headers", {})}
    headers = {name: value for name, value in headers.items() if value is not None}
    return tuple(
        [seen(await house.client.request(method, one + suffix, headers=headers, **more)) for one in (path, MODEL)]
    )  # type: ignore[return-value]  # two of them


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("body", [*NONSENSE, b"null", b"[]", b"7", b"{}", b'{"unknown": 1}', b'{"name": "\\u0000"}'])
async def test_a_body_that_is_nonsense_is_refused_alike(house: House, path: str, body: bytes) -> None:
    here, there = await both(house, path, "POST", content=body, headers={"Content-Type": "application/json"})
    assert here == there


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": None},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Basic bWU6bWU="},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Idempotency-Key": ""},
        {"Idempotency-Key": "x" * 256},
        {"Idempotency-Key": None},
        {"Content-Length": "99999999"},
        {"X-Request-Id": "a b"},
        {f"X-{n}": "1" for n in range(120)},
        {"X-Large": "x" * 40_000},
    ],
    ids=lambda headers: str(headers)[:40],
)
async def test_a_header_that_is_nonsense_is_refused_alike(house: House, path: str, headers: dict[str, Any]) -> None:
    here, there = await both(
        house, path, "POST", content=b"{}", headers={"Content-Type": "application/json", **headers}
    )
    assert here == there


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "query",
    [
        "?unknown=1",
        "?limit=0",
        "?limit=x",
        "?limit=1&limit=2",
        "?cursor=nonsense",
        "?cursor=%00",
        "?cursor=%ff",
        "?a=%",
    ],
)
async def test_a_query_that_is_nonsense_is_refused_alike(house: House, path: str, query: str) -> None:
    here, there = await both(house, path, "GET", query)
    assert here[0] in (400, 422)
    assert (here[:3], here[5]) == (there[:3], there[5])


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(("method", "suffix"), [("OPTIONS", ""), ("GET", "/"), ("GET", "//x"), ("GET", "/not-an-id")])
async def test_a_path_that_is_nonsense_is_refused_alike(house: House, path: str, method: str, suffix: str) -> None:
    here, there = await both(house, path, method, suffix)
    assert here == there


@pytest.mark.parametrize("path", ["/v1/users", "/v1/teams"])
@pytest.mark.parametrize("tag", [None, "", "1", '"1', "*", '"999"'])
async def test_a_version_that_is_nonsense_is_refused_alike(house: House, path: str, tag: str | None) -> None:
    here, there = await both(house, path, "PATCH", f"/{new_id()}", json={"name": "x"}, headers={"If-Match": tag})
    assert here[:2] == there[:2]
    # Only that there is no such thing has a name of the context's own.
    assert (here[2] == there[2]) == (here[0] != 404)


async def test_unfit_bodies_are_refused_by_name_and_never_taken(house: House) -> None:
    for path in LISTS:
        before = (await house("GET", path, role="owner")).json()["items"]
        for body in UNFIT:
            headers = {**house.bearer("owner"), "Idempotency-Key": str(new_id()), "Content-Type": "application/json"}
            answer = await house.client.post(path, content=body, headers=headers)
            assert answer.status_code == 422, (path, body)
        assert (await house("GET", path, role="owner")).json()["items"] == before
