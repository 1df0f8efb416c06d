"""What an operator does with facts at the command line: see how far readers are, mend what failed, replay a range."""

import getpass
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import orjson
from rich.console import Console
from rich.table import Table

from orderhouse.assembly import subscribers
from orderhouse.assembly.contexts import Contexts
from orderhouse.kernel.clock import as_text
from orderhouse.kernel.errors import Invalid
from orderhouse.runtime import cloudevents
from orderhouse.runtime.dead_letters import Letter, State

_MOST_LISTED = 1000


class NotAnObject(Invalid):
    """The data of a fact is a JSON object."""

    code = "not_an_object"


async def readers(contexts: Contexts, console: Console) -> None:
    """Print how far every reader that keeps its place in a database has come."""
    table = Table("reader", "log", "position", "lag", "waiting", "dead", "attempts", "oldest", box=None)
    for one in subscribers.kept_in_databases(contexts):
        at = await one.standing()
        counts = (at.position, at.lag, at.waiting, at.dead, at.attempts)
        oldest = min((since for since in (at.oldest_at, at.parked_since) if since is not None), default=None)
        table.add_row(one.name, one.log.name, *map(str, counts), as_text(oldest) if oldest else "-")
    console.print(table)


async def listed(contexts: Contexts, reader: str | None, *, only_dead: bool) -> list[str]:
    """Return a line for each dead letter, up to a thousand, the earliest parked first; tabs part its columns."""
    state: State | None = "dead" if only_dead else None
    found = await subscribers.letters(contexts).page(reader=reader, state=state, limit=_MOST_LISTED)
    # No table: whoever copies an id or a reason needs all of it, in one piece.
    return [
        "\t".join((str(one.id), one.reader, one.state, one.fact.name, str(one.attempts), " ".join(one.reason.split())))
        for one in found
    ]


async def shown(contexts: Contexts, letter: UUID) -> str:
    """Return one dead letter as JSON, its fact as a CloudEvent."""
    return _text(await subscribers.letters(contexts).one(letter))


async def mended(contexts: Contexts, letter: UUID, data: str) -> str:
    """Give a dead letter other data, and return it as it is then."""
    found = await subscribers.letters(contexts).one(letter)
    return _text(await subscribers.letters(contexts).mend(letter, _object(data), found.version, by=_operator()))


async def replayed(contexts: Contexts, letter: UUID) -> str:
    """Have a dead letter tried again by the server, and return it as it was sent on its way."""
    return _text(await subscribers.letters(contexts).replay(letter, None, by=_operator()))


async def dropped(contexts: Contexts, letter: UUID) -> None:
    """Give a dead letter up for good."""
    await subscribers.letters(contexts).drop(letter, None, by=_operator())


async def range_replayed(contexts: Contexts, reader: str, first: int, last: int) -> int:
    """Have a reader take a range of facts again, and return how many were queued for it."""
    return await subscribers.named(contexts, reader).replay(first, last, by=_operator())


def _object(text: str) -> Mapping[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise NotAnObject(str(error)) from None
    if not isinstance(found, dict):
        raise NotAnObject
    return found


def _text(letter: Letter) -> str:
    told = {
        "id": letter.id,
        "reader": letter.reader,
        "state": letter.state,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "parked_at": as_text(letter.parked_at),
        "version": letter.version,
        "event": cloudevents.event_of(letter.log, letter.fact),
    }
    return orjson.dumps(told, option=orjson.OPT_INDENT_2).decode()


def _operator() -> str:
    try:
        return f"operator:{getpass.getuser()}"
    except (OSError, KeyError):  # A container may have a user without a name.
        return "operator"
