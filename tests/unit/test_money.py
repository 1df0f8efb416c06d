"""Money is exact until it is shown, and then rounded once, half away from zero."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderhouse.kernel import money

AMOUNTS = st.integers(-money.LIMIT, money.LIMIT)
CODES = st.sampled_from(sorted(money.CURRENCIES))


@given(AMOUNTS, CODES)
def test_exact_text_says_every_digit(amount: int, currency: str) -> None:
    text = money.exact_text(amount, currency)
    assert Decimal(text) * money.SCALE == amount
    if abs(amount) < money.LIMIT:
        assert money.exact(text) == amount


@given(AMOUNTS, CODES)
def test_rounding_is_that_of_decimal(amount: int, currency: str) -> None:
    unit = Decimal(1).scaleb(-money.CURRENCIES[currency])
    expected = (Decimal(amount) / money.SCALE).quantize(unit, rounding=ROUND_HALF_UP)
    assert Decimal(money.rounded_text(amount, currency)) == expected


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        (1_005_000, "GBP", "1.01"),
        (-1_005_000, "GBP", "-1.01"),
        (-4_999, "GBP", "0.00"),
        (-5_000, "GBP", "-0.01"),
        (1_500_000, "JPY", "2"),
        (1_500_000, "BHD", "1.500"),
        (0, "JPY", "0"),
    ],
)
def test_amounts_are_shown_with_the_digits_of_their_currency(amount: int, currency: str, shown: str) -> None:
    assert money.rounded_text(amount, currency) == shown


@pytest.mark.parametrize("text", ["3.50", "0", "-0.000001", "999999999999.999999", "007.1"])
def test_plain_decimals_are_taken(text: str) -> None:
    assert money.exact(text) == int(Decimal(text) * money.SCALE)


@pytest.mark.parametrize(
    "text", ["", ".5", "5.", "1e3", "+1", "1,5", " 1", "1\n", "٣", "NaN", "1.0000001", "1000000000000", "--1", "0x1"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="plain decimal"):
        money.exact(text)
