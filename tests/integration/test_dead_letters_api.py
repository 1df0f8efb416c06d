"""Dead letters and readers over HTTP, on each database: what an operator sees, and what can be done."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from orderhouse.kernel.ids import new_id
from orderhouse.runtime.cloudevents import fact_of
from tests import poison
from tests.installation import Installation
from tests.integration.orders_world import House, order

pytestmark = pytest.mark.anyio

GOOD = {"country": "France", "active": True}


class Shop:
    """A running house into whose log facts are put that no context would tell."""

    def __init__(self, house: House, installation: Installation) -> None:
        self.house = house
        self._installation = installation

    async def __call__(self, method: str, path: str, body: Any = None, **more: Any) -> httpx2.Response:
        return await self.house(method, path, body, **{"role": "owner", **more})

    async def poisoned(self, data: object = None, *, name: str = "CustomerAdded", version: int = 1) -> UUID:
        """Tell of a customer what its schema does not allow, and return whom it was about, once it is parked."""
        about = new_id()
        wrong = {"country": 33, "active": True} if data is None else data
        await poison.told(self._installation, name, wrong, about=about, sequence=1, version=version)  # type: ignore[arg-type]
        await self.once(lambda letters: any(one["event"]["subject"] == str(about) for one in letters))
        return about

    async def later(self, about: UUID, sequence: int, **data: object) -> None:
        await poison.told(self._installation, "CustomerChanged", data, about=about, sequence=sequence)

    async def letters(self, **query: Any) -> list[dict[str, Any]]:
        asked = "&".join(f"{name}={value}" for name, value in query.items())
        return await self.house.walked(f"/v1/dead-letters?{asked}" if asked else "/v1/dead-letters", role="owner")

    async def letter(self, about: UUID) -> dict[str, Any]:
        [found] = [one for one in await self.letters() if one["event"]["subject"] == str(about)]
        return found

    async def once(self, so: Any) -> list[dict[str, Any]]:
        async with asyncio.timeout(10):
            while not so(letters := await self.letters()):
                await asyncio.sleep(0.01)
        return letters

    async def mended(self, own: str, data: object) -> httpx2.Response:
        """Mend a letter as who insists does: a waiting one is tried now and then, which makes a version of it."""
        while True:
            seen = await self("GET", own)
            answer = await self("PATCH", own, {"data": data}, if_match=seen.headers["etag"])
            if answer.status_code != 412:
                return answer

    async def metrics(self) -> dict[tuple[str, str], float]:
        """Return every figure, by what it is of: a reader, or a context, its queue and a state."""
        answer = await self("GET", "/metrics")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain; version=")
        return {
            (
                one.name,
                one.labels.get("reader") or " ".join(one.labels[name] for name in ("context", "queue", "state")),
            ): (one.value)
            for family in text_string_to_metric_families(answer.text)
            for one in family.samples
        }

    async def reader(self) -> dict[str, Any]:
        readers = (await self("GET", "/v1/readers")).json()["items"]
        found: dict[str, Any] = next(one for one in readers if one["name"] == "orders.customers")
        return found


@pytest.fixture
def shop(house: House, installation: Installation) -> Shop:
    return Shop(house, installation)


async def test_a_fact_that_failed_is_listed_with_its_reason_and_the_others_go_on(shop: Shop) -> None:
    about = await shop.poisoned()
    letter = await shop.letter(about)
    assert (letter["reader"], letter["state"]) == ("orders.customers", "waiting")
    assert letter["reason"] == "fact_malformed: CustomerAdded: country: Input should be a valid string"
    assert letter["event"]["data"] == {"country": 33, "active": True}
    assert fact_of(letter["event"]).aggregate == about
    assert letter["next_attempt_at"] >= letter["parked_at"]
    assert (await shop("GET", letter["links"]["self"])).json()["id"] == letter["id"]
    await shop.house.order(await shop.house.customer())


async def test_a_mended_letter_is_replayed_and_what_waited_behind_it_too(shop: Shop) -> None:
    about = await shop.poisoned()
    await shop.later(about, 2, country="Japan", active=True)
    await shop.once(lambda letters: len(letters) == 2)
    refused = await shop("POST", "/v1/orders", order(str(about)))
    assert refused.status_code == 422, "orders has not heard of it"
    letter = (await shop.letters())[0]
    mended = await shop.mended(letter["links"]["self"], GOOD)
    assert (mended.status_code, mended.json()["event"]["data"]) == (200, GOOD)
    replayed = await shop("POST", letter["links"]["replay"])
    # It may have been tried by itself since it was mended, and be done.
    assert replayed.status_code in (202, 404)
    if replayed.status_code == 202:
        assert (replayed.json()["state"], replayed.json()["attempts"]) == ("waiting", 0)
    await shop.once(lambda letters: not letters)
    assert (await shop.reader())["position"] == 2
    assert (await shop("GET", letter["links"]["self"])).status_code == 404
    placed = await shop("POST", "/v1/orders", order(str(about)))
    assert placed.status_code == 201, placed.text


async def test_a_letter_takes_only_data_its_schema_allows_from_who_has_seen_it_last(shop: Shop) -> None:
    about = await shop.poisoned()
    letter = await shop.letter(about)
    own = letter["links"]["self"]
    wrong = await shop.mended(own, {"country": None, "active": "yes"})
    assert (wrong.status_code, wrong.json()["type"]) == (422, "/problems/fact_malformed")
    assert (await shop.mended(own, [1])).status_code == 422
    assert (await shop("PATCH", own, {"data": GOOD})).status_code == 428
    stale = await shop("PATCH", own, {"data": GOOD}, if_match='"999"')
    assert (stale.status_code, stale.json()["type"]) == (412, "/problems/letter_moved_on")
    assert (await shop("DELETE", own, if_match='"999"')).status_code == 412
    assert (await shop("POST", letter["links"]["replay"], if_match='"999"')).status_code == 412
    assert (await shop.letter(about))["event"]["data"] == {"country": 33, "active": True}, "nothing was changed"


async def test_a_dropped_letter_is_gone_for_good_and_its_aggregate_goes_on(shop: Shop) -> None:
    about = await shop.poisoned()
    await shop.later(about, 2, country="Japan", active=True)
    letters = await shop.once(lambda letters: len(letters) == 2)
    dropped = await shop("DELETE", letters[0]["links"]["self"])
    assert (dropped.status_code, dropped.content) == (204, b"")
    assert "content-length" not in dropped.headers
    await shop.once(lambda letters: not letters)
    assert (await shop("POST", "/v1/orders", order(str(about)))).status_code == 201


async def test_letters_are_listed_a_page_at_a_time_and_by_reader_and_state(shop: Shop) -> None:
    abouts = [await shop.poisoned() for _ in range(5)]
    walked = await shop.letters(limit=2)
    assert [one["event"]["subject"] for one in walked] == [str(about) for about in abouts]
    assert len(await shop.letters(reader="orders.customers", state="waiting")) == 5
    assert await shop.letters(state="dead") == []
    unknown = await shop("GET", "/v1/dead-letters?reader=nobody")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/reader_unknown")
    assert (await shop("GET", "/v1/dead-letters?cursor=x")).json()["type"] == "/problems/cursor_invalid"


@pytest.mark.parametrize(
    ("name", "version", "reason"),
    [
        ("CustomerEaten", 1, "fact_unknown: CustomerEaten"),
        ("CustomerAdded", 2, "fact_unknown: CustomerAdded of version 2"),
    ],
)
async def test_a_fact_nobody_knows_here_is_parked_rather_than_passed_over(
    shop: Shop, name: str, version: int, reason: str
) -> None:
    about = await shop.poisoned(GOOD, name=name, version=version)
    letter = await shop.letter(about)
    assert letter["reason"] == reason
    if name == "CustomerEaten":
        own = letter["links"]["self"]
        tag = (await shop("GET", own)).headers["etag"]
        refused = await shop("PATCH", own, {"data": GOOD}, if_match=tag)
        assert refused.json()["type"] == "/problems/fact_unknown"


async def test_metrics_tell_how_far_readers_are_behind_and_what_is_parked(shop: Shop) -> None:
    async with asyncio.timeout(10):
        while (await shop.metrics())[("orderhouse_reader_lag_facts", "orders.customers")] != 0:
            await asyncio.sleep(0.01)
    assert ("orderhouse_queue_entries", "orders facts:customers open") not in await shop.metrics()
    await shop.poisoned()
    told = await shop.metrics()
    assert told[("orderhouse_reader_ok", "orders.customers")] == 1
    assert told[("orderhouse_reader_oldest_unread_seconds", "orders.customers")] == 0
    assert told[("orderhouse_queue_entries", "orders facts:customers open")] == 1
    assert told[("orderhouse_queue_attempts", "orders facts:customers open")] >= 0
    # What waits for its next attempt is not overdue.
    assert 0 <= told[("orderhouse_queue_oldest_due_seconds", "orders facts:customers open")] < 10
    assert {name for _, name in told} >= {"analytics.orders", "auth.users", "tasks.orders", "orders.users"}


async def test_who_may_not_is_told_so_and_nothing_happens(shop: Shop) -> None:
    about = await shop.poisoned()
    own = (await shop.letter(about))["links"]["self"]
    refused = [
        await shop("GET", "/v1/dead-letters", role="clerk"),
        await shop("GET", "/v1/readers", role="clerk"),
        await shop("PATCH", own, {"data": GOOD}, role="manager", if_match='"1"'),
        await shop("POST", f"{own}/replay", role="manager"),
        await shop("DELETE", own, role="service"),
        await shop("POST", "/v1/readers/orders.customers/replays", {"first": 1, "last": 1}, role="service"),
    ]
    assert [answer.status_code for answer in refused] == [403] * len(refused)
    seen = (await shop("GET", own, role="manager")).json()
    assert "replay" not in seen["links"], "what one may not do is not offered"
    unknown = await shop("GET", f"/v1/dead-letters/{uuid4()}")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/letter_unknown")


async def test_a_range_is_replayed_to_one_reader(shop: Shop) -> None:
    for _ in range(3):
        await shop.house.order(await shop.house.customer())
    async with asyncio.timeout(10):
        while (await shop.reader())["position"] < 3:
            await asyncio.sleep(0.01)
    replays = "/v1/readers/orders.customers/replays"
    done = await shop("POST", replays, {"first": 1, "last": 3})
    assert (done.status_code, done.json()["queued"]) == (202, 3)
    again = await shop("POST", replays, {"first": 1, "last": 1})
    assert again.status_code in (202, 409), "the first is still under way, or it is done"
    await shop.once(lambda letters: not letters)
    for first, last in ((1, 9), (3, 2)):
        refused = await shop("POST", replays, {"first": first, "last": last})
        assert (refused.status_code, refused.json()["type"]) == (422, "/problems/range_not_taken")
    assert (await shop("POST", replays, {"first": 0, "last": 1})).status_code == 422
    assert (await shop("POST", replays, {"first": 1, "last": 20_000})).json()["type"] == "/problems/replay_too_long"
    nobody = await shop("POST", "/v1/readers/nobody/replays", {"first": 1, "last": 1})
    assert nobody.json()["type"] == "/problems/reader_unknown"
    whole = await shop("POST", "/v1/readers/analytics.orders/replays", {"first": 1, "last": 1})
    assert (whole.status_code, whole.json()["type"]) == (409, "/problems/reader_replays_nothing")
