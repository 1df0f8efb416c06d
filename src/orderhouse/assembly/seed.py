"""`orderhouse seed`: a small shop's last 90 days, for a first look; all of it invented, and the same every time.

It is written through the services that requests and imports go through. What is there already is left alone: a
customer and an order are known by their source's number, and each later step is taken only at the version it belongs
to. So doing it again changes nothing, and doing it again after it was interrupted completes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from random import Random
from typing import TypeVar
from uuid import UUID

from orderhouse.assembly.contexts import Contexts
from orderhouse.customers.schemas import Change, ChangeCustomer, ImportCustomer, Seen
from orderhouse.kernel import clock, money
from orderhouse.kernel.clock import Instant
from orderhouse.kernel.errors import Refusal
from orderhouse.kernel.events import Origin
from orderhouse.kernel.principal import Principal
from orderhouse.orders.contract import Status
from orderhouse.orders.models import Order
from orderhouse.orders.repository import Known, OrderRepository
from orderhouse.orders.schemas import ChangeOrder, ImportedLine, ImportOrder, Move, MoveOrder
from orderhouse.orders.schemas import Change as OrderChange
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

_HELD = ("Waiting for payment.", "Address is being checked.", "Part of it is out of stock until Thursday.")
_CANCELLED = ("Ordered twice by mistake.", "Customer changed their mind.", "Out of stock for good.")
_RETURNED = ("Broken on the way.", "Not as described.", "Arrived after the party.")


@dataclass(frozen=True, slots=True)
class Step:
    """What happened to an order some time after it was placed."""

    after: Instant
    wanted: MoveOrder | ChangeOrder


@dataclass(frozen=True, slots=True)
class Sown:
    """An order to be there, and all that happened to it since."""

    order: ImportOrder
    steps: tuple[Step, ...]


@dataclass(slots=True)
class SeedReport:
    """What seeding added."""

    customers: int = 0
    orders: int = 0
    steps: int = 0
    refused: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        if not (self.customers or self.orders or self.steps):
            return "All of it is there already; nothing was changed."
        return f"{self.customers} customers and {self.orders} orders added, {self.steps} steps taken with them."


async def seed(contexts: Contexts, *, now: Instant | None = None) -> SeedReport:
    """See to it that the small shop is there; what is there already is left as it is."""
    now = clock.now() if now is None else now
    report = SeedReport()
    customers = await _sow_customers(contexts, now, report)
    await _sow_orders(contexts, sown_orders(customers, now), now, report)
    return report


async def _sow_customers(contexts: Contexts, now: Instant, report: SeedReport) -> dict[str, tuple[UUID, str]]:
    """Return the id and the country of each customer by its external id."""
    database, service, directory = contexts.customers.database, contexts.customers.service, contexts.customers.directory
    wanted = sown_customers()
    before = await database.read(lambda reading: reading.row("SELECT count(*) FROM customers WHERE source = 'seed'"))
    admitted = await _written(database, service.admit, wanted, now - (DAYS + 1) * _DAY)
    ids = [outcome for outcome in admitted if isinstance(outcome, UUID)]
    cards = await directory.cards(ids)
