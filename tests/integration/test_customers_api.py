"""Customers over HTTP, on both databases: what the caller hears, in success and in every refusal."""

from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from orderhouse.kernel.principal import Role
from orderhouse.runtime.database.database import Place
from tests.integration.customers_world import served, together

pytestmark = [pytest.mark.anyio, pytest.mark.context("customers")]


# What the edge decides before a database is asked, it decides alike on both.
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


def told(answer: httpx2.Response) -> tuple[int, str]:
    """Return a problem's status and code; whatever is no problem fails."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, problem["type"].removeprefix("/problems/")


async def test_a_customer_is_added_and_found_where_it_is_said_to_be(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        wanted = {"name": "Ada's Tea Room", "email": "Ada@Example.com", "external_id": "7", "country": "United Kingdom"}
        answer = await api("POST", "/v1/customers", wanted)
        made = answer.json()
        assert (answer.status_code, answer.headers["etag"]) == (201, '"1"')
        assert {name: made[name] for name in wanted} == wanted
        assert (made["active"], made["version"], made["source"]) == (True, 1, "api")
        assert made["created_at"] == made["updated_at"]
        found = await api("GET", answer.headers["location"])
        assert (found.status_code, found.headers["etag"], found.json()) == (200, '"1"', made)


async def test_a_customer_leads_to_its_orders_and_to_what_may_be_done_next(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        made = await api.add()
        path = f"/v1/customers/{made['id']}"
        orders = f"/v1/orders?customer={made['id']}"
        assert made["links"] == {"self": path, "orders": orders, "deactivation": f"{path}/deactivation"}
        inactive = (await api("POST", made["links"]["deactivation"])).json()
        assert inactive["links"] == {"self": path, "orders": orders, "reactivation": f"{path}/reactivation"}
        assert (await api("POST", inactive["links"]["reactivation"])).json()["active"]
        seen = (await api("GET", path, role="analyst")).json()
        assert seen["links"] == {"self": path, "orders": orders}


async def test_a_request_sent_again_hears_the_same_and_adds_nobody(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        key = {"Idempotency-Key": "k1"}
        first = await api("POST", "/v1/customers", {"name": "Ada"}, headers=key)
        again = await api("POST", "/v1/customers", {"name": "Ada"}, headers=key)
        other = await api("POST", "/v1/customers", {"name": "Ben"}, headers=key)
        assert (first.content, first.headers["location"]) == (again.content, again.headers["location"])
        assert again.headers["idempotency-replayed"] == "true"
        assert told(other) == (422, "idempotency_key_reused")
        assert len((await api("GET", "/v1/customers")).json()["items"]) == 1


async def test_one_key_raced_adds_one_customer(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        answers = await together(
            20, lambda _: api("POST", "/v1/customers", {"name": "Ada"}, headers={"Idempotency-Key": "k"})
        )
        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.content for answer in answers}) == 1


async def test_adding_needs_a_key(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        answer = await api("POST", "/v1/customers", {"name": "Ada"}, headers={"Idempotency-Key": ""})
        assert answer.status_code == 400
        assert (await api("GET", "/v1/customers")).json()["items"] == []


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [("email", "ADA@example.COM", "email_taken"), ("external_id", "7", "external_id_taken")],
)
async def test_what_another_customer_has_is_taken(
    place: Place, tmp_path: Path, field: str, value: str, code: str
) -> None:
    async with served(place, tmp_path) as api:
        await api.add(email="ada@example.com", external_id="7")
        refused = await api("POST", "/v1/customers", {"name": "Ben", field: value})
        assert told(refused) == (409, code)
        assert len((await api("GET", "/v1/customers")).json()["items"]) == 1


@on_sqlite
@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": None}, "/name"),
        ({"name": ""}, "/name"),
        ({"name": "a\nb"}, "/name"),
        ({"name": 7}, "/name"),
        ({"name": "Ada", "email": "nobody"}, "/email"),
        ({"name": "Ada", "active": False}, "/active"),
        ({"name": "Ada", "id": "x"}, "/id"),
    ],
)
async def test_what_does_not_fit_is_refused_and_said_where(
    place: Place, tmp_path: Path, body: dict[str, Any], pointer: str
) -> None:
    async with served(place, tmp_path) as api:
        refused = await api("POST", "/v1/customers", body)
        assert told(refused) == (422, "request_invalid")
        assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]


async def test_a_change_needs_the_version_last_seen(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        made = await api.add(email="ada@example.com", country="GB")
        path = made["links"]["self"]
        assert told(await api("PATCH", path, {"name": "B"})) == (428, "if_match_missing")
        changed = await api("PATCH", path, {"name": "Ada L", "email": None}, headers={"If-Match": '"1"'})
        assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
        body = changed.json()
        assert (body["name"], body["email"], body["country"], body["version"]) == ("Ada L", None, "GB", 2)
        stale = await api("PATCH", path, {"name": "Late"}, headers={"If-Match": '"1"'})
        assert told(stale) == (412, "customer_changed")
        assert stale.json()["current"] == 2
        assert (await api("GET", path)).json() == body


@on_sqlite
@pytest.mark.parametrize("body", [{"name": None}, {"external_id": "8"}, {"version": 2}, {"active": False}, [], None])
async def test_what_cannot_be_changed_is_refused(place: Place, tmp_path: Path, body: Any) -> None:
    async with served(place, tmp_path) as api:
        made = await api.add()
        refused = await api("PATCH", made["links"]["self"], body, headers={"If-Match": '"1"'})
        assert refused.status_code in (400, 415, 422)
        assert (await api("GET", made["links"]["self"])).json() == made


async def test_what_is_still_the_same_is_not_sent_again(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        path = (await api.add())["links"]["self"]
        unchanged = await api("GET", path, headers={"If-None-Match": '"1"'})
        assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", '"1"')
        await api("POST", f"{path}/deactivation")
        assert (await api("GET", path, headers={"If-None-Match": '"1"'})).status_code == 200


async def test_inactive_once_and_active_once(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        path = (await api.add())["links"]["self"]
        assert told(await api("POST", f"{path}/reactivation")) == (409, "already_active")
        stale = await api("POST", f"{path}/deactivation", headers={"If-Match": '"9"'})
        assert told(stale) == (412, "customer_changed")
        inactive = await api("POST", f"{path}/deactivation", headers={"If-Match": '"1"'})
        assert (inactive.status_code, inactive.json()["active"], inactive.headers["etag"]) == (200, False, '"2"')
        assert told(await api("POST", f"{path}/deactivation")) == (409, "already_inactive")
        assert (await api("POST", f"{path}/reactivation")).json()["version"] == 3


@pytest.mark.parametrize("customer", ["0197f0e2-7b7a-7c3a-9f52-6f1d2b3c4d5e", "7", "null", "%00"])
async def test_nobody_is_found_where_nobody_is(place: Place, tmp_path: Path, customer: str) -> None:
    async with served(place, tmp_path) as api:
        path = f"/v1/customers/{customer}"
        answers = [
            await api("GET", path),
            await api("PATCH", path, {"name": "Ada"}, headers={"If-Match": '"1"'}),
            await api("POST", f"{path}/deactivation"),
            await api("POST", f"{path}/reactivation"),
        ]
        assert [answer.status_code for answer in answers] == [404] * 4


async def test_a_customer_sees_itself_and_writes_nothing(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        ada, ben = await api.add("Ada"), await api.add("Ben")
        me: dict[str, Any] = {"role": "customer", "customer": UUID(ada["id"])}
        assert (await api("GET", ada["links"]["self"], **me)).status_code == 200
        assert told(await api("GET", ben["links"]["self"], **me)) == (404, "customer_not_found")
        page = (await api("GET", "/v1/customers", **me)).json()
        assert [item["id"] for item in page["items"]] == [ada["id"]]
        for method, path in writes(ada["links"]["self"]):
            refused = await api(method, path, {"name": "Me"}, headers={"If-Match": '"1"'}, **me)
            assert told(refused) == (403, "permission_missing")


@pytest.mark.parametrize(
    ("role", "reads", "may_write"),
    [
        ("owner", 200, True),
        ("manager", 200, True),
        ("clerk", 200, True),
        ("service", 200, True),
        ("analyst", 200, False),
        (None, 401, False),
    ],
)
async def test_each_role_may_do_what_it_may(
    place: Place, tmp_path: Path, role: Role | None, reads: int, may_write: bool
) -> None:
    async with served(place, tmp_path) as api:
        path = (await api.add())["links"]["self"]
        assert (await api("GET", path, role=role)).status_code == reads
        assert (await api("GET", "/v1/customers", role=role)).status_code == reads
        for method, where in writes(path):
            version = (await api("GET", path)).headers["etag"]
            answer = await api(method, where, {"name": "Ada"}, headers={"If-Match": version}, role=role)
            assert answer.status_code in ((200, 201) if may_write else (401, 403))


def writes(path: str) -> list[tuple[str, str]]:
    return [
        ("POST", "/v1/customers"),
        ("PATCH", path),
        ("POST", f"{path}/deactivation"),
        ("POST", f"{path}/reactivation"),
    ]


async def test_pages_lead_to_the_next(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        names = [f"Customer {number}" for number in range(5)]
        for name in names:
            await api.add(name)
        seen: list[str] = []
        path: str | None = "/v1/customers?sort=name&limit=2&active=true"
        while path is not None:
            page = (await api("GET", path)).json()
            assert (await api("GET", page["links"]["self"])).json() == page
            seen += [item["name"] for item in page["items"]]
            path = page["links"].get("next")
            assert (path is None) == (page["next"] is None)
            assert page["total"] is None
        assert seen == names
        by_offset = (await api("GET", "/v1/customers?sort=name&limit=2&offset=2")).json()
        assert ([item["name"] for item in by_offset["items"]], by_offset["total"]) == (names[2:4], 5)
        behind = (await api("GET", by_offset["links"]["next"])).json()
        assert [item["name"] for item in behind["items"]] == names[4:]


@on_sqlite
@pytest.mark.parametrize(
    ("query", "code", "word"),
    [
        ("limit=201", "request_invalid", "200"),
        ("offset=10001", "request_invalid", "cursor"),
        ("sort=email", "request_invalid", "created_at"),
        ("phone=1", "request_invalid", "external_id"),
        ("cursor=x&offset=0", "pages_do_not_combine", "offset"),
        ("cursor=x", "cursor_invalid", "cursor"),
    ],
)
async def test_a_list_that_there_is_not_is_refused_with_what_there_is(
    place: Place, tmp_path: Path, query: str, code: str, word: str
) -> None:
    async with served(place, tmp_path) as api:
        refused = await api("GET", f"/v1/customers?{query}")
        assert told(refused) == (422, code)
        assert word in refused.text


@on_sqlite
async def test_every_route_has_examples_and_documented_problems(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        operations = {
            operation["operationId"]: operation for path in api.openapi["paths"].values() for operation in path.values()
        }
        assert set(operations) == {
            "add_customer",
            "list_customers",
            "get_customer",
            "change_customer",
            "deactivate_customer",
            "reactivate_customer",
        }
        assert problems(operations["add_customer"], "409") == {
            "email_taken",
            "external_id_taken",
            "request_in_progress",
        }
        assert problems(operations["change_customer"], "412") == {"customer_changed"}
        assert problems(operations["deactivate_customer"], "409") >= {"already_inactive"}
        assert problems(operations["get_customer"], "404") >= {"customer_not_found"}
        schemas = api.openapi["components"]["schemas"]
        for name in ("AddCustomer", "ChangeCustomer"):
            assert schemas[name]["examples"], name


def problems(operation: dict[str, Any], status: str) -> set[str]:
    return set(operation["responses"][status]["content"]["application/problem+json"]["examples"])


@on_sqlite
async def test_what_the_documents_promise_is_what_is_answered(place: Place, tmp_path: Path) -> None:
    async with served(place, tmp_path) as api:
        made = await api.add(email="ada@example.com")
        page = (await api("GET", "/v1/customers")).json()
        schemas = api.openapi["components"]["schemas"]
        assert set(made) == set(schemas["CustomerOut"]["properties"]) == set(schemas["CustomerOut"]["required"])
        assert set(page) == set(schemas["CustomerPage"]["properties"]) == set(schemas["CustomerPage"]["required"])
