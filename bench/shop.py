"""A shop with many orders, made through the services that requests go through, so that everything is there of each."""

from collections.abc import Iterator
from pathlib import Path

from orderhouse.assembly import places
from orderhouse.assembly.contexts import Contexts
from orderhouse.kernel import clock
from orderhouse.kernel.events import Origin
from orderhouse.kernel.ids import new_id
from orderhouse.kernel.principal import Principal
from orderhouse.orders.schemas import ImportedLine, ImportOrder
from orderhouse.runtime.once import Asked
from orderhouse.runtime.settings import Settings

FIRST = 1_672_531_200_000_000
"""When the first order was placed: 2023-01-01."""

YEARS = 3
CUSTOMERS = 20_000
_AT_ONCE = 2_000
_MAKER = Principal("bench", "owner")
_YEAR = 365 * 86_400_000_000
_LINES = (("SKU-0001", "Tea, loose"), ("SKU-0002", "Milk"), ("SKU-0003", "Rice"))


async def fill(data: Path, database_url: str, count: int) -> None:
    """Place `count` orders of three lines, spread over the years, in a house that is not running."""
    settings = Settings(data_dir=data, database_url=database_url, _env_file=None)
    places.migrate_all(settings)
    contexts = Contexts.opened(settings)
    try:
        now = clock.now()
        for begin in range(0, count, _AT_ONCE):
            made = _documents(begin, min(begin + _AT_ONCE, count), count)
            asked = [Asked(document, _MAKER, now, Origin("bench")) for document in made]
            await contexts.orders.database.write_many(contexts.orders.service.place, asked)
    finally:
        await contexts.close()


_CUSTOMERS = [new_id() for _ in range(CUSTOMERS)]


def _documents(begin: int, end: int, count: int) -> Iterator[ImportOrder]:
    step = YEARS * _YEAR // count
    for n in range(begin, end):
        lines = [
            ImportedLine(sku, description, 1 + (n + m) % 5, 1_990_000 + n * 7919 % 9_000 * 10_000)
            for m, (sku, description) in enumerate(_LINES)
        ]
        yield ImportOrder(
            customer_id=_CUSTOMERS[n * 7919 % CUSTOMERS],
            currency="EUR",
            lines=lines,
            external_reference=f"B-{n}",
            note=None,
            source="bench",
            kind="sale",
            status="delivered" if n % 20 else "cancelled",
            placed_at=FIRST + n * step,
            country=f"Country {n % 30}",
            fingerprint=n.to_bytes(16, "big"),
        )
