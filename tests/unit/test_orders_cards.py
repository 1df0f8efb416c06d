"""Cards seen lately: the latest of each customer, of so many customers and no more."""

from orderhouse.kernel.ids import new_id
from orderhouse.orders.cards import CardsSeen
from orderhouse.orders.models import CustomerCard


def card(version: int = 1) -> CustomerCard:
    return CustomerCard(new_id(), active=True, country="Peru", version=version)


def test_cards_are_found_by_their_customers_the_latest_of_each() -> None:
    seen, one, other = CardsSeen(), card(), card()
    seen.see([one, other])
    seen.see([one._replace(version=2)])
    asked = [one.customer_id, other.customer_id, new_id()]
    assert seen.of(asked) == {one.customer_id: one._replace(version=2), other.customer_id: other}


def test_there_are_so_many_and_the_first_makes_room() -> None:
    seen, cards = CardsSeen(most=3), [card() for _ in range(4)]
    seen.see(cards[:3])
    seen.see([cards[0]])
    seen.see([cards[3]])
    assert set(seen.of([one.customer_id for one in cards])) == {cards[n].customer_id for n in (0, 2, 3)}
