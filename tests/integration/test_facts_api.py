"""Logs over HTTP, on each database: CloudEvents from any position, their schemas, and the AsyncAPI document."""

import jsonschema
import pytest

from orderhouse.runtime.cloudevents import BATCH_MEDIA_TYPE, fact_of
from tests.integration.orders_world import House

pytestmark = pytest.mark.anyio


async def test_a_log_is_read_as_cloudevents_from_any_position(house: House) -> None:
    customers = [await house.customer() for _ in range(3)]
    answer = await house("GET", "/v1/facts/customers?limit=2", role="service")
    assert answer.headers["content-type"] == BATCH_MEDIA_TYPE
    events = answer.json()
    assert [event["subject"] for event in events] == customers[:2]
    assert [fact_of(event).position for event in events] == [1, 2]
    assert events[0]["type"] == "orderhouse.customers.CustomerAdded.v1"
    rest = (await house("GET", "/v1/facts/customers?after=2", role="service")).json()
    assert [event["subject"] for event in rest] == customers[2:]
    assert (await house("GET", "/v1/facts/customers?after=3", role="service")).json() == []


async def test_what_an_event_says_fits_the_schema_it_names(house: House) -> None:
    await house.order(await house.customer())
    for context in ("customers", "orders", "users"):
        events = (await house("GET", f"/v1/facts/{context}", role="service")).json()
        assert events, context
        for event in events:
            schema = await house.client.get(event["dataschema"])
            assert schema.headers["content-type"] == "application/schema+json"
            jsonschema.validate(event["data"], schema.json())
    document = (await house.client.get("/asyncapi.json")).json()
    assert document["channels"]["customers"]["messages"]["CustomerAdded"]


async def test_what_is_not_there_and_who_may_not_are_told_so(house: House) -> None:
    unknown = await house("GET", "/v1/facts/nobody", role="owner")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "/problems/log_unknown")
    version = await house.client.get("/schemas/facts/CustomerAdded/7")
    assert (version.status_code, version.json()["type"]) == (404, "/problems/schema_unknown")
    for wrong in ("after=-1", "limit=0", "limit=1001", "before=3"):
        assert (await house("GET", f"/v1/facts/customers?{wrong}", role="owner")).status_code == 422
    assert (await house("GET", "/v1/facts/customers", role="analyst")).status_code == 403
    assert (await house.client.get("/v1/facts/customers")).status_code == 401
