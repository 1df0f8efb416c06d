"""Facts on the wire are CloudEvents 1.0, and come back as they went; the AsyncAPI document describes exactly them."""

import json
import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderhouse.assembly import facts
from orderhouse.kernel.events import Fact, Origin
from orderhouse.runtime import cloudevents
from orderhouse.runtime.registry import FactMalformed

AGGREGATE = UUID("01997a3e-5d2c-7f4a-8a3f-0c7d4e2b9f10")
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
MOVED = Fact(
    7, UUID(int=7), "OrderMoved", 1, AGGREGATE, 2, {"from": "placed", "to": "shipped"}, 1_700_000_000_000_001,
    Origin("boss", "request-1", TRACE),
)  # fmt: skip
NEGATIVE = {"specversion": "0.3", "type": "com.example.other", "id": "7", "time": "yesterday", "position": "first"}

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
told = st.builds(
    Fact,
    position=st.integers(1, 2**60),
    id=st.uuids(),
    name=st.sampled_from(["OrderMoved", "OrderPlaced"]),
    version=st.integers(1, 99_999),
    aggregate=st.uuids(),
    sequence=st.integers(1, 2**31),
    data=st.dictionaries(texts, st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts, max_size=4),
    at=st.integers(0, 4_000_000_000_000_000),
    origin=st.builds(Origin, texts, texts, st.sampled_from(["", TRACE])),
)


def test_a_fact_is_an_event_as_cloudevents_1_0_wants_it() -> None:
    event = cloudevents.event_of("orders", MOVED)
    assert event == {
        "specversion": "1.0",
        "id": "00000000-0000-0000-0000-000000000007",
        "source": "/orderhouse/orders",
        "type": "orderhouse.orders.OrderMoved.v1",
        "subject": str(AGGREGATE),
        "time": "2023-11-14T22:13:20.000001Z",
        "datacontenttype": "application/json",
        "dataschema": "/schemas/facts/OrderMoved/1",
        "sequence": "0000000002",
        "partitionkey": str(AGGREGATE),
        "position": "7",
        "actor": "boss",
        "requestid": "request-1",
        "traceparent": TRACE,
        "data": {"from": "placed", "to": "shipped"},
    }
    # Section 3.1 of the specification: names of attributes are lower-case letters and digits.
    assert all(re.fullmatch(r"[a-z0-9]+", name) for name in event)
    assert all(isinstance(value, str) and value for name, value in event.items() if name != "data")


@given(told)
def test_what_goes_over_the_wire_comes_back_as_it_was(fact: Fact) -> None:
    event = json.loads(json.dumps(cloudevents.event_of("orders", fact)))
    assert cloudevents.fact_of(event) == fact


@pytest.mark.parametrize("name", NEGATIVE)
def test_what_is_no_event_of_ours_is_refused(name: str) -> None:
    event = cloudevents.event_of("orders", MOVED)
    with pytest.raises(FactMalformed):
        cloudevents.fact_of({**event, name: NEGATIVE[name]})
    with pytest.raises(FactMalformed):
        cloudevents.fact_of({key: value for key, value in event.items() if key != name})


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for below in part.values():
            yield from references(below)
    elif isinstance(part, list):
        for below in part:
            yield from references(below)


def found(document: Any, reference: str) -> Any:
    for name in reference.removeprefix("#/").split("/"):
        document = document[name]
    return document


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = facts.asyncapi()
    assert document["asyncapi"] == "3.0.0"
    assert list(references(document))
    for reference in references(document):
        assert found(document, reference)


def test_every_fact_is_a_message_whose_schema_takes_its_events_and_no_others() -> None:
    document = facts.asyncapi()
    assert set(document["components"]["messages"]) == {kind.name for _, kind in facts.REGISTRY}
    for message in document["components"]["messages"].values():
        jsonschema.Draft202012Validator.check_schema(message["payload"])
    message = document["components"]["messages"]["OrderMoved"]
    validator = jsonschema.Draft202012Validator({**message["payload"], "components": document["components"]})
    event = cloudevents.event_of("orders", MOVED)
    validator.validate(event)
    for wrong in ({"type": "orderhouse.orders.OrderPlaced.v1"}, {"data": {"from": "placed"}}, {"specversion": "2.0"}):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate({**event, **wrong})


def test_who_reads_what_is_in_the_asyncapi_document() -> None:
    operations = facts.asyncapi()["operations"]
    assert operations["analyticsReadsOfOrders"]["action"] == "receive"
    names = [one["$ref"].rpartition("/")[2] for one in operations["ordersReadsOfCustomers"]["messages"]]
    assert names == [kind.name for kind in facts.REGISTRY.of("customers")]
