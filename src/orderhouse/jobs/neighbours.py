"""What kinds of job ask of the rest of the house; whoever puts a worker together says what there is where it runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from orderhouse.kernel.clock import Instant
from orderhouse.kernel.principal import Principal

Told = Callable[[int, int | None, str], None]
"""How far something is: so much, of so much if that is known, and what it does at the moment."""


class Cut(NamedTuple):
    """Which sales, cut by what. None is what analytics takes where nothing is said."""

    by: str
    first_day: date | None = None
    last_day: date | None = None
    time_zone: str | None = None
    currency: str | None = None
    limit: int | None = None


class Sales(Protocol):
    """Analytics. Every call may raise a refusal."""

    async def figures(self, cut: Cut, placed_by: Instant) -> Mapping[str, Any]:
        """Return sales as the API tells them, with everything in them that was placed up to an instant at least."""

    async def rebuild(self, told: Told) -> int:
        """Make the figures anew from the facts, and return how many those are; the ones there are serve meanwhile."""


class Orders(Protocol):
    """Orders. Every call may raise a refusal."""

    async def page(
        self, filters: Mapping[str, str], caller: Principal, after: str | None
    ) -> tuple[Sequence[Mapping[str, Any]], str | None]:
        """Return some of the orders `caller` may see, whole and as the API shows them, and where the next page is."""

    async def take(self, source: str, file: Path, report: Path, *, update: bool, told: Told) -> Mapping[str, Any]:
        """Import a source's file and return what came of it; `report` becomes a file with every refused row."""


class House(Protocol):
    """All of it."""

    async def forget(self, before: Instant) -> Mapping[str, int]:
        """Remove what is kept for a time only and is older than `before` at least; return how many of what."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Whom a job may ask."""

    sales: Sales
    orders: Orders
    house: House
