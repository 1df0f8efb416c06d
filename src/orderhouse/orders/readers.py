"""What orders keeps of its neighbours' facts: a card of each customer."""

from collections.abc import Sequence

from orderhouse.customers import contract
from orderhouse.kernel.events import Fact
from orderhouse.orders.models import CustomerCard
from orderhouse.orders.repository import OrderRepository
from orderhouse.runtime.database.transaction import Transaction

READS = {"customers": contract.FACTS}
"""Whose facts, and which of them."""


def keep_cards(tx: Transaction, facts: Sequence[Fact]) -> None:
    """Keep the card of each customer the facts tell of; a newer one that is there stays."""
    latest = {fact.aggregate: fact for fact in facts if fact.name in READS["customers"]}
    OrderRepository(tx).keep_cards(
        CustomerCard(fact.aggregate, bool(fact.data["active"]), _country(fact), fact.sequence)
        for fact in latest.values()
    )


def _country(fact: Fact) -> str | None:
    country = fact.data["country"]
    return country if country is None or isinstance(country, str) else str(country)
