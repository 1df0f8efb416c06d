"""A fact nobody can read, from its failure to its effect: an operator sees it, mends it, replays it."""

from typing import Any

from orderhouse.kernel.ids import new_id
from tests import poison
from tests.e2e.caller import House, once_it_is, order

GOOD = {"country": "France", "active": True}


def letters(house: House) -> list[dict[str, Any]]:
    return house.walked("/v1/dead-letters?limit=2")


def test_a_dead_letter_is_mended_and_replayed_and_nobody_else_noticed(own_house: House) -> None:
    house = own_house
    before = house.customer()
    about = new_id()
    poison.customer(house.installation, about)
    once_it_is([str(about)], lambda: [one["event"]["subject"] for one in letters(house)], within_s=10)

    house.order(before)
    house.order(house.customer())
    assert house("POST", "/v1/orders", order(str(about))).status_code == 422, "orders has not heard of it"
    [letter] = letters(house)
    assert "country" in letter["reason"]

    # It stays what it is over a kill, and so does what was mended.
    house.kill()
    house.start()
    own = letter["links"]["self"]
    while True:
        seen = house("GET", own)
        mended = house("PATCH", own, {"data": GOOD}, if_match=seen.headers["etag"])
        if mended.status_code != 412:  # It was tried in between, which makes a version of it.
            break
    assert mended.status_code == 200, mended.text
    replayed = house("POST", letter["links"]["replay"])
    assert replayed.status_code in (202, 404), "it may have been tried by itself meanwhile, and be done"
    once_it_is([], lambda: letters(house), within_s=10)
    assert house("POST", "/v1/orders", order(str(about))).status_code == 201
    told = house("GET", "/v1/facts/customers?after=1&limit=1").json()
    assert told[0]["data"] == {"country": 33, "active": True}, "the log stays as it was told"
