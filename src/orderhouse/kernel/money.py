"""Exact money: amounts are integer millionths of a currency unit; rounding happens once, at the answer.

Prices and line amounts are exact. A document's payable total and every sum that is shown are rounded once, half away
from zero, to the minor unit of the currency (ISO 4217). No float ever holds an amount.
"""

import re
from functools import lru_cache

SCALE = 1_000_000
"""Millionths: six decimals, the most a price may have."""

LIMIT = 10**18
"""The largest amount a document may have, in millionths, either sign; it leaves room in 64 bits."""

# ISO 4217: the active codes by the digits of their minor unit.
_NO_DIGITS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DIGITS = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DIGITS = "CLF UYW"
_TWO_DIGITS = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY "
    "COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS "
    "INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR "
    "MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP "
    "STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
)
_BY_DIGITS = {0: _NO_DIGITS, 2: _TWO_DIGITS, 3: _THREE_DIGITS, 4: _FOUR_DIGITS}
CURRENCIES = dict(sorted((code, digits) for digits, codes in _BY_DIGITS.items() for code in codes.split()))
"""Every accepted currency and the digits of its minor unit."""

_DECIMAL = re.compile(r"(-?)(\d{1,12})(?:\.(\d{1,6}))?", re.ASCII)


def exact(text: str) -> int:
    """Return the decimal `text` in millionths; ValueError unless it is plain digits with at most six decimals."""
    found = _DECIMAL.fullmatch(text)
    if found is None:
        raise ValueError("not a plain decimal with at most 12 digits before and 6 after the point")
    sign, whole, fraction = found.groups("")
    amount = int(whole + fraction.ljust(6, "0"))
    return -amount if sign else amount


@lru_cache(maxsize=4096)
def exact_text(amount: int, currency: str) -> str:
    """Return an exact `amount` as decimal text: all its digits, and never fewer than the currency's minor unit has."""
    whole, fraction = divmod(abs(amount), SCALE)
    digits = CURRENCIES[currency]
    kept = f"{fraction:06}".rstrip("0").ljust(digits, "0")
    return f"{'-' if amount < 0 else ''}{whole}{'.' if kept else ''}{kept}"


def minor(amount: int, currency: str) -> int:
    """Return an exact `amount` in minor units, rounded half away from zero."""
    step: int = SCALE // 10 ** CURRENCIES[currency]
    rounded = (abs(amount) + step // 2) // step
    return -rounded if amount < 0 else rounded


@lru_cache(maxsize=4096)
def minor_text(units: int, currency: str) -> str:
    """Return minor `units` as decimal text with exactly the currency's digits."""
    digits = CURRENCIES[currency]
    if not digits:
        return str(units)
    whole, fraction = divmod(abs(units), 10**digits)
    return f"{'-' if units < 0 else ''}{whole}.{fraction:0{digits}}"


def rounded_text(amount: int, currency: str) -> str:
    """Return an exact `amount` as it is shown: rounded once to the minor unit."""
    return minor_text(minor(amount, currency), currency)
