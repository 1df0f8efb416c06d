"""What orders keeps of its neighbours' facts: a card of each customer, and who is in which team."""

from collections.abc import Sequence

from orderhouse.customers.contract import (
    FACTS,
    CustomerAdded,
    CustomerChanged,
    CustomerDeactivated,
    CustomerReactivated,
)
from orderhouse.kernel.events import Fact
from orderhouse.orders.models import CustomerCard
from orderhouse.orders.repository import OrderRepository
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.users import contract as users

_TEAMS = (users.TeamJoined.name, users.TeamLeft.name, users.TeamRemoved.name, users.UserErased.name)

READS = {"customers": tuple(FACTS), "users": _TEAMS}
"""Whose facts, and which of them."""


def keep_cards(tx: Transaction, facts: Sequence[Fact]) -> None:
    """Bring the cards to where the facts leave them; a newer card that is there stays."""
    cards = OrderRepository(tx)
    for fact in facts:
        if fact.name in (CustomerAdded.name, CustomerChanged.name):
            told = CustomerAdded.read(fact)
            cards.keep_cards([CustomerCard(told.customer_id, told.active, told.country, told.version)])
        elif fact.name in (CustomerDeactivated.name, CustomerReactivated.name):
            cards.set_active(fact.aggregate, active=fact.name == CustomerReactivated.name, version=fact.sequence)


def keep_teams(tx: Transaction, facts: Sequence[Fact]) -> None:
    """Bring who is in which team to where the facts leave it; an earlier fact that comes again changes nothing."""
    orders = OrderRepository(tx)
    for fact in facts:
        if fact.name in (users.TeamJoined.name, users.TeamLeft.name):
            told = users.TeamJoined.read(fact)
            orders.keep_member(told.id, told.user_id, present=fact.name == users.TeamJoined.name, version=told.version)
        elif fact.name == users.TeamRemoved.name:
            orders.dissolve(fact.aggregate, fact.sequence)
        elif fact.name == users.UserErased.name:
            orders.forget_member(str(fact.aggregate))
