"""Orders as a caller sees them, on both databases."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from orderhouse.kernel.pages import cursor_of
from orderhouse.orders import reads
from tests.integration.orders_world import House, order

pytestmark = pytest.mark.anyio


async def test_an_order_is_placed_with_its_exact_amount_and_read_back_whole(house: House) -> None:
    customer = await house.customer()
    lines = [
        {"sku": "TEA", "quantity": 3, "unit_price": "0.333"},
        {"sku": "Ünï ☃", "description": " two  blanks ", "quantity": 1, "unit_price": "10"},
    ]
    placed = await house("POST", "/v1/orders", order(customer, lines=lines, note="first\nsecond"))
    assert placed.status_code == 201
    made = placed.json()
    assert placed.headers["location"] == made["links"]["self"] == f"/v1/orders/{made['id']}"
    assert (made["amount"], made["total"], made["line_count"]) == ("10.999", "11.00", 2)
    assert [line["amount"] for line in made["lines"]] == ["0.999", "10.00"]
    assert made["lines"][1]["description"] == " two  blanks "
    assert (made["country"], made["assigned_to"], made["status"]) == ("France", "boss", "placed")

    read = await house("GET", made["links"]["self"])
    history = read.json().pop("history")
    assert {**read.json(), "history": None} == {**made, "history": None}
    assert [(one["name"], one["actor"], one["sequence"]) for one in history] == [("OrderPlaced", "boss", 1)]
    assert read.headers["etag"] == placed.headers["etag"] == '"1"'
    assert (await house("GET", made["links"]["self"], if_none_match='"1"')).status_code == 304


async def test_a_retry_is_replayed_and_another_body_refused(house: House) -> None:
    customer = await house.customer()
    first = await house("POST", "/v1/orders", order(customer), idempotency_key="k1")
    again = await house("POST", "/v1/orders", order(customer), idempotency_key='"k1"')
    assert (again.content, again.status_code) == (first.content, 201)
    assert (again.headers["location"], again.headers["etag"]) == (first.headers["location"], first.headers["etag"])
    assert again.headers["idempotency-replayed"] == "true"
    other = await house("POST", "/v1/orders", order(customer, note="other"), idempotency_key="k1")
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency_key_reused")
    stranger = await house("POST", "/v1/orders", order(customer), idempotency_key="k1", subject="another")
    assert stranger.json()["id"] != first.json()["id"]


async def test_an_unknown_or_inactive_customer_can_place_nothing(house: House) -> None:
    unknown = await house("POST", "/v1/orders", order(str(uuid4())))
    assert (unknown.status_code, unknown.json()["type"]) == (422, "/problems/customer_unknown")
    customer = await house.customer()
    await house("POST", f"/v1/customers/{customer}/deactivation")
    async with asyncio.timeout(1):
        while (refused := await house("POST", "/v1/orders", order(customer))).status_code == 201:
            await asyncio.sleep(0.02)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/customer_inactive")
    await house("POST", f"/v1/customers/{customer}/reactivation")
    async with asyncio.timeout(1):
        while (await house("POST", "/v1/orders", order(customer))).status_code != 201:
            await asyncio.sleep(0.02)


async def test_a_reference_is_one_orders(house: House) -> None:
    customer = await house.customer()
    await house.order(customer, external_reference="PO-1")
    taken = await house("POST", "/v1/orders", order(customer, external_reference="PO-1"))
    assert (taken.status_code, taken.json()["type"]) == (409, "/problems/reference_taken")
    raced = await asyncio.gather(
        *(house("POST", "/v1/orders", order(customer, external_reference="PO-2")) for _ in range(10))
    )
    assert sorted(answer.status_code for answer in raced) == [201] + [409] * 9
    found = (await house("GET", "/v1/orders?external_reference=PO-2")).json()["items"]
    assert len(found) == 1


async def test_an_amount_that_cannot_be_kept_exactly_is_refused(house: House) -> None:
    customer = await house.customer()
    lines = [{"sku": "GOLD", "quantity": 1_000_000, "unit_price": "999999999999.999999"}]
    refused = await house("POST", "/v1/orders", order(customer, lines=lines))
    assert (refused.status_code, refused.json()["type"]) == (422, "/problems/amount_too_large")
    assert (await house("GET", "/v1/orders")).json()["items"] == []


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"currency": "XXX"}, "/currency"),
        ({"lines": []}, "/lines"),
        ({"lines": [{"sku": "A", "quantity": 1, "unit_price": 3.5}]}, "/lines/0/unit_price"),
        ({"lines": [{"sku": "A", "quantity": 1, "unit_price": "-1"}]}, "/lines/0/unit_price"),
        ({"lines": [{"sku": "A", "quantity": 0, "unit_price": "1"}]}, "/lines/0/quantity"),
        ({"lines": [{"sku": "A", "quantity": "1", "unit_price": "1"}]}, "/lines/0/quantity"),
        ({"lines": [{"sku": "A\u0007", "quantity": 1, "unit_price": "1"}]}, "/lines/0/sku"),
        ({"status": "delivered"}, "/status"),
        ({"customer_id": "7"}, "/customer_id"),
    ],
)
async def test_what_does_not_fit_is_refused_and_said_where(
    house: House, change: dict[str, object], pointer: str
) -> None:
    refused = await house("POST", "/v1/orders", order(str(uuid4())) | change)
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]


async def test_an_order_goes_where_the_table_says_and_its_history_tells(house: House) -> None:
    made = await house.order(await house.customer())
    path = f"/v1/orders/{made['id']}/transitions"
    assert made["links"]["transitions"]["to"] == ["confirmed", "on_hold", "cancelled"]
    held = await house("POST", path, {"to": "on_hold", "reason": "Address?"})
    assert (held.status_code, held.json()["from"], held.json()["to"]) == (201, "placed", "on_hold")
    illegal = await house("POST", path, {"to": "shipped"})
    assert (illegal.status_code, illegal.json()["allowed"]) == (409, ["placed", "confirmed", "cancelled"])
    for status in ("confirmed", "packed", "shipped", "delivered", "returned"):
        assert (await house("POST", path, {"to": status})).status_code == 201
    whole = (await house("GET", made["links"]["self"])).json()
    assert (whole["status"], whole["version"]) == ("returned", 7)
    assert whole["history"][1]["reason"] == "Address?"
    assert [one["data"].get("to") for one in whole["history"]][1:] == [
        "on_hold",
        "confirmed",
        "packed",
        "shipped",
        "delivered",
        "returned",
    ]
    assert "transitions" not in whole["links"]


async def test_the_history_of_an_order_is_paged_however_long_it_is(house: House) -> None:
    made = await house.order(await house.customer())
    path, changes = made["links"]["self"], reads.SHOWN + 5
    for version in range(1, changes + 1):
        assert (await house("PATCH", path, {"note": f"{version}"}, if_match=f'"{version}"')).status_code == 200
    shown = (await house("GET", path)).json()
    assert [one["sequence"] for one in shown["history"]] == list(range(7, changes + 2)), "the latest, in order"
    told = await house.walked(f"{shown['links']['history']}?limit=20")
    assert [one["sequence"] for one in told] == list(range(changes + 1, 0, -1))
    assert told[: reads.SHOWN] == shown["history"][::-1]


@pytest.mark.parametrize("before", [2**62, 0, -(2**62)])
async def test_a_forged_cursor_of_a_history_finds_nothing_it_should_not(house: House, before: int) -> None:
    made = await house.order(await house.customer())
    page = await house("GET", f"{made['links']['history']}?cursor={cursor_of('history', before)}")
    assert [one["sequence"] for one in page.json()["items"]] == ([1] if before > 1 else [])


async def test_the_history_of_an_order_is_told_to_who_may_see_the_order(house: House) -> None:
    made = await house.order(await house.customer())
    stranger = await house.customer()
    answer = await house("GET", made["links"]["history"], role="customer", customer=stranger)
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/order_unknown")
    nothing = await house("GET", f"/v1/orders/{uuid4()}/history")
    assert (nothing.status_code, nothing.json()["type"]) == (404, "/problems/order_unknown")


async def test_of_many_that_race_one_wins_and_no_change_is_lost(house: House) -> None:
    made = await house.order(await house.customer())
    path = f"/v1/orders/{made['id']}"
    raced = await asyncio.gather(*(house("POST", f"{path}/transitions", {"to": "confirmed"}) for _ in range(20)))
    assert sorted(answer.status_code for answer in raced) == [201] + [409] * 19
    changes = await asyncio.gather(*(house("PATCH", path, {"note": f"n{n}"}, if_match='"2"') for n in range(20)))
    assert sorted(answer.status_code for answer in changes) == [200] + [412] * 19
    winner = next(answer for answer in changes if answer.status_code == 200).json()
    whole = (await house("GET", path)).json()
    assert (whole["note"], whole["version"]) == (winner["note"], 3)


async def test_a_change_needs_the_version_last_seen_and_assigning_needs_a_manager(house: House) -> None:
    customer = await house.customer()
    made = await house.order(customer, role="clerk", subject="clerk-1")
    path = made["links"]["self"]
    assert (await house("PATCH", path, {"note": "x"})).status_code == 428
    assert (await house("PATCH", path, {"note": "x"}, if_match='"9"')).status_code == 412
    own = await house("PATCH", path, {"assigned_to": "clerk-2"}, role="clerk", subject="clerk-1", if_match='"1"')
    assert (own.status_code, own.json()["type"]) == (403, "/problems/assignment_forbidden")
    assigned = await house("PATCH", path, {"assigned_to": "clerk-2", "note": "y"}, if_match='"1"')
    assert (assigned.json()["assigned_to"], assigned.json()["note"], assigned.json()["version"]) == ("clerk-2", "y", 3)
    for clerk in ("clerk-1", "clerk-2"):
        assert (await house("GET", path, role="clerk", subject=clerk)).status_code == 200
        assert len((await house("GET", "/v1/orders", role="clerk", subject=clerk)).json()["items"]) == 1
    assert (await house("GET", path, role="clerk", subject="clerk-3")).status_code == 404


async def test_everybody_sees_what_is_theirs_and_nothing_else(house: House) -> None:
    ada, bob = await house.customer(), await house.customer()
    of_ada = await house.order(ada, role="clerk", subject="clerk-1")
    of_bob = await house.order(bob, role="clerk", subject="clerk-2")
    seen = {
        "customer": await house.walked("/v1/orders", role="customer", customer=ada),
        "clerk": await house.walked("/v1/orders", role="clerk", subject="clerk-1"),
        "manager": await house.walked("/v1/orders", role="manager"),
        "analyst": await house.walked("/v1/orders", role="analyst"),
    }
    ids = {role: {one["id"] for one in items} for role, items in seen.items()}
    assert ids["customer"] == ids["clerk"] == {of_ada["id"]}
    assert ids["manager"] == ids["analyst"] == {of_ada["id"], of_bob["id"]}
    foreign = f"/v1/orders/{of_bob['id']}"
    for who in ({"role": "customer", "customer": ada}, {"role": "clerk", "subject": "clerk-1"}):
        assert (await house("GET", foreign, **who)).status_code == 404  # type: ignore[arg-type]
    assert (
        await house("POST", f"{foreign}/transitions", {"to": "confirmed"}, role="clerk", subject="clerk-1")
    ).status_code == 404
    assert (await house("POST", f"{foreign}/transitions", {"to": "confirmed"}, role="analyst")).status_code == 403
    assert (await house("GET", f"/v1/orders?customer={bob}", role="customer", customer=ada)).json()["items"] == []
    other = await house("POST", "/v1/orders", order(bob), role="customer", customer=ada)
    assert other.json()["type"] == "/problems/customer_unknown"
    assert (await house("POST", "/v1/orders", order(ada), role="customer", customer=ada)).json()["assigned_to"] is None


async def soon(wanted: set[str], house: House, who: str) -> None:
    """Wait until these orders are all that a clerk sees."""
    async with asyncio.timeout(5):
        while {one["id"] for one in await house.walked("/v1/orders?limit=2", role="clerk", subject=who)} != wanted:
            await asyncio.sleep(0.01)


async def test_a_clerk_sees_what_somebody_of_the_same_team_is_answerable_for(house: House) -> None:
    customer = await house.customer()
    me, mate, stranger = [await house.clerk() for _ in range(3)]
    placed = {
        who: [(await house.order(customer, role="clerk", subject=who))["id"] for _ in range(3)]
        for who in (me, mate, stranger)
    }
    # Handed over to the mate, it is still seen, and once; handed over to the stranger, by who placed it alone.
    for order_id, to in ((placed[me][0], mate), (placed[mate][0], stranger)):
        assert (await house("PATCH", f"/v1/orders/{order_id}", {"assigned_to": to}, if_match='"1"')).status_code == 200
    mine = {*placed[me], *placed[mate][1:]}
    team = await house.team(me, mate)
    await soon(mine, house, me)
    as_me: dict[str, Any] = {"role": "clerk", "subject": me}
    walked = await house.walked("/v1/orders?limit=2", **as_me)
    assert len(walked) == len(mine)
    assert [one["placed_at"] for one in walked] == sorted((one["placed_at"] for one in walked), reverse=True)
    assert {one["id"] for one in await house.walked(f"/v1/orders?assigned_to={mate}", **as_me)} == {
        placed[me][0],
        *placed[mate][1:],
    }
    assert await house.walked(f"/v1/orders?assigned_to={stranger}", **as_me) == []
    theirs = f"/v1/orders/{placed[mate][1]}"
    assert (await house("GET", theirs, **as_me)).status_code == 200
    assert (await house("GET", f"{theirs}/history", **as_me)).status_code == 200
    assert (await house("PATCH", theirs, {"note": "back on Monday"}, if_match='"1"', **as_me)).status_code == 200
    assert (await house("POST", f"{theirs}/transitions", {"to": "confirmed"}, **as_me)).status_code == 201
    for foreign in (placed[mate][0], placed[stranger][0]):
        assert (await house("GET", f"/v1/orders/{foreign}", **as_me)).status_code == 404
    assert (await house("DELETE", f"/v1/teams/{team}/members/{mate}")).status_code == 200
    await soon(set(placed[me]), house, me)
    assert (await house("GET", theirs, **as_me)).status_code == 404
    assert (await house("POST", f"{theirs}/transitions", {"to": "packed"}, **as_me)).status_code == 404


async def test_a_team_that_is_removed_and_a_user_who_is_erased_leave_nothing_to_see(house: House) -> None:
    customer = await house.customer()
    me, mate, leaver = [await house.clerk() for _ in range(3)]
    of = {who: {(await house.order(customer, role="clerk", subject=who))["id"]} for who in (mate, leaver)}
    of = {
        who: {one["id"] for one in await house.walked("/v1/orders", role="clerk", subject=who)}
        for who in (mate, leaver)
    }
    removed = await house.team(me, mate)
    await house.team(me, leaver)
    await soon(of[mate] | of[leaver], house, me)
    assert (await house("DELETE", f"/v1/teams/{removed}")).status_code == 204
    await soon(of[leaver], house, me)
    assert (await house("POST", f"/v1/users/{leaver}/deactivation")).status_code == 200
    assert (await house("DELETE", f"/v1/users/{leaver}")).status_code == 204
    await soon(set(), house, me)


async def test_who_left_a_team_is_not_in_it_again_because_a_fact_is_told_again(house: House) -> None:
    customer = await house.customer()
    me, mate, erased = [await house.clerk() for _ in range(3)]
    for who in (mate, erased):
        await house.order(customer, role="clerk", subject=who)
    left, removed = await house.team(me, mate), await house.team(me, mate, erased)
    assert (await house("DELETE", f"/v1/teams/{left}/members/{mate}")).status_code == 200
    assert (await house("DELETE", f"/v1/teams/{removed}")).status_code == 204
    await soon(set(), house, me)
    reader = await house("GET", "/v1/readers")
    (last,) = [one["position"] for one in reader.json()["items"] if one["name"] == "orders.users"]
    again = await house("POST", "/v1/readers/orders.users/replays", {"first": 1, "last": last}, role="owner")
    assert again.status_code in (201, 202), again.text
    async with asyncio.timeout(10):
        while any(one["waiting"] for one in (await house("GET", "/v1/readers")).json()["items"]):
            await asyncio.sleep(0.01)
    assert await house.walked("/v1/orders", role="clerk", subject=me) == []


async def test_a_large_team_is_paged_like_any_other(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orderhouse.orders.reads._MOST_MATES", 1)
    customer = await house.customer()
    everybody = [await house.clerk() for _ in range(4)]
    placed = [(await house.order(customer, role="clerk", subject=who))["id"] for who in everybody * 2]
    await house.team(*everybody[:3])
    await soon({one for n, one in enumerate(placed) if n % 4 < 3}, house, everybody[0])


async def test_pages_miss_and_repeat_nothing_in_either_direction(house: House) -> None:
    customer = await house.customer()
    placed = [(await house.order(customer))["id"] for _ in range(23)]
    for sort, expected in (("-placed_at", placed[::-1]), ("placed_at", placed)):
        assert [one["id"] for one in await house.walked(f"/v1/orders?limit=5&sort={sort}")] == expected
    clerk = {"role": "clerk", "subject": "clerk-1"}
    own = [(await house.order(customer, **clerk))["id"] for _ in range(7)]  # type: ignore[arg-type]
    await house("PATCH", f"/v1/orders/{own[2]}", {"assigned_to": "other"}, if_match='"1"')
    assert [one["id"] for one in await house.walked("/v1/orders?limit=2", **clerk)] == own[::-1]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("customer=none&country=France", 422, "filters_do_not_combine"),
        ("country=France&status=placed", 422, "filters_do_not_combine"),
        ("limit=0", 422, "request_invalid"),
        ("limit=201", 422, "request_invalid"),
        ("cursor=abc", 422, "cursor_invalid"),
        ("placed_from=yesterday", 422, "request_invalid"),
        ("nothing=1", 422, "request_invalid"),
        ("limit=1&limit=2", 422, "request_invalid"),
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(house: House, query: str, status: int, code: str) -> None:
    answer = await house("GET", f"/v1/orders?{query}")
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{code}")


async def test_filters_find_what_they_name(house: House) -> None:
    ada, bob = await house.customer(country="France"), await house.customer(country="Japan & Co")
    first, second = await house.order(ada), await house.order(bob, currency="EUR")
    await house("POST", f"/v1/orders/{second['id']}/transitions", {"to": "cancelled"})
    found = {
        query: [one["id"] for one in (await house("GET", f"/v1/orders?{query}")).json()["items"]]
        for query in (
            f"customer={ada}",
            "country=Japan+%26+Co",
            "status=cancelled",
            f"customer={bob}&status=placed",
            "counted=true",
            "currency=EUR",
            f"placed_from={first['placed_at']}&placed_to={second['placed_at']}",
            "customer=none",
            "kind=credit",
            "assigned_to=boss&status=placed",
        )
    }
    one, two = [first["id"]], [second["id"]]
    assert list(found.values()) == [one, two, two, [], one, two, one, [], [], one]


async def test_a_placed_order_is_in_the_analytics_within_a_second(house: House) -> None:
    customer = await house.customer()
    made = await house.order(customer)
    async with asyncio.timeout(1):
        while (told := await house.sales(by="customer"))["totals"]["orders"] == 0:
            await asyncio.sleep(0.02)
    [cell] = told["items"]
    assert (cell["key"], cell["name"], cell["net"], told["currency"]) == (customer, "Ada", "7.00", "GBP")
    assert [one["id"] for one in await house.walked(cell["links"]["orders"])] == [made["id"]]
    await house("POST", f"/v1/orders/{made['id']}/transitions", {"to": "cancelled"})
    async with asyncio.timeout(1):
        while (await house.sales(by="status"))["totals"]["orders"]:
            await asyncio.sleep(0.02)
    assert await house.walked(cell["links"]["orders"]) == []


async def test_ids_of_the_path_that_are_none_name_nothing(house: House) -> None:
    for path in ("7", str(uuid4())):
        assert (await house("GET", f"/v1/orders/{path}")).status_code == 404
