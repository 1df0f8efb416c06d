"""What orders takes and gives on the wire: strings kept to the byte or refused, money never a number."""

import json
from typing import Any
from uuid import uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from orderhouse.kernel import clock
from orderhouse.orders import reads
from orderhouse.orders.contract import KINDS, STATUSES
from orderhouse.orders.models import Order
from orderhouse.orders.schemas import (
    ChangeOrder,
    HistoryOut,
    ImportedLine,
    ListOrders,
    MoveOrder,
    OrderOut,
    OrderPage,
    OrderSummary,
    PlacedOut,
    PlaceOrder,
)
from tests.unit.orders_world import ADA, BOSS, CLERK, LINE, NOW, caller, document, wanted

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=64)


def refused(model: type[BaseModel], said: dict[str, Any]) -> set[tuple[int | str, ...]]:
    with pytest.raises(ValidationError) as error:
        model.model_validate(said)
    return {one["loc"] for one in error.value.errors()}


def of_line(**more: Any) -> dict[str, Any]:
    return {"customer_id": str(ADA), "currency": "GBP", "lines": [{**LINE, **more}]}


@pytest.mark.parametrize(
    ("price", "exact"),
    [("0", 0), ("3.50", 3_500_000), ("0.000001", 1), ("999999999999.999999", 10**18 - 1), ("007.5", 7_500_000)],
)
def test_a_price_is_a_decimal_string_and_exact(price: str, exact: int) -> None:
    assert PlaceOrder.model_validate(of_line(unit_price=price)).lines[0].unit_price == exact


@pytest.mark.parametrize(
    "price",
    [
        *(3.5, 3, True, None, [], "", " 1", "1 ", "+1", "-1", "-0", "1.", ".5", "1,5", "1e3", "0x1", "NaN", "Infinity"),
        *("1.0000001", "1000000000000", "१", "1_000", "1\n", "\u00a01", "1\x00"),
    ],
)
def test_anything_else_is_no_price(price: object) -> None:
    assert refused(PlaceOrder, of_line(unit_price=price)) == {("lines", 0, "unit_price")}


@pytest.mark.parametrize("quantity", [0, -1, 1_000_001, "1", 1.0, 1.5, True, None])
def test_a_quantity_is_a_whole_number_of_things(quantity: object) -> None:
    assert refused(PlaceOrder, of_line(quantity=quantity)) == {("lines", 0, "quantity")}


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ({"currency": "gbp"}, "currency"),
        ({"currency": "XXX"}, "currency"),
        ({"currency": 826}, "currency"),
        ({"lines": []}, "lines"),
        ({"lines": [LINE] * 501}, "lines"),
        ({"customer_id": None}, "customer_id"),
        ({"customer_id": "ada"}, "customer_id"),
        ({"external_reference": ""}, "external_reference"),
        ({"external_reference": "x" * 129}, "external_reference"),
        ({"external_reference": "a\tb"}, "external_reference"),
        ({"note": "x" * 2001}, "note"),
        ({"note": "a\x0bb"}, "note"),
        ({"note": "\ud800"}, "note"),
        # What only an import may say.
        ({"kind": "credit"}, "kind"),
        ({"status": "delivered"}, "status"),
        ({"placed_at": 1}, "placed_at"),
        ({"source": "shop"}, "source"),
        ({"replace": True}, "replace"),
    ],
)
def test_what_a_request_may_not_say_is_refused_where_it_says_it(said: dict[str, Any], where: str) -> None:
    assert {place[0] for place in refused(PlaceOrder, {**of_line(), **said})} == {where}


@pytest.mark.parametrize("text", ["\x00", "a\x00", "\ud800", "a\nb", "\x7f", "\x1b[0m"])
@pytest.mark.parametrize("name", ["sku", "description"])
def test_half_characters_and_controls_are_in_no_line(name: str, text: str) -> None:
    assert refused(PlaceOrder, of_line(**{name: text})) == {("lines", 0, name)}


@given(TEXT, TEXT, st.none() | TEXT)
def test_text_is_kept_to_the_byte(sku: str, description: str, reference: str | None) -> None:
    order = PlaceOrder.model_validate({**of_line(sku=sku, description=description), "external_reference": reference})
    assert (order.lines[0].sku, order.lines[0].description, order.external_reference) == (sku, description, reference)


def test_a_note_may_have_lines_and_tabs() -> None:
    assert wanted(note=" a\r\n\tb ").note == " a\r\n\tb "


def test_the_largest_request_is_taken() -> None:
    largest = {**LINE, "sku": "x" * 64, "description": "y" * 500, "quantity": 1_000_000}
    assert len(wanted(lines=[largest] * 500, note="n" * 2000, external_reference="r" * 128).lines) == 500


@pytest.mark.parametrize("said", [{"to": "lost"}, {"to": "placed", "reason": ""}, {"to": "placed", "by": "me"}, {}])
def test_a_move_is_to_a_status_for_a_reason(said: dict[str, str]) -> None:
    refused(MoveOrder, said)


@pytest.mark.parametrize("said", [{"status": "placed"}, {"note": 1}, {"assigned_to": ""}, {"version": 2}])
def test_nothing_else_of_an_order_can_be_changed(said: dict[str, Any]) -> None:
    refused(ChangeOrder, said)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-20T09:30:00Z", "2026-11-20T09:30:00.000000Z"),
        ("2026-11-20T09:30:00.123456+05:30", "2026-11-20T04:00:00.123456Z"),
        # A plus that was not encoded arrives as a blank.
        ("2026-11-20T09:30:00 01:00", "2026-11-20T08:30:00.000000Z"),
    ],
)
def test_a_range_is_named_by_instants(text: str, instant: str) -> None:
    asked = ListOrders.model_validate_strings({"placed_from": text})
    assert asked.placed_from is not None
    assert clock.as_text(asked.placed_from) == instant


@pytest.mark.parametrize("text", ["", "now", "2026-11-20", "2026-11-20T09:30:00", "9999-12-31T23:59:59-10:00"])
def test_anything_else_names_no_instant(text: str) -> None:
    with pytest.raises(ValidationError):
        ListOrders.model_validate_strings({"placed_from": text})


ORDERS = [
    wanted(note="n", external_reference="PO-1", currency="JPY"),
    document(customer_id=ADA),
    document(kind="credit", status="returned", country=None, lines=[ImportedLine("A", None, -3, 1)], note="x\ny"),
]


@pytest.mark.parametrize("what", ORDERS, ids=["request", "sale", "credit"])
@pytest.mark.parametrize("by", [BOSS, CLERK, caller("customer", "ada", ADA)], ids=lambda by: by.role)
def test_every_answer_is_what_its_schema_says(what: Any, by: Any) -> None:
    order = Order.place(what, by=by, at=NOW, country="France")
    assert isinstance(order, Order)
    may_change = by.may("orders:change")
    history = [
        {
            "sequence": 1,
            "name": "OrderPlaced",
            "at": clock.as_text(NOW),
            "actor": "x",
            "request_id": "r",
            "data": {},
            "reason": None,
        }
    ]
    for model, said in (
        (OrderSummary, reads.summary(order, may_change=may_change)),
        (PlacedOut, reads.full(order, may_change=may_change)),
        (OrderOut, {**reads.full(order, may_change=may_change), "history": history}),
        (OrderPage, {"items": [reads.summary(order, may_change=may_change)], "next": None, "links": {}}),
        (HistoryOut, history[0]),
    ):
        sent = orjson.dumps(said)
        kept = model.model_validate_json(sent)
        assert kept.model_dump(mode="json") == json.loads(sent)
        # Nothing the schema names is left out, and nothing else is sent.
        assert json.loads(sent).keys() == model.model_fields.keys()


def test_links_lead_only_where_a_caller_may_go() -> None:
    order = Order.place(wanted(), by=BOSS, at=NOW, country=None)
    assert isinstance(order, Order)
    path = f"/v1/orders/{order.id}"
    assert reads.summary(order, may_change=True)["links"] == {
        "self": path,
        "customer": f"/v1/customers/{ADA}",
        "transitions": {"href": f"{path}/transitions", "to": ("confirmed", "on_hold", "cancelled")},
    }
    assert set(reads.summary(order, may_change=False)["links"]) == {"self", "customer"}
    over = order.changed(NOW, status="returned", customer_id=None)
    assert reads.summary(over, may_change=True)["links"] == {"self": path}


def test_the_documents_examples_are_taken() -> None:
    for model in (PlaceOrder, MoveOrder, ChangeOrder):
        schema = model.model_json_schema()
        fields = {name: one["examples"][0] for name, one in schema["properties"].items() if one.get("examples")}
        for example in schema.get("examples", [fields]):
            model.model_validate(example)


def test_words_of_the_wire_are_those_of_the_contract() -> None:
    schema = OrderSummary.model_json_schema()["properties"]
    assert (schema["kind"]["enum"], schema["status"]["enum"]) == (list(KINDS), list(STATUSES))


def test_ids_are_told_as_text() -> None:
    order = Order.place(wanted(uuid4()), by=BOSS, at=NOW, country=None)
    assert isinstance(order, Order)
    told = json.loads(orjson.dumps(reads.summary(order, may_change=True)))
    assert (told["id"], told["customer_id"]) == (str(order.id), str(order.customer_id))
