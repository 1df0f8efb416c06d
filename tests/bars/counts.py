"""How often each bar is tried: a few times in every run, as often as it says by `make bars`."""

import os

FULL = os.environ.get("ORDERHOUSE_TEST_BARS") == "full"


def count(usual: int, full: int) -> int:
    """Return how often."""
    return full if FULL else usual
