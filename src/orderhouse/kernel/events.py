"""Facts: what happened, in the past tense, told once by the context it happened in and kept in its log."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from orderhouse.kernel.clock import Instant

Upcast = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Makes the data of one version that of the next."""


class FactData(BaseModel):
    """What a fact tells, besides of whom and when: ids, numbers and words of ours, never personal data."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class NoData(FactData):
    """Nothing more than that it happened."""


@dataclass(frozen=True, slots=True)
class FactKind:
    """A kind of fact, as the contract of its context declares it: what it means, and its present data."""

    name: str
    meaning: str
    data: type[FactData]
    version: int = 1
    upcasts: Mapping[int, Upcast] = field(default_factory=dict)
    """For every earlier version, what makes its data that of the next."""

    def __post_init__(self) -> None:
        """Be sure that every version there ever was leads to the present one."""
        if set(self.upcasts) != set(range(1, self.version)):
            raise ValueError(f"{self.name} is at version {self.version}: its upcasts are {sorted(self.upcasts)}")


class Origin(NamedTuple):
    """Who caused something, by which request, within which trace."""

    actor: str
    request_id: str = ""
    trace: str = ""


class NewFact(NamedTuple):
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


class Fact(NamedTuple):
    """A fact as its context's log keeps it; `position` counts all facts of the log from 1, without gaps."""

    position: int
    id: UUID
    name: str
    version: int
    aggregate: UUID
    sequence: int
    data: Mapping[str, object]
    at: Instant
    origin: Origin = Origin("")
