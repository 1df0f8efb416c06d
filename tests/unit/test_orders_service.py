"""What may be done with orders, without a database: for one and for many, told and refused."""

from typing import Any
from uuid import uuid4

import pytest

from orderhouse.kernel.errors import Refusal
from orderhouse.kernel.principal import PERMISSIONS
from orderhouse.orders.errors import (
    AlreadyImported,
    AmountTooLarge,
    AssignmentForbidden,
    CustomerInactive,
    CustomerUnknown,
    DocumentChanged,
    MoveNotAllowed,
    OrderChanged,
    OrderUnknown,
    ReferenceTaken,
)
from orderhouse.orders.models import Order
from orderhouse.orders.schemas import ImportedLine
from orderhouse.orders.service import Moved
from tests.unit.orders_world import ADA, BOSS, CLERK, NOW, World, asked, caller, change, document, move, wanted

HUGE = [{"sku": "GOLD", "quantity": 1_000_000, "unit_price": "999999999999.999999"}]


@pytest.fixture
def world() -> World:
    return World()


def kinds(outcomes: list[Order | Refusal]) -> list[type]:
    return [type(outcome) for outcome in outcomes]


def test_many_are_placed_by_two_questions_and_each_is_told(world: World) -> None:
    placed = world.place(*(wanted(external_reference=f"PO-{n}") for n in range(50)))
    assert kinds(placed) == [Order] * 50
    assert world.store.questions == 2
    assert [fact.aggregate for fact in world.tx.told] == list(world.store.kept)
    assert {(fact.name, fact.sequence, fact.at, fact.origin) for fact in world.tx.told} == {
        ("OrderPlaced", 1, NOW, asked(None).origin)
    }


def test_what_is_told_of_an_order_is_all_that_figures_need_and_nothing_anybody_wrote(world: World) -> None:
    order = world.place(wanted(note="Ring Ada Lovelace", external_reference="PO-1"), by=CLERK)[0]
    assert isinstance(order, Order)
    assert world.told() == [
        (
            "OrderPlaced",
            1,
            {
                "kind": "sale",
                "status": "placed",
                "currency": "GBP",
                "customer_id": ADA,
                "country": "France",
                "owner_id": "clerk-1",
                "placed_at": NOW,
                "amount": "7.00",
                "total": "7.00",
                "lines": 1,
                "source": "api",
                "external_reference": "PO-1",
            },
        )
    ]


def test_each_of_a_batch_is_decided_by_itself(world: World) -> None:
    gone = world.knows(active=False)
    outcomes = world.place(wanted(), wanted(uuid4()), wanted(gone), wanted(lines=HUGE), document())
    assert kinds(outcomes) == [Order, CustomerUnknown, CustomerInactive, AmountTooLarge, Order]
    assert len(world.store.kept) == len(world.tx.told) == 2


def test_a_customer_places_for_itself_alone_and_cannot_tell_another_from_nobody(world: World) -> None:
    ben = world.knows()
    ada = caller("customer", "ada", ADA)
    [own] = world.place(wanted(), by=ada)
    assert isinstance(own, Order)
    refusals = world.place(wanted(ben), wanted(uuid4()), wanted(world.knows(active=False)), by=ada)
    assert kinds(refusals) == [CustomerUnknown] * 3
    assert {tuple(refusal.more) for refusal in refusals if isinstance(refusal, Refusal)} == {("customer_id",)}


def test_a_reference_is_one_orders_also_within_a_batch(world: World) -> None:
    first, again = world.place(wanted(external_reference="PO-1"), wanted(external_reference="PO-1"))
    assert isinstance(first, Order)
    [later] = world.place(wanted(external_reference="PO-1"))
    for taken in (again, later):
        assert isinstance(taken, ReferenceTaken)
        assert taken.more == {"order": f"/v1/orders/{first.id}"}
    [other_source] = world.place(document("PO-1"))
    assert isinstance(other_source, Order)


def test_whose_a_taken_reference_is_is_told_to_nobody_else(world: World) -> None:
    world.placed(wanted(external_reference="PO-1"), by=BOSS)
    for stranger in (CLERK, caller("customer", "ben", world.knows())):
        customer = stranger.customer_id or ADA
        [taken] = world.place(wanted(customer, external_reference="PO-1"), by=stranger)
        assert isinstance(taken, ReferenceTaken)
        assert taken.more == {}


def test_an_order_that_is_refused_takes_no_reference(world: World) -> None:
    refused, placed = world.place(
        wanted(external_reference="PO-1", lines=HUGE), wanted(external_reference="PO-1", note="this one")
    )
    assert kinds([refused, placed]) == [AmountTooLarge, Order]


def test_a_document_is_imported_once(world: World) -> None:
    outcomes = world.place(document(), document(), document("2"))
    assert kinds(outcomes) == [Order, AlreadyImported, Order]
    assert kinds(world.place(document(), document("2"))) == [AlreadyImported] * 2
    assert len(world.tx.told) == 2


def test_a_document_that_changed_is_left_alone_unless_it_is_to_be_replaced(world: World) -> None:
    before = world.placed(document())
    lines = [ImportedLine("COFFEE", None, 1, 9_000_000)]
    changed = document(lines=lines, fingerprint=b"two")
    assert kinds(world.place(changed)) == [DocumentChanged]
    assert kinds(world.place(document(replace=True))) == [AlreadyImported]
    assert (list(world.store.kept.values()), world.told()) == ([before], [])

    [after] = world.place(changed._replace(replace=True))
    assert isinstance(after, Order)
    assert (after.id, after.version, after.amount) == (before.id, 2, 9_000_000)
    assert world.store.kept == {before.id: after}
    [(name, sequence, data)] = world.told()
    assert (name, sequence, data["amount"], data["status"]) == ("OrderReplaced", 2, "9.00", "delivered")


def test_an_import_needs_no_customer_and_no_card(world: World) -> None:
    world.store.cards.clear()
    for customer in (None, uuid4()):
        [order] = world.place(document(str(customer), customer_id=customer))
        assert isinstance(order, Order)
        assert order.customer_id == customer


def test_an_order_is_moved_with_its_reason_kept_and_not_told(world: World) -> None:
    order = world.placed()
    [moved] = world.service.move(world.tx, [asked(move(order, "on_hold", "Ada's address?"), at=NOW + 5)])
    assert isinstance(moved, Moved)
    assert (moved.before, moved.after.status, moved.after.version) == (order, "on_hold", 2)
    assert world.store.kept[order.id] == moved.after
    assert world.store.reasons == {(order.id, 2): "Ada's address?"}
    assert world.told() == [("OrderMoved", 2, {"from": "placed", "to": "on_hold"})]


def test_one_order_takes_several_steps_in_a_batch_and_the_illegal_ones_are_refused(world: World) -> None:
    order = world.placed()
    steps = ["confirmed", "confirmed", "packed", "placed", "shipped"]
    outcomes = world.service.move(world.tx, [asked(move(order, to)) for to in steps])
    assert [type(one) for one in outcomes] == [Moved, MoveNotAllowed, Moved, MoveNotAllowed, Moved]
    assert (world.store.kept[order.id].status, world.store.kept[order.id].version) == ("shipped", 4)
    assert [(sequence, data) for _, sequence, data in world.told()] == [
        (2, {"from": "placed", "to": "confirmed"}),
        (3, {"from": "confirmed", "to": "packed"}),
        (4, {"from": "packed", "to": "shipped"}),
    ]


def test_a_move_of_an_older_version_is_refused_before_it_is_looked_at(world: World) -> None:
    order = world.placed()
    outcomes = world.service.move(
        world.tx, [asked(move(order, "confirmed", version=1)), asked(move(order, "packed", version=1))]
    )
    assert [type(one) for one in outcomes] == [Moved, OrderChanged]
    assert isinstance(outcomes[1], OrderChanged)
    assert outcomes[1].more == {"current": 2}


def test_what_is_not_yours_is_not_there(world: World) -> None:
    order = world.placed(by=BOSS)
    nothing = [
        *world.service.move(world.tx, [asked(move(order, "confirmed"), CLERK), asked(move(uuid4(), "confirmed"))]),
        *world.service.change(world.tx, [asked(change(order, note="x"), CLERK), asked(change(uuid4(), note="x"))]),
    ]
    assert [type(one) for one in nothing] == [OrderUnknown] * 4
    assert {one.detail for one in nothing if isinstance(one, OrderUnknown)} == {""}
    assert (world.store.kept, world.told()) == ({order.id: order}, [])


def test_a_note_is_changed_and_taken_away_and_never_told(world: World) -> None:
    order = world.placed()
    [noted] = world.service.change(world.tx, [asked(change(order, note="Ring twice."), at=NOW + 5)])
    assert isinstance(noted, Order)
    assert (noted.note, noted.version, noted.updated_at) == ("Ring twice.", 2, NOW + 5)
    [empty] = world.service.change(world.tx, [asked(change(noted, note=None))])
    assert isinstance(empty, Order)
    assert (empty.note, empty.version) == (None, 3)
    assert world.told() == [("OrderNoteChanged", 2, {}), ("OrderNoteChanged", 3, {})]


def test_both_may_change_at_once_with_a_fact_and_a_version_each(world: World) -> None:
    order = world.placed()
    [changed] = world.service.change(world.tx, [asked(change(order, note="n", assigned_to="clerk-2"))])
    assert isinstance(changed, Order)
    assert (changed.owner_id, changed.note, changed.version) == ("clerk-2", "n", 3)
    assert world.told() == [("OrderAssigned", 2, {"owner_id": "clerk-2"}), ("OrderNoteChanged", 3, {})]


@pytest.mark.parametrize("said", [{}, {"note": None}, {"assigned_to": "boss"}])
def test_what_changes_nothing_makes_no_version(world: World, said: dict[str, Any]) -> None:
    order = world.placed()
    assert world.service.change(world.tx, [asked(change(order, **said))]) == [order]
    assert world.told() == []


def test_of_two_who_saw_the_same_version_one_is_told_so(world: World) -> None:
    order = world.placed()
    outcomes = world.service.change(world.tx, [asked(change(order, note="a")), asked(change(order, note="b"))])
    assert [type(one) for one in outcomes] == [Order, OrderChanged]
    assert world.store.kept[order.id].note == "a"


def test_only_who_may_assign_does_and_a_refused_change_changes_nothing_of_it(world: World) -> None:
    order = world.placed(by=CLERK)
    [refused] = world.service.change(world.tx, [asked(change(order, note="n", assigned_to="clerk-2"), CLERK)])
    assert isinstance(refused, AssignmentForbidden)
    assert (world.store.kept, world.told()) == ({order.id: order}, [])
    assert PERMISSIONS["orders:assign"] == {"owner", "manager"}


def test_an_order_may_be_nobodys(world: World) -> None:
    order = world.placed()
    [freed] = world.service.change(world.tx, [asked(change(order, assigned_to=None))])
    assert isinstance(freed, Order)
    assert freed.owner_id is None
    assert world.told() == [("OrderAssigned", 2, {"owner_id": None})]
