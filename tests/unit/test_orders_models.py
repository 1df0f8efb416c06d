"""The rules of an order, whoever asks: exact amounts, the status machine, who may know of it."""

from decimal import ROUND_HALF_UP, Decimal
from itertools import product
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderhouse.kernel import money
from orderhouse.kernel.principal import Principal
from orderhouse.orders.contract import STATUSES, Status
from orderhouse.orders.errors import AmountTooLarge, MoveNotAllowed
from orderhouse.orders.models import MOVES, Order
from orderhouse.orders.schemas import ImportedLine, ImportOrder, PlaceOrder
from tests.unit.orders_world import ADA, BOSS, CLERK, LINE, NOW, caller, document, wanted


def place(what: PlaceOrder | ImportOrder, by: Principal = BOSS) -> Order:
    order = Order.place(what, by=by, at=NOW, country="France")
    assert isinstance(order, Order), order
    return order


PRICES = st.decimals(min_value=0, max_value=10**6, places=6)
QUANTITIES = st.integers(min_value=1, max_value=10_000)


@given(st.lists(st.tuples(QUANTITIES, PRICES), min_size=1, max_size=20), st.sampled_from(["GBP", "JPY", "KWD", "CLF"]))
def test_an_order_amounts_to_the_exact_sum_of_its_lines_rounded_once(
    lines: list[tuple[int, Decimal]], currency: str
) -> None:
    said = [{"sku": "A", "quantity": quantity, "unit_price": f"{price:f}"} for quantity, price in lines]
    order = place(wanted(lines=said, currency=currency))
    amount = sum((quantity * price for quantity, price in lines), Decimal())
    assert [Decimal(line.amount) / money.SCALE for line in order.lines] == [q * p for q, p in lines]
    assert Decimal(order.amount) / money.SCALE == amount
    digits = money.CURRENCIES[currency]
    assert order.total == int(amount.scaleb(digits).to_integral_value(ROUND_HALF_UP))
    assert [line.line for line in order.lines] == list(range(1, order.line_count + 1))


def test_half_a_penny_is_rounded_away_from_zero_on_either_side() -> None:
    for price, total in ((5_000, 1), (-5_000, -1), (4_999, 0), (-4_999, 0)):
        assert place(document(lines=[ImportedLine("A", None, 1, price)])).total == total


def test_an_amount_at_the_limit_is_kept_and_one_beyond_is_refused() -> None:
    def of(*amounts: int) -> Order | AmountTooLarge:
        lines = [ImportedLine("A", None, 1, amount) for amount in amounts]
        return Order.place(document(lines=lines), by=BOSS, at=NOW, country=None)

    kept = [[money.LIMIT], [-money.LIMIT], [money.LIMIT, -1, 1]]
    refused = [[money.LIMIT + 1], [-money.LIMIT - 1], [money.LIMIT, 1], [money.LIMIT + 1, -1]]
    assert all(isinstance(of(*amounts), Order) for amounts in kept)
    assert all(isinstance(of(*amounts), AmountTooLarge) for amounts in refused)


def test_a_requests_order_is_a_sale_placed_now_and_its_placers_to_answer_for() -> None:
    order = place(wanted(external_reference="PO-1", note="n"), CLERK)
    assert (order.kind, order.status, order.source, order.placed_at, order.updated_at) == (
        "sale",
        "placed",
        "api",
        NOW,
        NOW,
    )
    assert (order.placed_by, order.owner_id, order.customer_id, order.country) == ("clerk-1", "clerk-1", ADA, "France")
    assert (order.version, order.fingerprint, order.external_reference, order.note) == (1, None, "PO-1", "n")


@pytest.mark.parametrize("role", ["customer", "service"])
def test_nobody_answers_for_what_no_staff_placed(role: str) -> None:
    assert place(wanted(), caller(role, "x", ADA if role == "customer" else None)).owner_id is None  # type: ignore[arg-type]


def test_a_trusted_document_is_what_it_says() -> None:
    what = document(kind="credit", status="returned", country=None, lines=[ImportedLine("TEA", None, -3, 1_500_000)])
    order = place(what)
    assert (order.kind, order.status, order.source, order.placed_at) == ("credit", "returned", "shop", what.placed_at)
    assert (order.customer_id, order.country, order.owner_id, order.fingerprint) == (None, None, None, b"one")
    assert (order.amount, order.total, order.updated_at) == (-4_500_000, -450, NOW)


def test_a_document_of_ten_thousand_lines_is_kept() -> None:
    order = place(document(lines=[ImportedLine("A", None, 1, 1)] * 10_000))
    assert (order.line_count, order.lines[-1].line, order.amount) == (10_000, 10_000, 10_000)


def test_every_status_has_its_line_in_the_table_and_what_is_over_stays_over() -> None:
    assert tuple(MOVES) == STATUSES
    assert {to for moves in MOVES.values() for to in moves} == set(STATUSES)
    assert [status for status, moves in MOVES.items() if not moves] == ["cancelled", "returned"]


@pytest.mark.parametrize(("at", "to"), list(product(STATUSES, STATUSES)))
def test_an_order_goes_where_the_table_says_and_nowhere_else(at: Status, to: Status) -> None:
    order = place(document(status=at))
    if to in MOVES[at]:
        moved = order.move(to, at=NOW + 1)
        assert (moved.status, moved.version, moved.updated_at) == (to, 2, NOW + 1)
        assert order.status == at
        return
    with pytest.raises(MoveNotAllowed) as refused:
        order.move(to, at=NOW + 1)
    assert refused.value.more == {"current": at, "allowed": list(MOVES[at])}
    assert all(status in refused.value.detail for status in (at, *MOVES[at]))


@pytest.mark.parametrize("kind", ["credit", "adjustment"])
def test_what_is_booked_goes_nowhere(kind: str) -> None:
    for status, to in product(STATUSES, STATUSES):
        with pytest.raises(MoveNotAllowed) as refused:
            place(document(kind=kind, status=status)).move(to, at=NOW)
        assert refused.value.more["allowed"] == []


@pytest.mark.parametrize(
    ("who", "sees"),
    [
        (caller("customer", "ada", ADA), True),
        (caller("customer", "ben", uuid4()), False),
        (caller("customer", "clerk-1", uuid4()), False),
        (caller("clerk", "clerk-1"), True),
        (caller("clerk", "clerk-2"), False),
        (caller("manager", "x"), True),
        (caller("owner", "x"), True),
        (caller("analyst", "x"), True),
        (caller("service", "x"), True),
    ],
)
def test_an_order_is_seen_by_whom_it_concerns(who: Principal, *, sees: bool) -> None:
    assert place(wanted(), CLERK).visible_to(who) is sees


def test_a_clerk_still_sees_what_it_handed_over_and_not_what_was_taken_from_everybody() -> None:
    order = place(wanted(), CLERK)
    other = caller("clerk", "clerk-2")
    given = order.changed(NOW, owner_id="clerk-2")
    assert (given.visible_to(CLERK), given.visible_to(other)) == (True, True)
    taken = order.changed(NOW, owner_id=None)
    assert (taken.visible_to(CLERK), taken.visible_to(other)) == (False, False)


def test_a_document_without_a_customer_is_no_customers() -> None:
    assert not place(document()).visible_to(Principal("x", "customer", None))


def test_a_document_taken_anew_keeps_what_was_done_with_it_here() -> None:
    before = place(document(note="from the source")).changed(NOW, status="returned", owner_id="clerk-7", note="ours")
    lines = [ImportedLine("COFFEE", None, 1, 9_000_000)]
    after = place(document(lines=lines, country="Japan", fingerprint=b"two")).in_place_of(before)
    assert (after.id, after.version, after.fingerprint) == (before.id, 3, b"two")
    assert (after.lines[0].sku, after.amount, after.country) == ("COFFEE", 9_000_000, "Japan")
    assert (after.status, after.owner_id, after.note) == ("returned", "clerk-7", "ours")
    assert place(document(note="new")).in_place_of(before).note == "new"


def test_a_document_that_became_one_of_another_kind_starts_anew() -> None:
    before = place(document()).changed(NOW, status="returned")
    assert place(document(kind="adjustment")).in_place_of(before).status == "delivered"


def test_lines_keep_their_text_to_the_byte() -> None:
    said = {**LINE, "sku": " Ünï ☃ ", "description": "\u200b x \u2028"}
    [line] = place(wanted(lines=[said])).lines
    assert (line.sku, line.description) == (said["sku"], said["description"])
