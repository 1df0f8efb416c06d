"""By which index a page of orders is read: nobody's list reads through everybody's."""

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest

from orderhouse.kernel.pages import CursorInvalid, cursor_of
from orderhouse.kernel.principal import Principal
from orderhouse.orders import reads
from orderhouse.orders.errors import FiltersDoNotCombine
from orderhouse.orders.schemas import ListOrders
from tests.unit.orders_world import ADA, BOSS, CLERK, caller

CUSTOMER = caller("customer", "ada", ADA)
OWN = ("orders_owner", "orders_handed_over")
BEN = str(uuid4())


def planned(by: Principal, team: Sequence[str] = (), **said: Any) -> reads.Plan:
    return reads.planned(ListOrders.model_validate_strings(said), by, team)


@pytest.mark.parametrize(
    ("said", "boss", "clerk", "customer"),
    [
        ({}, ("orders_placed",), OWN, ("orders_customer",)),
        ({"status": "placed"}, ("orders_status",), OWN, ("orders_customer",)),
        ({"customer": BEN}, ("orders_customer",), ("orders_customer",), ("orders_customer",)),
        ({"customer": "none"}, ("orders_customer",), OWN, ("orders_customer",)),
        ({"assigned_to": "x"}, ("orders_owner",), OWN, ("orders_customer",)),
        ({"assigned_to": "none", "status": "placed"}, ("orders_owner",), OWN, ("orders_customer",)),
        ({"country": "France"}, ("orders_country",), OWN, ("orders_customer",)),
        ({"kind": "credit"}, ("orders_kind",), OWN, ("orders_customer",)),
        ({"external_reference": "1"}, ("orders_reference",), ("orders_reference",), ("orders_customer",)),
        ({"currency": "GBP", "counted": "true"}, ("orders_placed",), OWN, ("orders_customer",)),
    ],
)
def test_a_list_is_read_by_what_holds_least(
    said: dict[str, str], boss: tuple[str, ...], clerk: tuple[str, ...], customer: tuple[str, ...]
) -> None:
    for by, indexes in ((BOSS, boss), (CLERK, clerk), (CUSTOMER, customer)):
        assert tuple(one.index for one in planned(by, **said).ranges) == indexes


@pytest.mark.parametrize("said", [{}, {"placed_from": "2026-01-01T00:00:00Z"}, {"limit": "200", "sort": "placed_at"}])
@pytest.mark.parametrize("by", [BOSS, CLERK, CUSTOMER], ids=lambda by: by.role)
def test_an_ordinary_page_shows_all_it_reads(said: dict[str, str], by: Principal) -> None:
    assert planned(by, **said).narrow == []


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (BOSS, {"currency": "GBP"}),
        (BOSS, {"counted": "true"}),
        (BOSS, {"customer": BEN, "status": "placed"}),
        (CLERK, {"customer": BEN}),
        (CLERK, {"status": "placed"}),
        (CUSTOMER, {"country": "France"}),
    ],
)
def test_a_page_that_passes_over_some_says_so(by: Principal, said: dict[str, str]) -> None:
    assert planned(by, **said).narrow != []


@pytest.mark.parametrize(
    "said",
    [
        {"customer": "none", "country": "France"},
        {"kind": "credit", "assigned_to": "x"},
        {"external_reference": "1", "customer": BEN},
        {"country": "France", "status": "placed"},
        {"kind": "credit", "status": "placed"},
        {"external_reference": "1", "status": "placed"},
        {"source": "shop"},
    ],
)
@pytest.mark.parametrize("by", [BOSS, CLERK, CUSTOMER], ids=lambda by: by.role)
def test_filters_that_no_index_serves_together_are_refused_and_the_right_ones_named(
    said: dict[str, str], by: Principal
) -> None:
    with pytest.raises(FiltersDoNotCombine) as refused:
        planned(by, **said)
    assert refused.value.detail


TEAM = ["mate-1", "mate-2"]
THEIRS = (*["orders_owner"] * 3, "orders_handed_over")


@pytest.mark.parametrize(
    ("said", "indexes", "narrow"),
    [
        ({}, THEIRS, False),
        ({"status": "placed"}, THEIRS, True),
        ({"assigned_to": "mate-2"}, ("orders_owner",), True),
        ({"assigned_to": "clerk-1"}, ("orders_owner",), True),
        ({"assigned_to": "a stranger"}, ("orders_handed_over",), True),
        ({"customer": BEN}, ("orders_customer",), True),
    ],
)
def test_a_clerk_with_a_team_reads_by_what_each_of_them_is_answerable_for(
    said: dict[str, str], indexes: tuple[str, ...], narrow: bool
) -> None:
    plan = planned(CLERK, TEAM, **said)
    assert tuple(one.index for one in plan.ranges) == indexes
    assert bool(plan.narrow) == narrow


def test_a_crowd_is_passed_over_rather_than_put_together() -> None:
    plan = planned(CLERK, [f"mate-{n}" for n in range(100)])
    assert [one.index for one in plan.ranges] == ["orders_placed"]
    assert plan.narrow


def test_a_cursor_belongs_to_its_direction() -> None:
    cursor = cursor_of("orders -placed_at", 1, ADA)
    assert planned(BOSS, cursor=cursor).between == ["(placed_at, id) < (:after_at, :after_id)"]
    for wrong in (cursor, cursor_of("customers name", 1, ADA), cursor_of("orders placed_at", "1", ADA), "", "x"):
        with pytest.raises(CursorInvalid):
            planned(BOSS, sort="placed_at", cursor=wrong)
