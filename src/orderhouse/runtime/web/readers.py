"""Readers over HTTP: who reads whose facts and how far each has come, and replays of a range."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from orderhouse.kernel.clock import text_or_none
from orderhouse.runtime.once import Answer
from orderhouse.runtime.subscribers import (
    RangeNotTaken,
    ReaderUnknown,
    ReplaysNothing,
    ReplayUnderWay,
    Standing,
    Subscriber,
)
from orderhouse.runtime.web.answers import json_answer
from orderhouse.runtime.web.facts import LARGEST_POSITION
from orderhouse.runtime.web.fastapi_edge import Asker, Edge, needs

PATH = "/v1/readers"
_LARGEST_REPLAY = 10_000


class _Schema(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ReaderOut(_Schema):
    """How far a reader has come."""

    name: str = Field(examples=["orders.customers"])
    log: str = Field(description="Whose facts it reads.", examples=["customers"])
    position: int = Field(description="Of the last fact it has taken.")
    lag: int = Field(description="How many facts it has still to take.")
    oldest_at: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})] = Field(
        description="When the oldest of them was told."
    )
    waiting: int = Field(description="Parked facts that are tried again by themselves.")
    dead: int = Field(description="Parked facts that were given up.")
    attempts: int = Field(description="The most attempts at one parked fact.")
    parked_since: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})] = Field(
        description="When the oldest parked fact was parked."
    )
    ok: bool = Field(description="Whether it goes on.")


class Readers(_Schema):
    """Every reader."""

    items: list[ReaderOut]


class Replay(_Schema):
    """Which facts a reader is to take again: positions, both ends included."""

    first: int = Field(ge=1, le=LARGEST_POSITION, examples=[1])
    last: int = Field(ge=1, le=LARGEST_POSITION, examples=[100])


class ReplayOut(_Schema):
    """What was queued."""

    reader: str
    first: int
    last: int
    queued: int


class ReplayTooLong(RangeNotTaken):
    """Ten thousand facts at a time are replayed by the API; the command line takes any range."""

    code = "replay_too_long"


def routes(edge: Edge, subscribers: Sequence[Subscriber]) -> APIRouter:
    """Return the routes of readers."""
    router = edge.router(PATH, "facts")
    by_name = {one.name: one for one in subscribers}

    @router.get("", response_model=Readers, **needs("facts:read"))
    async def list_readers() -> Answer:
        """List who reads whose facts, and how far each has come."""
        return json_answer({"items": [_shown(one, await one.standing()) for one in subscribers]})

    @router.post(
        "/{reader}/replays",
        status_code=202,
        response_model=ReplayOut,
        **needs("facts:mend", ReaderUnknown, RangeNotTaken, ReplayTooLong, ReplayUnderWay, ReplaysNothing),
    )
    async def replay_facts(reader: str, wanted: Replay, caller: Asker) -> Answer:
        """Have a reader take a range of facts again, in order of each aggregate, with retries."""
        if reader not in by_name:
            raise ReaderUnknown
        if wanted.last - wanted.first >= _LARGEST_REPLAY:
            raise ReplayTooLong
        queued = await by_name[reader].replay(wanted.first, wanted.last, by=caller.subject)
        return json_answer({"reader": reader, "first": wanted.first, "last": wanted.last, "queued": queued}, status=202)

    return router


def _shown(subscriber: Subscriber, standing: Standing) -> dict[str, Any]:
    return {
        "name": subscriber.name,
        "log": subscriber.log.name,
        "position": standing.position,
        "lag": standing.lag,
        "oldest_at": text_or_none(standing.oldest_at),
        "waiting": standing.waiting,
        "dead": standing.dead,
        "attempts": standing.attempts,
        "parked_since": text_or_none(standing.parked_since),
        "ok": not standing.trouble,
    }
