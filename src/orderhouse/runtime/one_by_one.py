"""Work that decides one thing at a time: for writes that are rare and human, which no batch is worth it for."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TypeVar

from orderhouse.kernel.errors import Refusal
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.once import Asked

S = TypeVar("S")
W = TypeVar("W")
R = TypeVar("R")


def one_by_one(
    act: Callable[[S, Transaction, Asked[W]], R],
) -> Callable[[S, Transaction, Sequence[Asked[W]]], Sequence[R | Refusal]]:
    """Make a method that decides one thing work over many. What it refuses it raises, before it touches anything."""

    @wraps(act)
    def each(self: S, tx: Transaction, asked: Sequence[Asked[W]]) -> Sequence[R | Refusal]:
        outcomes: list[R | Refusal] = []
        for one in asked:
            try:
                outcomes.append(act(self, tx, one))
            except Refusal as refusal:
                outcomes.append(refusal)
        return outcomes

    return each
