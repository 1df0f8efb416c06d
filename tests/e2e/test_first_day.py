"""The first day of a new user, told through HTTP to the product as it is started, on both databases."""

from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from bench import servers
from orderhouse.kernel import clock
from tests.e2e.caller import House, once_it_is, order

FRESH_S = 1.0


def refused(answer: httpx2.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")


# Tokens


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Basic YWRhOmFkYQ=="},
        {"Authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJib3NzIiwicm9sZSI6Im93bmVyIn0."},
    ],
    ids=["none", "empty", "nonsense", "basic", "unsigned"],
)
def test_without_a_good_token_nobody_comes_in(house: House, headers: dict[str, str]) -> None:
    answer = house.client.get("/v1/orders", headers=headers)
    assert refused(answer) == (401, "unauthenticated")
    assert "bearer" in answer.headers["www-authenticate"].lower()


def test_the_token_that_is_printed_lets_you_in(house: House) -> None:
    assert house("GET", "/v1/customers", token=house.printed_token()).status_code == 200


def test_who_starts_it_is_told_how_to_come_in(tmp_path: Path) -> None:
    with servers.product(tmp_path / "data") as started:
        told = (tmp_path / "data" / "server.log").read_text()
        assert started.url in told
        assert "orderhouse token --role owner" in told


def test_the_first_owner_is_there_from_the_first_start_on(own_house: House) -> None:
    (owner,) = own_house("GET", "/v1/users").json()["items"]
    assert (owner["email"], owner["role"], owner["status"]) == ("owner@orderhouse.localhost", "owner", "active")
    own_house.kill()
    own_house.start()
    assert own_house("GET", "/v1/users").json()["items"] == [owner]


def test_a_token_that_was_tampered_with_or_has_expired_is_of_no_use(house: House) -> None:
    header, claims, signature = house.token().split(".")
    other = house.token("analyst").split(".")[1]
    for forged in (f"{header}.{other}.{signature}", f"{header}.{claims}.{signature[::-1]}"):
        assert refused(house("GET", "/v1/orders", token=forged)) == (401, "unauthenticated")
    short = house.token(minutes=0.05)
    assert house("GET", "/v1/orders", token=short).status_code == 200
    once_it_is(401, lambda: house("GET", "/v1/orders", token=short).status_code, within_s=10)


def test_a_role_does_what_it_may_and_nothing_else(house: House) -> None:
    customer = house.customer()
    placed = house.order(customer)
    analyst, clerk = house.as_("analyst"), house.as_("clerk", f"clerk-{uuid4()}")
    own = house.as_("customer", customer=customer)
    assert analyst("GET", "/v1/analytics/sales?by=day&currency=GBP").status_code == 200
    for answer in (
        analyst("POST", "/v1/orders", order(customer)),
        analyst("POST", "/v1/customers", {"name": "Eve"}),
        clerk("GET", "/v1/analytics/sales?by=day&currency=GBP"),
        own("POST", "/v1/customers", {"name": "Eve"}),
        own("POST", f"{placed['links']['self']}/transitions", {"to": "cancelled"}),
    ):
        assert refused(answer) == (403, "permission_missing")


# Customers


def test_a_mail_address_is_one_customers(house: House) -> None:
    mail = f"ada-{uuid4()}@example.com"
    house.customer(email=mail)
    assert refused(house("POST", "/v1/customers", {"name": "Eve", "email": mail.upper()})) == (409, "email_taken")
    other = house.customer()
    path = f"/v1/customers/{other}"
    assert refused(house("PATCH", path, {"email": mail}, if_match='"1"')) == (409, "email_taken")
    changed = house("PATCH", path, {"email": f"eve-{mail}", "country": None}, if_match='"1"')
    assert (changed.status_code, changed.headers["etag"], changed.json()["country"]) == (200, '"2"', None)
    assert refused(house("PATCH", path, {"name": "Late"}, if_match='"1"')) == (412, "customer_changed")
    assert refused(house("PATCH", path, {"name": "Blind"}))[0] == 428
    assert house("GET", path, if_none_match='"2"').status_code == 304


def test_who_is_deactivated_places_nothing_from_then_on_and_then_again(house: House) -> None:
    customer = house.customer()
    shown = house("GET", f"/v1/customers/{customer}").json()
    house.order(customer)
    left = house("POST", shown["links"]["deactivation"])
    assert (left.status_code, left.json()["active"]) == (200, False)
    once_it_is(409, lambda: house("POST", "/v1/orders", order(customer)).status_code, within_s=FRESH_S)
    assert refused(house("POST", "/v1/orders", order(customer))) == (409, "customer_inactive")
    back = house("POST", left.json()["links"]["reactivation"])
    assert (back.status_code, back.json()["active"]) == (200, True)
    once_it_is(201, lambda: house("POST", "/v1/orders", order(customer)).status_code, within_s=FRESH_S)


def test_customers_are_listed_by_cursor_each_once(house: House) -> None:
    made = [house.customer() for _ in range(7)]
    listed = [one["id"] for one in house.walked("/v1/customers?limit=3")]
    assert [one for one in listed if one in made] == made[::-1]
    assert len(listed) == len(set(listed))
    mine = house.walked("/v1/customers", token=house.token("customer", customer=made[0]))
    assert [one["id"] for one in mine] == made[:1]


# Orders


def test_an_order_is_placed_and_a_retry_is_told_the_same(house: House) -> None:
    customer = house.customer()
    wanted = order(customer, external_reference=f"PO-{uuid4()}", note="Ring twice.")
    key = str(uuid4())
    first = house("POST", "/v1/orders", wanted, idempotency_key=key)
    again = house("POST", "/v1/orders", wanted, idempotency_key=f'"{key}"')
    assert (first.status_code, first.json()["amount"], first.json()["total"]) == (201, "7.00", "7.00")
    assert (again.status_code, again.content) == (201, first.content)
    assert [again.headers[name] for name in ("location", "etag")] == [
        first.headers[name] for name in ("location", "etag")
    ]
    other = house("POST", "/v1/orders", {**wanted, "note": "Other."}, idempotency_key=key)
    assert refused(other) == (422, "idempotency_key_reused")
    assert refused(house("POST", "/v1/orders", wanted, idempotency_key=None)) == (400, "idempotency_key_missing")
    assert refused(house("POST", "/v1/orders", wanted)) == (409, "reference_taken")
    assert len(house.walked(f"/v1/orders?customer={customer}")) == 1


def test_what_is_not_yours_is_not_there(house: House) -> None:
    customer, neighbour = house.customer(), house.customer()
    path = house.order(customer)["links"]["self"]
    own = house.as_("customer", customer=customer)
    other = house.as_("customer", customer=neighbour)
    clerk = house.as_("clerk", f"clerk-{uuid4()}")
    assert own("GET", path).status_code == 200
    for stranger in (other, clerk):
        assert refused(stranger("GET", path)) == (404, "order_unknown")
    for answer in (
        clerk("POST", f"{path}/transitions", {"to": "cancelled"}),
        clerk("PATCH", path, {"note": "Mine."}, if_match='"1"'),
        house("GET", f"/v1/orders/{uuid4()}"),
    ):
        assert refused(answer) == (404, "order_unknown")
    assert refused(other("GET", f"/v1/customers/{customer}")) == (404, "customer_not_found")
    assert refused(other("POST", "/v1/orders", order(customer))) == (422, "customer_unknown")
    assert house("GET", path).json()["version"] == 1


def test_an_order_that_is_assigned_to_a_clerk_is_the_clerks(house: House) -> None:
    me = f"clerk-{uuid4()}"
    clerk = house.as_("clerk", me)
    placed = house.order(house.customer())
    path = placed["links"]["self"]
    assigned = house("PATCH", path, {"assigned_to": me}, if_match='"1"')
    assert (assigned.status_code, assigned.json()["assigned_to"]) == (200, me)
    assert clerk("GET", path).status_code == 200
    assert [one["id"] for one in clerk("GET", "/v1/orders").json()["items"]] == [placed["id"]]
    assert refused(clerk("PATCH", path, {"assigned_to": "other"}, if_match='"2"')) == (403, "assignment_forbidden")


def test_an_order_goes_its_way_and_remembers_it(house: House) -> None:
    path = house.order(house.customer())["links"]["self"]
    held = house("POST", f"{path}/transitions", {"to": "on_hold", "reason": "Address?"})
    assert (held.status_code, held.json()["from"], held.json()["to"]) == (201, "placed", "on_hold")
    wrong = house("POST", f"{path}/transitions", {"to": "delivered"})
    assert refused(wrong) == (409, "move_not_allowed")
    assert sorted(wrong.json()["allowed"]) == ["cancelled", "confirmed", "placed"]
    assert wrong.json()["allowed"] == house("GET", path).json()["links"]["transitions"]["to"]
    stale = house("POST", f"{path}/transitions", {"to": "confirmed"}, if_match='"1"')
    assert refused(stale) == (412, "order_changed")
    for status in ("confirmed", "packed", "shipped", "delivered", "returned"):
        assert house("POST", f"{path}/transitions", {"to": status}).status_code == 201
    whole = house("GET", path).json()
    assert [one["sequence"] for one in whole["history"]] == [1, 2, 3, 4, 5, 6, 7]
    assert [one["data"]["to"] for one in whole["history"][1:]] == [
        *("on_hold", "confirmed", "packed", "shipped", "delivered", "returned")
    ]
    assert whole["history"][1]["reason"] == "Address?"
    assert {one["actor"] for one in whole["history"]} == {"operator"}
    assert "transitions" not in whole["links"]


@pytest.mark.parametrize("sort", ["-placed_at", "placed_at"])
def test_orders_are_listed_by_cursor_each_once_whatever_comes_meanwhile(house: House, sort: str) -> None:
    customer = house.customer()
    made = [house.order(customer)["id"] for _ in range(9)]
    first = house("GET", f"/v1/orders?customer={customer}&sort={sort}&limit=4").json()
    house.order(house.customer())
    later = house.order(customer)["id"]
    seen = [one["id"] for one in first["items"] + house.walked(first["links"]["next"])]
    assert seen == ([*made, later] if sort == "placed_at" else made[::-1])
    assert refused(house("GET", "/v1/orders?cursor=nonsense"))[0] in (400, 422)
    assert refused(house("GET", f"/v1/orders?customer={customer}&country=France"))[0] == 422


# Analytics


def test_an_order_is_in_the_figures_within_a_second_and_leaves_them_when_it_is_cancelled(house: House) -> None:
    customer = house.customer()
    placed = house.order(customer, lines=[{"sku": "X", "quantity": 3, "unit_price": "0.335"}])

    def figures() -> tuple[int, str] | None:
        cell = house.cell("customer", customer)
        return (cell["orders"], cell["net"]) if cell else None

    once_it_is((1, "1.01"), figures, within_s=FRESH_S)
    house("POST", f"{placed['links']['self']}/transitions", {"to": "cancelled"})
    once_it_is(None, figures, within_s=FRESH_S)


CUTS = ["day", "week", "month", "customer", "user", "country", "status"]


@pytest.mark.parametrize("by", CUTS)
def test_every_link_of_a_cell_leads_to_exactly_the_orders_it_counts(house: House, by: str) -> None:
    currency = "CHF"
    _some_orders_of_every_kind(house, currency)
    for zone in ("Asia/Kolkata", "America/Los_Angeles"):
        told = house.sales(by, currency=currency, time_zone=zone)
        cells = [cell for cell in (*told["items"], told["unassigned"]) if cell["links"]]
        assert sum(cell["orders"] for cell in cells) == told["totals"]["orders"] > 0
        empty = [cell for cell in cells if not cell["orders"]]
        for cell in [*(cell for cell in cells if cell["orders"]), *empty[:2]]:
            behind = house.walked(cell["links"]["orders"])
            assert Counter(one["kind"] for one in behind) == +Counter(sale=cell["orders"], credit=cell["credits"])
            assert {one["currency"] for one in behind} <= {currency}
            assert "cancelled" not in {one["status"] for one in behind}


def _some_orders_of_every_kind(house: House, currency: str) -> None:
    """Place orders for these customers, by these callers, and take them here and there; wait for fresh figures."""
    for country in ("France", "Åland Islands & others", None):
        customer = house.customer(country=country)
        by_itself = house.as_("customer", customer=customer)
        clerk = house.as_("clerk", "clerk/7 & more")
        for placer in (house, by_itself, clerk):
            placed = placer("POST", "/v1/orders", order(customer, currency=currency))
            assert placed.status_code == 201, placed.text
        house("POST", f"{placed.json()['links']['self']}/transitions", {"to": "confirmed"})
        lost = house.order(customer, currency=currency)
        house("POST", f"{lost['links']['self']}/transitions", {"to": "cancelled"})
    done = clock.as_text(clock.now())
    once_it_is(True, lambda: house.sales("status", currency=currency)["fresh_as_of"] >= done, within_s=2 * FRESH_S)


# Afterwards


def test_what_was_answered_is_there_after_it_was_killed(own_house: House) -> None:
    house = own_house
    customer = house.customer()
    key, wanted = str(uuid4()), order(customer)
    told = house("POST", "/v1/orders", wanted, idempotency_key=key)
    moved = house("POST", f"{told.json()['links']['self']}/transitions", {"to": "confirmed"})
    assert (told.status_code, moved.status_code) == (201, 201)
    house.kill()
    house.start()
    assert house("POST", "/v1/orders", wanted, idempotency_key=key).content == told.content
    whole = house("GET", told.json()["links"]["self"]).json()
    assert (whole["status"], whole["version"], len(whole["history"])) == ("confirmed", 2, 2)
    once_it_is(1, lambda: _counted(house), within_s=5)


def test_figures_that_are_deleted_come_back(own_house: House) -> None:
    house = own_house
    customer = house.customer()
    for _ in range(3):
        house.order(customer)
    once_it_is(3, lambda: _counted(house), within_s=5)
    before = _without_time(house.sales("customer"))
    house.stop()
    for file in house.installation.folder.glob("analytics*"):
        file.unlink()
    house.start()
    once_it_is(3, lambda: _counted(house), within_s=5)
    assert _without_time(house.sales("customer")) == before


def _counted(house: House) -> int:
    return int(house.sales("status")["totals"]["orders"])


def _without_time(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name != "fresh_as_of"}
