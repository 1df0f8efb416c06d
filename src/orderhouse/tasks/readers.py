"""What tasks keeps of its neighbours' facts: which orders are on hold, and which credits there are."""

from collections.abc import Sequence

from orderhouse.kernel import money
from orderhouse.kernel.events import Fact
from orderhouse.orders.contract import FACT_KINDS, MOVED, PLACED, REPLACED
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.registry import Kinds
from orderhouse.tasks.models.marks import OrderMark
from orderhouse.tasks.repository import CauseRepository
from orderhouse.tasks.service.causes import CauseService

READS = {"orders": (PLACED, REPLACED, MOVED)}
"""Whose facts, and which of them."""

_HOLD = "on_hold"


class OrderFacts:
    """Brings what is kept of orders to where their facts leave it, and the causes of tasks with it.

    What is kept goes by the sequence of the fact it is from, so that a fact which comes twice or late changes nothing.
    """

    def __init__(self, causes: CauseService) -> None:
        """Tell `causes` which orders changed."""
        self._causes = causes
        self._kinds = Kinds("orders", FACT_KINDS)

    def __call__(self, tx: Transaction, facts: Sequence[Fact]) -> None:
        """Take `facts`; those that do not matter change nothing."""
        told = self._kinds.all_current([fact for fact in facts if matters(fact)])
        repository = CauseRepository(tx)
        before = repository.marks({fact.aggregate for fact in told})
        marks = dict(before)
        for fact in told:
            marks[fact.aggregate] = _after(marks.get(fact.aggregate) or OrderMark(fact.aggregate), fact)
        changed = [mark for mark in marks.values() if mark != before.get(mark.id)]
        repository.keep_marks(changed)
        self._causes.follow(tx, changed)


def matters(fact: Fact) -> bool:
    """Whether a rule may ask about what `fact` tells: hardly any does."""
    name, data = fact.name, fact.data
    if name == PLACED:
        return data.get("kind") != "sale" or data.get("status") == _HOLD
    if name == MOVED:
        return _HOLD in data.values()
    return name == REPLACED


def _after(mark: OrderMark, fact: Fact) -> OrderMark:
    data = fact.data
    if fact.name == MOVED:
        return mark.standing(fact.sequence, held_since=fact.at if data["to"] == _HOLD else None)
    credit = data["kind"] == "credit"
    mark = mark.amounting(
        fact.sequence,
        credit=abs(money.exact(str(data["amount"]))) if credit else None,
        currency=str(data["currency"]),
        placed_at=int(str(data["placed_at"])),
        told_at=fact.at,
    )
    if fact.name == PLACED and data["status"] == _HOLD:
        return mark.standing(fact.sequence, held_since=fact.at)
    if fact.name == REPLACED and data["status"] != _HOLD:
        return mark.standing(fact.sequence, held_since=None)
    # Replaced while it is on hold it stays on hold, since when it was put there.
    return mark
