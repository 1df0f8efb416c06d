"""Dead letters over HTTP: look at them, mend them, replay them, give them up."""

from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from orderhouse.kernel.clock import as_text
from orderhouse.kernel.pages import LARGEST_PAGE, USUAL_PAGE, Cursor, CursorInvalid, cursor_of, key_of
from orderhouse.runtime import cloudevents
from orderhouse.runtime.dead_letters import DeadLetters, Letter, LetterMovedOn, LetterUnknown
from orderhouse.runtime.once import Answer
from orderhouse.runtime.registry import FactMalformed, FactUnknown
from orderhouse.runtime.subscribers import ReaderUnknown
from orderhouse.runtime.web.answers import DONE, etag, json_answer
from orderhouse.runtime.web.fastapi_edge import Asker, Edge, IfMatch, IfMatchMaybe, needs

PATH = "/v1/dead-letters"
_LIST = "dead letters"


class _Schema(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class LetterOut(_Schema):
    """A fact that failed at one reader, which has parked it with everything its aggregate told since."""

    id: Annotated[str, Field(json_schema_extra={"format": "uuid"})]
    reader: str = Field(examples=["orders.customers"])
    state: Literal["waiting", "dead"] = Field(description="waiting is tried again by itself; dead is not.")
    reason: str = Field(description="Why the last attempt failed.", examples=["ValueError: no such country"])
    attempts: int
    parked_at: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    next_attempt_at: Annotated[str | None, Field(json_schema_extra={"format": "date-time"})]
    version: int = Field(description="Counts its claims and changes; also its ETag.")
    event: dict[str, Any] = Field(description="The fact as a CloudEvent; its data is what can be mended.")
    links: dict[str, str]


class LetterPage(_Schema):
    """A page of dead letters."""

    items: list[LetterOut]
    next: str | None = Field(description="The cursor of the next page; null on the last.")
    links: dict[str, str]


class MendLetter(_Schema):
    """The data a letter shall have, all of it, as the schema of its fact says."""

    data: dict[str, Any] = Field(examples=[{"country": "France", "active": True}])


class ListLetters(BaseModel):
    """Which letters."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reader: Annotated[str | None, Field(max_length=100, description="Only this reader's.")] = None
    state: Literal["waiting", "dead"] | None = Field(None, description="Only those still tried, or given up.")
    limit: int = Field(USUAL_PAGE, ge=1, le=LARGEST_PAGE, description="How many to a page.")
    cursor: Cursor | None = None


def routes(edge: Edge, letters: DeadLetters) -> APIRouter:
    """Return the routes of dead letters."""
    router = edge.router(PATH, "facts")

    @router.get("", response_model=LetterPage, **needs("facts:read", CursorInvalid, ReaderUnknown))
    async def list_dead_letters(wanted: Annotated[ListLetters, Query()], caller: Asker) -> Answer:
        """List the facts that failed and are parked, of every reader, the earliest parked first."""
        after = UUID(str(key_of(_LIST, wanted.cursor, UUID)[0])) if wanted.cursor else None
        found = await letters.page(reader=wanted.reader, state=wanted.state, after=after, limit=wanted.limit + 1)
        shown = found[: wanted.limit]
        following = cursor_of(_LIST, shown[-1].id) if len(found) > wanted.limit else None
        asked = wanted.model_dump(exclude_unset=True, exclude_none=True)
        links = {"self": _address(asked)} | ({"next": _address({**asked, "cursor": following})} if following else {})
        mends = caller.may("facts:mend")
        return json_answer({"items": [_shown(one, mends=mends) for one in shown], "next": following, "links": links})

    @router.get("/{letter_id}", response_model=LetterOut, **needs("facts:read", LetterUnknown))
    async def get_dead_letter(letter_id: UUID, caller: Asker) -> Answer:
        """Get a dead letter, with its reason."""
        letter = await letters.one(letter_id)
        return json_answer(_shown(letter, mends=caller.may("facts:mend")), etag(letter.version))

    @router.patch(
        "/{letter_id}",
        response_model=LetterOut,
        **needs("facts:mend", LetterUnknown, LetterMovedOn, FactMalformed, FactUnknown),
    )
    async def mend_dead_letter(letter_id: UUID, wanted: MendLetter, match: IfMatch, caller: Asker) -> Answer:
        """Give a dead letter other data; the fact in the log stays as it was told."""
        letter = await letters.mend(letter_id, wanted.data, match, by=caller.subject)
        return json_answer(_shown(letter, mends=True), etag(letter.version))

    @router.post(
        "/{letter_id}/replay",
        status_code=202,
        response_model=LetterOut,
        **needs("facts:mend", LetterUnknown, LetterMovedOn),
    )
    async def replay_dead_letter(letter_id: UUID, match: IfMatchMaybe, caller: Asker) -> Answer:
        """Have a dead letter tried now, with all its attempts anew; it is gone once its effects are had."""
        letter = await letters.replay(letter_id, match, by=caller.subject)
        return json_answer(_shown(letter, mends=True), etag(letter.version), status=202)

    @router.delete(
        "/{letter_id}",
        status_code=204,
        response_model=None,
        **needs("facts:mend", LetterUnknown, LetterMovedOn),
    )
    async def drop_dead_letter(letter_id: UUID, match: IfMatchMaybe, caller: Asker) -> Answer:
        """Give a dead letter up: its effects are never had, and its aggregate goes on without them."""
        await letters.drop(letter_id, match, by=caller.subject)
        return DONE

    return router


def _address(query: dict[str, Any]) -> str:
    return f"{PATH}?{urlencode(query)}" if query else PATH


def _shown(letter: Letter, *, mends: bool) -> dict[str, Any]:
    own = f"{PATH}/{letter.id}"
    return {
        "id": letter.id,
        "reader": letter.reader,
        "state": letter.state,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "parked_at": as_text(letter.parked_at),
        "next_attempt_at": as_text(letter.due_at) if letter.state == "waiting" else None,
        "version": letter.version,
        "event": cloudevents.event_of(letter.log, letter.fact),
        "links": {"self": own, **({"replay": f"{own}/replay"} if mends else {})},
    }
