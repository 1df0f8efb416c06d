"""Cards of customers who ordered lately: looked up once, and then checked by what is written because of them."""

from collections.abc import Collection, Iterable
from uuid import UUID

from orderhouse.orders.models import CustomerCard


class CardsSeen:
    """Customers' cards as this process found them: `most` of them at most, and the one found first makes room."""

    def __init__(self, most: int = 10_000) -> None:
        """Know nobody. Ten thousand cards are about three megabytes."""
        self._most = most
        self._cards: dict[UUID, CustomerCard] = {}

    def of(self, customers: Collection[UUID]) -> dict[UUID, CustomerCard]:
        """Return the cards of those of `customers` that were found."""
        return {customer: card for customer in customers if (card := self._cards.get(customer))}

    def see(self, cards: Iterable[CustomerCard]) -> None:
        """Remember what was found."""
        for card in cards:
            self._cards.pop(card.customer_id, None)
            self._cards[card.customer_id] = card
        while len(self._cards) > self._most:
            del self._cards[next(iter(self._cards))]
