"""An order that is put on hold is somebody's task for as long as it is, in the product as it is started."""

from typing import Any

from tests.e2e.caller import House, once_it_is

SEEN_WITHIN_S = 10


def raised(house: House, rule: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["order_id"], one["status"]) for one in house.walked(rule["links"]["tasks"])]


def test_an_order_put_on_hold_raises_its_task_and_releasing_it_closes_the_task(house: House) -> None:
    wanted = {"title": "Why is it on hold?", "when": {"kind": "order_on_hold", "after_hours": 0}, "due_in_days": 2}
    added = house("POST", "/v1/task-rules", wanted)
    assert added.status_code == 201, added.text
    rule = added.json()
    held, other = (house.order(house.customer())["links"]["self"] for _ in range(2))
    for path in (held, other):
        assert house("POST", f"{path}/transitions", {"to": "on_hold", "reason": "Address?"}).status_code == 201
    ids = [path.rpartition("/")[2] for path in (held, other)]
    once_it_is({(one, "pending") for one in ids}, lambda: set(raised(house, rule)), SEEN_WITHIN_S)

    # It can be worked on.
    own_task = next(one for one in house.walked(rule["links"]["tasks"]) if one["order_id"] == ids[0])
    assert own_task["title"] == "Why is it on hold?"
    assert house("GET", own_task["links"]["order"]).json()["status"] == "on_hold"
    assert house("PATCH", own_task["links"]["self"], {"status": "in_progress"}, if_match='"1"').status_code == 200

    assert house("POST", f"{held}/transitions", {"to": "confirmed"}).status_code == 201
    closed = {(ids[0], "completed"), (ids[1], "pending")}
    once_it_is(closed, lambda: set(raised(house, rule)), SEEN_WITHIN_S)

    # Who takes the rule away takes what is left of its work away.
    assert house("DELETE", rule["links"]["self"]).status_code == 204
    once_it_is(
        closed - {(ids[1], "pending")} | {(ids[1], "cancelled")}, lambda: set(raised(house, rule)), SEEN_WITHIN_S
    )


def test_a_task_outlives_a_kill_between_the_hold_and_the_release(own_house: House) -> None:
    house = own_house
    rule = house("POST", "/v1/task-rules", {"title": "T", "when": {"kind": "order_on_hold", "after_hours": 0}}).json()
    path = house.order(house.customer())["links"]["self"]
    own = path.rpartition("/")[2]
    assert house("POST", f"{path}/transitions", {"to": "on_hold"}).status_code == 201
    house.kill()
    house.start()
    once_it_is([(own, "pending")], lambda: raised(house, rule), SEEN_WITHIN_S)
    assert house("POST", f"{path}/transitions", {"to": "placed"}).status_code == 201
    house.kill()
    house.start()
    once_it_is([(own, "completed")], lambda: raised(house, rule), SEEN_WITHIN_S)
