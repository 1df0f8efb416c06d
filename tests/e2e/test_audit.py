"""Who was let in, raised and refused, as the audit log of a running product tells it, on both databases."""

import csv
import io
from typing import Any
from uuid import uuid4

from tests.e2e.caller import House, once_it_is, order

SOON_S = 5.0


def audited(house: House, **asked: str) -> list[dict[str, Any]]:
    answer = house("GET", "/v1/audit?" + "&".join(f"{name}={value}" for name, value in asked.items()))
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def user(house: House, role: str = "clerk") -> dict[str, Any]:
    answer = house("POST", "/v1/users", {"email": f"{uuid4()}@example.com", "name": "Ada", "role": role})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_a_permission_that_is_missing_is_in_the_log_when_the_caller_hears_of_it(house: House) -> None:
    clerk = user(house)["id"]
    refused = house("POST", "/v1/teams", {"name": "Mine"}, token=house.token("clerk", clerk))
    assert refused.status_code == 403
    (entry,) = audited(house, actor=clerk)
    assert (entry["action"], entry["user_id"], entry["request_id"]) == ("refused", clerk, refused.json()["request_id"])
    assert entry["after"] == {"code": "permission_missing", "operation": "POST /v1/teams", "path": "/v1/teams"}
    assert entry["address"] == "127.0.0.1"


def test_who_asks_for_what_is_anothers_hears_that_it_is_not_there_and_is_in_the_log(house: House) -> None:
    hers, theirs, made = f"ada-{uuid4()}", f"eve-{uuid4()}", house.customer()
    placed = house("POST", "/v1/orders", order(made), token=house.token("clerk", hers)).json()["id"]
    stranger = house.token("clerk", theirs)
    heard = [
        house("GET", f"/v1/orders/{placed}", token=stranger),
        house("GET", f"/v1/orders/{placed}/history", token=stranger),
        house("POST", f"/v1/orders/{placed}/transitions", {"to": "confirmed"}, token=stranger),
        house("PATCH", f"/v1/orders/{placed}", {"note": "mine"}, token=stranger, if_match='"1"'),
        # That nobody has is nobody's: it is told the same, and is no matter for the log.
        house("GET", f"/v1/orders/{uuid4()}", token=stranger),
    ]
    assert {(answer.status_code, answer.json()["type"]) for answer in heard} == {(404, "/problems/order_unknown")}
    entries = audited(house, actor=theirs)
    assert [entry["after"]["path"].removeprefix(f"/v1/orders/{placed}") for entry in reversed(entries)] == [
        "",
        "/history",
        "/transitions",
        "",
    ]
    assert {entry["after"]["code"] for entry in entries} == {"order_unknown"}


def test_a_customer_who_asks_for_another_is_in_the_log(house: House) -> None:
    hers, other, who = house.customer(), house.customer(), f"ada-{uuid4()}"
    token = house.token("customer", who, hers)
    assert house("GET", f"/v1/customers/{other}", token=token).status_code == 404
    assert house("POST", "/v1/orders", order(other), token=token).status_code == 422
    assert house("GET", f"/v1/customers/{hers}", token=token).status_code == 200
    assert [entry["after"]["code"] for entry in audited(house, actor=who)] == ["customer_unknown", "customer_not_found"]


def test_who_asks_for_anothers_job_is_in_the_log(house: House) -> None:
    hers, theirs = f"ada-{uuid4()}", f"eve-{uuid4()}"
    asked = house("POST", "/v1/jobs", {"kind": "ping"}, token=house.token("clerk", hers))
    assert asked.status_code == 202, asked.text
    job = asked.json()["id"]
    heard = [
        house("GET", f"/v1/jobs/{job}", token=house.token("clerk", theirs)),
        house("POST", f"/v1/jobs/{job}/cancellation", token=house.token("clerk", theirs)),
    ]
    assert {answer.status_code for answer in heard} == {404}
    assert [entry["after"]["code"] for entry in audited(house, actor=theirs)] == ["job_not_found"] * 2


def test_a_strangers_refusal_is_in_the_log_of_requests_alone(house: House) -> None:
    request = str(uuid4())
    headers = {"x-request-id": request, "authorization": "Bearer nonsense"}
    assert house.client.get("/v1/users", headers=headers).status_code == 401
    assert audited(house, request_id=request) == []


def test_a_role_that_changes_is_in_the_log_with_before_and_after_and_by_whom(house: House) -> None:
    made = user(house)
    boss, whom = house.token("owner", f"boss-{uuid4()}"), made["id"]
    given = house("PUT", f"/v1/users/{whom}/role", {"role": "analyst"}, token=boss, if_match='"1"')
    assert given.status_code == 200, given.text
    asked = {"user_id": whom, "action": "role_changed"}
    once_it_is(1, lambda: len(audited(house, **asked)), SOON_S)
    (entry,) = audited(house, **asked)
    assert entry["actor"].startswith("boss-")
    assert entry["request_id"] == given.headers["x-request-id"]
    assert (entry["before"], entry["after"]["role"]) == ({"role": "clerk"}, "analyst")


def test_it_outlives_a_kill(own_house: House) -> None:
    token = own_house.token("clerk", "clerk-1")
    refused = [own_house("POST", "/v1/teams", {"name": "Mine"}, token=token) for _ in range(20)]
    own_house.kill()
    own_house.start()
    entries = audited(own_house, actor="clerk-1")
    assert {entry["request_id"] for entry in entries} == {answer.json()["request_id"] for answer in refused}
    assert len(entries) == 20
    told = own_house("GET", "/v1/audit?actor=clerk-1&format=csv").text
    assert len(list(csv.reader(io.StringIO(told, newline="")))) == 21
