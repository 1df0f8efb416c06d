"""Every query that writing orders needs, and nothing else. Plain SQL: this is the hot path."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import attrgetter, itemgetter
from uuid import UUID

import orjson

from orderhouse.kernel.errors import Refusal
from orderhouse.kernel.principal import Principal
from orderhouse.orders import models
from orderhouse.orders.cards import CardsSeen
from orderhouse.orders.errors import OrderChanged, ReferenceTaken
from orderhouse.orders.models import CustomerCard, Order, OrderLine
from orderhouse.runtime.database.sql import Row, as_id, as_id_or_none
from orderhouse.runtime.database.transaction import Reading, Transaction

REFUSALS: Mapping[str, type[Refusal]] = {
    "orders_reference": ReferenceTaken,
    # Two writers made the next version of one order at once: the second one read what is no more.
    "facts_aggregate": OrderChanged,
}
"""What it means that a constraint of the database was broken."""

HEAD = tuple(column.name for column in models.orders.columns if column.name != "lines")
"""Every column of an order but its lines."""
assert Order._fields == (*HEAD, "lines"), "an order's row is its fields"

Reference = tuple[str, str]
"""A source, and its number for a document."""


def order_of(row: Sequence[object]) -> Order:
    """Return the order a row of the table holds, without its lines."""
    order_id, kind, status, currency, customer_id, *rest = row
    return Order(as_id(order_id), kind, status, currency, as_id_or_none(customer_id), *rest)  # type: ignore[arg-type]  # typed by the table


def lines_of(kept: str) -> tuple[OrderLine, ...]:
    """Return the lines that a row of the table holds."""
    return tuple(OrderLine(*line) for line in orjson.loads(kept))


def _row_of(order: Order) -> Row:
    return (*order[:-1], orjson.dumps([*map(tuple, order.lines)]).decode())


class OrderRepository:
    """Orders in one transaction."""

    def __init__(self, tx: Transaction, seen: CardsSeen | None = None) -> None:
        """Work in `tx`, and look up no card that was `seen` lately."""
        self._tx = tx
        self._seen = seen or CardsSeen()

    def cards_of(self, customers: Collection[UUID]) -> dict[UUID, CustomerCard]:
        """Return the card of each customer we know. The transaction stands only if those seen before still hold."""
        cards = {} if self._tx.wary else self._seen.of(customers)
        self._tx.expect(models.customer_cards, [(customer, card.version) for customer, card in cards.items()])
        if missing := [customer for customer in customers if customer not in cards]:
            found = self._tx.rows(
                "SELECT customer_id, active, country, version FROM customer_cards WHERE customer_id IN :ids",
                ids=missing,
            )
            there = [*map(_card, found)]
            self._seen.see(there)
            cards.update((card.customer_id, card) for card in there)
        return cards

    def known(self, references: Collection[Reference]) -> dict[Reference, Order]:
        """Return which documents are there already, without their lines."""
        by_source: dict[str, list[str]] = defaultdict(list)
        for source, reference in references:
            by_source[source].append(reference)
        return {
            (source, str(order.external_reference)): order
            for source, wanted in by_source.items()
            for order in map(
                order_of,
                self._tx.rows(
                    f"SELECT {', '.join(HEAD)} FROM orders "
                    "WHERE source = :source AND external_reference IN :wanted AND external_reference IS NOT NULL",
                    source=source,
                    wanted=wanted,
                ),
            )
        }

    def to_change(self, ids: Collection[UUID]) -> dict[UUID, Order]:
        """Return these orders, without their lines; what is made of them is kept only if nobody changed them meanwhile.

        Who did has made an order's next version, which is there once: ours is refused, and the work is done again,
        warily. Then they are locked, so that it is not refused again.
        """
        lock = self._tx.for_update if self._tx.wary else ""
        found = self._tx.rows(
            f"SELECT {', '.join(HEAD)} FROM orders WHERE id IN :ids ORDER BY id{lock}",
            ids=sorted(set(ids)),
        )
        return {order.id: order for order in map(order_of, found)}

    def add(self, orders: Collection[Order]) -> None:
        """Keep new orders with their lines."""
        self._tx.add(models.orders, map(_row_of, orders))

    def replace(self, orders: Iterable[Order]) -> None:
        """Keep each order in the place of the one with its id, lines and all."""
        self._tx.change(models.orders, Order._fields[1:], map(_row_of, orders))

    def save(self, orders: Iterable[Order]) -> None:
        """Keep what may change of orders that are there."""
        columns = ("status", "owner_id", "note", "version", "updated_at")
        values = attrgetter("id", *columns)
        # In the order of their ids: of two transactions that write the same orders, one waits for the other.
        self._tx.change(models.orders, columns, sorted(map(values, orders), key=itemgetter(0)))

    def add_reasons(self, reasons: Iterable[tuple[UUID, int, str]]) -> None:
        """Keep why orders were moved: (order, version it got, reason)."""
        self._tx.add(models.order_reasons, reasons)

    def keep_cards(self, cards: Iterable[CustomerCard]) -> None:
        """Keep each card, unless a newer one is there."""
        for card in cards:
            self._tx.run(
                "INSERT INTO customer_cards (customer_id, active, country, version) "
                "VALUES (:customer_id, :active, :country, :version) ON CONFLICT (customer_id) DO UPDATE SET "
                "active = excluded.active, country = excluded.country, version = excluded.version "
                "WHERE customer_cards.version < excluded.version",
                customer_id=card.customer_id,
                active=card.active,
                country=card.country,
                version=card.version,
            )

    def of_a_team_mate(self, order: Order, caller: Principal) -> bool:
        """Whether somebody of `caller`'s team is answerable for `order`: asked only of what is not theirs."""
        return of_a_team_mate(self._tx, order, caller)

    def keep_member(self, team: UUID, user: str, *, present: bool, version: int) -> None:
        """Note whether somebody is in a team, unless what is there is newer."""
        self._tx.run(
            "INSERT INTO team_members (team_id, user_id, present, version) VALUES (:team, :user, :present, :version) "
            "ON CONFLICT (team_id, user_id) DO UPDATE SET present = excluded.present, version = excluded.version "
            "WHERE team_members.version < excluded.version",
            team=team,
            user=user,
            present=present,
            version=version,
        )

    def dissolve(self, team: UUID, version: int) -> None:
        """Note that nobody is in a team any more."""
        self._tx.run(
            "UPDATE team_members SET present = :present, version = :version WHERE team_id = :team",
            present=False,
            version=version,
            team=team,
        )

    def forget_member(self, user: str) -> None:
        """Note that somebody is in no team any more."""
        self._tx.run("UPDATE team_members SET present = :present WHERE user_id = :user", present=False, user=user)

    def set_active(self, customer: UUID, *, active: bool, version: int) -> None:
        """Note on a card whether the customer may place orders, unless a newer card is there."""
        self._tx.run(
            "UPDATE customer_cards SET active = :active, version = :version "
            "WHERE customer_id = :customer AND version < :version",
            customer=customer,
            active=active,
            version=version,
        )


_TEAM = (
    "FROM team_members AS mine JOIN team_members AS theirs ON theirs.team_id = mine.team_id "
    "WHERE mine.user_id = :me AND mine.present AND theirs.present"
)


def of_a_team_mate(reading: Reading, order: Order, caller: Principal) -> bool:
    """Whether `caller` is a clerk, and somebody who is answerable for `order` is in one of their teams."""
    if caller.role != "clerk" or order.owner_id is None:
        return False
    return bool(
        reading.row(f"SELECT 1 {_TEAM} AND theirs.user_id = :owner LIMIT 1", me=caller.subject, owner=order.owner_id)
    )


def team_mates(reading: Reading, caller: Principal) -> list[str]:
    """Return who else is in the teams of `caller`; nobody for a role other than clerk, which sees by other rules."""
    if caller.role != "clerk":
        return []
    found = reading.rows(
        f"SELECT DISTINCT theirs.user_id {_TEAM} AND theirs.user_id <> :me ORDER BY theirs.user_id", me=caller.subject
    )
    return [row[0] for row in found]


def _card(row: Row) -> CustomerCard:
    return CustomerCard(as_id(row[0]), bool(row[1]), row[2], row[3])
