"""`orderhouse seed`: a small shop's last 90 days, for a first look; all of it invented, and the same every time.

It is written through the services that requests and imports go through. What is there already is left alone: a
customer and an order are known by their source's number, and each later step is taken only at the version it belongs
to. So doing it again changes nothing, and doing it again after it was interrupted completes it.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from typing import TypeVar
from uuid import UUID

from orderhouse.assembly.contexts import Contexts
from orderhouse.customers.contract import CustomerCard
from orderhouse.customers.schemas import Change, ChangeCustomer, ImportCustomer, Seen
from orderhouse.customers.wiring import Customers
from orderhouse.kernel import clock, money
from orderhouse.kernel.clock import Instant
from orderhouse.kernel.errors import Refusal
from orderhouse.kernel.events import Origin
from orderhouse.kernel.principal import Principal
from orderhouse.orders.contract import Status
from orderhouse.orders.models import Order
from orderhouse.orders.repository import OrderRepository
from orderhouse.orders.schemas import Change as OrderChange
from orderhouse.orders.schemas import ChangeOrder, ImportedLine, ImportOrder, Move, MoveOrder
from orderhouse.orders.wiring import Orders
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.database.transaction import Transaction, Work
from orderhouse.runtime.once import Asked

W = TypeVar("W")
R = TypeVar("R")

SOURCE = "seed"
DAYS = 90
ORDERS = 300
INACTIVE = {"seed-17", "seed-34"}

_SOWER = Principal(SOURCE, "owner")
_CLERKS = ("clerk-amira", "clerk-jonas", "clerk-mei")
_MINUTE = 60_000_000
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_AT_ONCE = 100
"""How many are written in one transaction, so that whoever works beside it never waits noticeably."""

CUSTOMERS = {
    "United Kingdom": (
        "Marlow & Finch Gifts",
        "The Copper Kettle",
        "Bramble Lane Stores",
        "Harbour Street Books",
        "Tilly Oakes",
        "Pennywhistle Toys",
        "Grange Farm Shop",
        "Edmund Hartley",
        "Rosamund Pryce",
        "The Paper Lantern",
        "Wren & Daughters",
        "Ashdown Village Hall",
        "Callum Drury",
        "Saltmarsh Tearooms",
    ),
    "Ireland": ("Clonbrook House", "Niamh Tierney", "The Blue Gate, Kilmore"),
    "France": ("Maison Vauclair", "L'Atelier d'Émeline", "Théo Garrigue", "Épicerie du Vieux Pont"),
    "Germany": ("Lindenhof Geschenke", "Jürgen Überbach", "Papeterie Morgenstern", "Annika Sölle"),
    "Netherlands": ("De Kleine Kade", "Sanne Verhoeckx", "Grachtenhuis Thee"),
    "Spain": ("Casa Alborada", "Íñigo Larrañeta"),
    "Sweden": ("Åkesson Handel", "Tuva Sjöstrand"),
    "Poland": ("Księgarnia Pod Lipą", "Łucja Wąsowska"),
    "Japan": ("茶房 みどり", "Haruka Minase"),
    "United States": ("Juniper & Slate", "Cassius Boyd", "Old Mill Mercantile"),
    "Australia": ("Billabong Curios",),
}
"""Names that nobody is known by, under the country they order from."""

CATALOGUE = {
    "TEA-EARL-250": ("Earl Grey, loose, 250 g", "6.50"),
    "TEA-MINT-100": ("Peppermint leaves, 100 g", "3.95"),
    "TEA-SENCHA-100": ("Sencha, 100 g", "8.20"),
    "POT-CAST-08": ("Cast iron teapot, 0.8 l", "34.00"),
    "CUP-STONE-2": ("Stoneware cups, pair", "14.50"),
    "MUG-ENAMEL-BL": ("Enamel mug, blue", "5.25"),
    "TIN-CADDY-M": ("Tea caddy, medium", "7.75"),
    "CND-BEES-3": ("Beeswax candles, set of 3", "11.40"),
    "CND-TLIGHT-50": ("Tea lights, box of 50", "4.10"),
    "LNT-PAPER-W": ("Paper lantern, white", "2.95"),
    "BAG-JUTE-L": ("Jute shopper, large", "3.20"),
    "BAG-LUNCH-RD": ("Lunch bag, red spotty", "1.65"),
    "CLK-ALARM-GN": ("Alarm clock, bakelike, green", "3.75"),
    "FRM-OAK-A4": ("Picture frame, oak, A4", "9.90"),
    "CRD-BIRTH-10": ("Birthday cards, pack of 10", "4.80"),
    "WRP-KRAFT-5": ("Kraft wrapping paper, 5 m", "2.15"),
    "RBN-COTTON-10": ("Cotton ribbon, 10 m", "1.25"),
    "BSK-WILLOW-S": ("Willow basket, small", "12.60"),
    "THR-WOOL-GR": ("Wool throw, grey", "46.00"),
    "SPN-WOOD-4": ("Wooden spoons, set of 4", "6.95"),
    "JAR-CLIP-1L": ("Clip-top jar, 1 l", "3.35"),
    "SOAP-LAV-100": ("Lavender soap, 100 g", "2.40"),
    "GLB-SNOW-S": ("Snow globe, small", "7.10"),
    "PST-BOTANIC-A3": ("Botanical print, A3", "15.80"),
}
"""What is sold: description and price in GBP."""

_PLAIN = str.maketrans({"ł": "l", "ß": "ss", "ø": "o"})
_HELD = ("Waiting for payment.", "Address is being checked.", "Part of it is out of stock until Thursday.")
_CANCELLED = ("Ordered twice by mistake.", "Customer changed their mind.", "Out of stock for good.")
_RETURNED = ("Broken on the way.", "Not as described.", "Arrived after the party.")


@dataclass(frozen=True, slots=True)
class Step:
    """What happened to an order at some time after it was placed."""

    at: Instant
    wanted: MoveOrder | ChangeOrder


@dataclass(frozen=True, slots=True)
class Sown:
    """An order that is to be there, and all that happened to it since: each step makes its next version."""

    order: ImportOrder
    steps: tuple[Step, ...]


@dataclass(slots=True)
class SeedReport:
    """What seeding added."""

    customers: int = 0
    orders: int = 0
    steps: int = 0

    def __str__(self) -> str:
        """Tell it in a sentence."""
        if not (self.customers or self.orders or self.steps):
            return "All of it is there already; nothing was changed."
        return f"{self.customers} customers and {self.orders} orders added, and {self.steps} steps taken with them."


async def seed(contexts: Contexts, *, now: Instant | None = None) -> SeedReport:
    """See to it that the small shop is there as of `now`; what is there already is left as it is."""
    now = clock.now() if now is None else now
    report = SeedReport()
    ids = await _sow_customers(contexts.customers, now, report)
    await _sow_orders(contexts.orders, sown_orders(ids, now), now, report)
    return report


async def _sow_customers(customers: Customers, now: Instant, report: SeedReport) -> list[UUID]:
    """Return the id of each customer, in the order of `sown_customers`."""
    database, service = customers.database, customers.service
    began = now - (DAYS + 1) * _DAY
    wanted = sown_customers()
    ids = [_id(outcome) for outcome in await _written(database, service.admit, [(one, began) for one in wanted])]
    cards = await customers.directory.cards(ids)
    new = [card for card in cards.values() if card.version == 1]
    mails = [(Change(card.id, ChangeCustomer(email=_email(card)), 1), began) for card in new]
    report.customers = _done(await _written(database, service.change, mails))
    gone = [card.id for card in cards.values() if card.external_id in INACTIVE and card.version <= 2]
    await _written(database, service.deactivate, [(Seen(customer_id, 2), now - _DAY) for customer_id in gone])
    return ids


def sown_customers() -> list[ImportCustomer]:
    """Return the customers that are to be there."""
    named = [(name, country) for country, names in CUSTOMERS.items() for name in names]
    return [
        ImportCustomer(source=SOURCE, external_id=f"seed-{number:02}", name=name, country=country)
        for number, (name, country) in enumerate(named, 1)
    ]


def _email(customer: CustomerCard) -> str:
    plain = unicodedata.normalize("NFKD", customer.name.lower().translate(_PLAIN)).encode("ascii", "ignore").decode()
    return f"{'.'.join(re.findall('[a-z]+', plain)) or customer.external_id}@example.com"


async def _sow_orders(orders: Orders, sown: Sequence[Sown], now: Instant, report: SeedReport) -> None:
    database, service = orders.database, orders.service
    report.orders = _done(await _written(database, service.place, [(one.order, one.order.placed_at) for one in sown]))
    known = await _written(database, _known, [(one.order.external_reference, now) for one in sown])
    for version in range(1, 1 + max(len(one.steps) for one in sown)):
        due = [
            (there.id, one.steps[version - 1])
            for one, there in zip(sown, known, strict=True)
            if isinstance(there, Order) and there.version <= version <= len(one.steps)
        ]
        moves = [(Move(i, s.wanted, version), s.at) for i, s in due if isinstance(s.wanted, MoveOrder)]
        changes = [(OrderChange(i, s.wanted, version), s.at) for i, s in due if isinstance(s.wanted, ChangeOrder)]
        report.steps += _done(await _written(database, service.move, moves))
        report.steps += _done(await _written(database, service.change, changes))


def sown_orders(customers: Sequence[UUID], now: Instant) -> list[Sown]:
    """Return the orders that are to be there as of `now`: the same ones whenever they are asked for, only later."""
    chance = Random(20)  # noqa: S311 - it is to be foreseen: the same every time
    countries = [customer.country for customer in sown_customers()]
    # A few customers order often and most seldom, as in any shop.
    weights = [1 / rank for rank in range(1, len(customers) + 1)]
    chance.shuffle(weights)
    ages = sorted((round(chance.triangular(0, DAYS, 0) * 10) / 10 for _ in range(ORDERS)), reverse=True)
    sown = []
    for number, age in enumerate(ages, 1):
        [who] = chance.choices(range(len(customers)), weights)
        placed_at = _in_shop_hours(now, age, chance)
        order = ImportOrder(
            customer_id=customers[who],
            currency="GBP",
            lines=_lines(chance),
            external_reference=f"S-{number:04}",
            note="Please wrap as a gift." if chance.random() < 0.08 else None,
            source=SOURCE,
            kind="sale",
            status="placed",
            placed_at=placed_at,
            country=countries[who],
            fingerprint=blake2b(f"{SOURCE} {number}".encode(), digest_size=16).digest(),
        )
        sown.append(Sown(order, tuple(_steps(placed_at, now, age, chance))))
    return [*sown, *_credits(sown)]


def _in_shop_hours(now: Instant, age: float, chance: Random) -> Instant:
    """Return a moment between eight and six, that many days ago; today's are a while ago at least."""
    day = (now - int(age) * _DAY) // _DAY * _DAY
    return min(day + 8 * _HOUR + chance.randrange(10 * 60) * _MINUTE, now - chance.randrange(5, 90) * _MINUTE)


def _lines(chance: Random) -> list[ImportedLine]:
    skus = chance.sample(list(CATALOGUE), chance.choice((1, 1, 2, 2, 3, 3, 4, 6, 9)))
    quantities = [chance.choice((1, 1, 2, 2, 3, 4, 6, 12, 24)) for _ in skus]
    return [
        ImportedLine(sku, CATALOGUE[sku][0], quantity, money.exact(CATALOGUE[sku][1]))
        for sku, quantity in zip(skus, quantities, strict=True)
    ]


def _steps(placed_at: Instant, now: Instant, age: float, chance: Random) -> Iterator[Step]:
    """Yield what became of an order: somebody took it on, and then it went as far as its age lets it."""
    if chance.random() < 0.8:
        yield Step(min(placed_at + 20 * _MINUTE, now), _assigned(chance.choice(_CLERKS)))
    for to, hours, reason in _path(age, chance):
        yield Step(min(placed_at + hours * _HOUR, now), MoveOrder(to=to, reason=reason))


def _assigned(clerk: str) -> ChangeOrder:
    return ChangeOrder.model_validate({"assigned_to": clerk})


def _path(age: float, chance: Random) -> list[tuple[Status, int, str | None]]:
    """Return where an order of `age` days went: the status, how many hours after it was placed, and why."""
    fate = chance.random()
    held: tuple[Status, int, str | None] = ("on_hold", 2, chance.choice(_HELD))
    if fate < 0.05:
        return [("cancelled", 5, chance.choice(_CANCELLED))]
    if age < 3 and fate > 0.8:
        return [held]
    usual: list[tuple[Status, int, str | None]] = [
        ("confirmed", 4, None),
        ("packed", 23, None),
        ("shipped", 31, None),
        ("delivered", 95, None),
    ]
    path = usual[: sum(age >= days for days in (0.5, 1.5, 3, 7))]
    if age > 18 and fate < 0.1:
        path.append(("returned", 300, chance.choice(_RETURNED)))
    return [held, *path] if age > 3 and fate > 0.93 else path


def _credits(sown: Sequence[Sown]) -> list[Sown]:
    """Return a credit for each order that came back: its own document, which takes back all of its lines."""
    return [_credit(one.order, one.steps) for one in sown if one.steps and _came_back(one.steps[-1])]


def _credit(order: ImportOrder, steps: Sequence[Step]) -> Sown:
    back = steps[-1].at
    credit = order._replace(
        kind="credit",
        status="returned",
        external_reference=f"{order.external_reference}-C",
        placed_at=back,
        lines=[line._replace(quantity=-line.quantity) for line in order.lines],
        note=None,
    )
    return Sown(credit, tuple(Step(back, step.wanted) for step in steps if isinstance(step.wanted, ChangeOrder)))


def _came_back(step: Step) -> bool:
    return isinstance(step.wanted, MoveOrder) and step.wanted.to == "returned"


def _known(tx: Transaction, asked: Sequence[Asked[str]]) -> Sequence[Order | Refusal]:
    found = OrderRepository(tx).known([(SOURCE, one.wanted) for one in asked])
    return [found[SOURCE, one.wanted] for one in asked]


async def _written(
    database: Database, work: Work[Asked[W], R], wanted: Sequence[tuple[W, Instant]]
) -> list[R | Refusal]:
    """Return what became of each, asked at its own instant, a few at a time."""
    asked = [Asked(one, _SOWER, at, Origin(_SOWER.subject)) for one, at in wanted]
    outcomes: list[R | Refusal] = []
    for start in range(0, len(asked), _AT_ONCE):
        outcomes += await database.write_many(work, asked[start : start + _AT_ONCE])
    return outcomes


def _done(outcomes: Sequence[object]) -> int:
    return sum(not isinstance(outcome, Refusal) for outcome in outcomes)


def _id(outcome: UUID | Refusal) -> UUID:
    if isinstance(outcome, Refusal):
        raise outcome
    return outcome
