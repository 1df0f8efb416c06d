"""Facts: what happened, in the past tense, told once by the context it happened in and kept in its log."""

from collections.abc import Mapping
from typing import NamedTuple
from uuid import UUID

from orderhouse.kernel.clock import Instant


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
