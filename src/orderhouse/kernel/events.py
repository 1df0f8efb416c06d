"""Facts: what happened, in the past tense, told once by the context it happened in and kept in its log."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from orderhouse.kernel.clock import Instant


@dataclass(frozen=True, slots=True)
class Origin:
    """Who caused something, by which request, within which trace."""

    actor: str
    request_id: str = ""
    trace: str = ""


@dataclass(frozen=True, slots=True)
class NewFact:
    """A fact about to be told. `data` holds ids, numbers and words of ours, never personal data.

    `sequence` counts the facts of one aggregate from 1 and is the aggregate's version after this fact.
    """

    name: str
    aggregate: UUID
    sequence: int
    data: Mapping[str, object]
    at: Instant
    origin: Origin
    version: int = 1


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact as its context's log keeps it; `position` counts all facts of the log from 1, without gaps."""

    position: int
    id: UUID
    name: str
    version: int
    aggregate: UUID
    sequence: int
    data: Mapping[str, object]
    at: Instant
    origin: Origin = field(default_factory=lambda: Origin(""))
