"""`orderhouse doctor`: is everything there that the product stands on, and does it hold together?"""

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.table import Table

from orderhouse.assembly.data_folder import made
from orderhouse.assembly.places import SCHEMAS, place_of
from orderhouse.kernel.errors import Conflict, Refusal
from orderhouse.runtime.database import sqlite
from orderhouse.runtime.database.database import Database, open_database
from orderhouse.runtime.database.transaction import Reading
from orderhouse.runtime.migrate import current, drift
from orderhouse.runtime.settings import Settings
from orderhouse.runtime.tokens import SigningKeys

_LEAST_FREE = 500 * 1024 * 1024

Finding = tuple[str, bool, str]
"""What was looked at, whether it is as it should be, and what was found."""


def report(settings: Settings, console: Console) -> bool:
    """Print what was found; return whether all of it is as it should be."""
    table = Table("", "what", "found", box=None)
    healthy = True
    for what, good, found in examine(settings):
        table.add_row("[green]ok[/green]" if good else "[red]no[/red]", what, found)
        healthy &= good
    console.print(table)
    return healthy


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at the machine, the data folder, the keys, and every context's database."""
    yield "Python", sys.version_info >= (3, 11), sys.version.split()[0]
    yield "SQLite", sqlite.VERSION >= sqlite.OLDEST, ".".join(map(str, sqlite.VERSION))
    folder = made(settings.data_dir)
    free = shutil.disk_usage(folder).free
    writable = os.access(folder, os.W_OK)
    yield f"data folder {folder}", writable and free > _LEAST_FREE, f"{free >> 20} MB free"
    yield _tried("signing keys", lambda: f"{len(SigningKeys(settings.keys_folder).jwks()['keys'])} of them")
    if settings.postgres_url:
        yield _tried("PostgreSQL: commits", lambda: asyncio.run(_synced(settings)))
    for context, schema in SCHEMAS.items():
        place = place_of(context, settings)
        yield _tried(f"{context}: revision", lambda s=schema, p=place: _revision(current(s, p), s.head))  # type: ignore[misc]  # bound now
        yield _tried(f"{context}: schema", lambda s=schema, p=place: _undrifted(drift(s, p)))  # type: ignore[misc]  # bound now
        yield _tried(
            f"{context}: log of facts",
            lambda c=context, s=schema, p=place: asyncio.run(_log(open_database(c, p, s.tables, refusals={}))),  # type: ignore[misc]  # bound now
        )


class Unhealthy(Conflict):
    """Something is not as it should be."""

    code = "unhealthy"


def _tried(what: str, look: Callable[[], str]) -> Finding:
    try:
        return what, True, look()
    except Refusal as refusal:
        return what, False, refusal.detail or refusal.title


def _revision(found: str | None, wanted: str) -> str:
    if found and found > wanted:
        raise Unhealthy(f"{found}, made by a later version: this one knows none past {wanted}")
    if found != wanted:
        raise Unhealthy(f"{found or 'none'}; `orderhouse migrate` brings it to {wanted}")
    return wanted


def _undrifted(differences: list[object]) -> str:
    if differences:
        raise Unhealthy(f"{len(differences)} differences from what the code knows: {differences[0]}")
    return "as the code knows it"


async def _synced(settings: Settings) -> str:
    context, schema = next(iter(SCHEMAS.items()))
    database = open_database(context, place_of(context, settings), schema.tables, refusals={})
    try:
        off = await database.scan(_not_synced)
    finally:
        await database.close()
    if off:
        raise Unhealthy(f"a power cut loses what was acknowledged: {', '.join(off)} is off")
    return "on the disk"


def _not_synced(reading: Reading) -> list[str]:
    # synchronous_commit is not asked for: every connection that writes sees to it itself.
    found = reading.rows(
        "SELECT name FROM pg_settings WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' ORDER BY name"
    )
    return [str(name) for (name,) in found]


async def _log(database: Database) -> str:
    try:
        last, told, parked = await database.scan(_counted)
    finally:
        await database.close()
    if last != told:
        raise Unhealthy(f"it ends at {last}, but holds {told} facts")
    if parked:
        raise Unhealthy(f"{parked} facts wait or are dead in the queue")
    return f"{told} facts, without a gap"


def _counted(reading: Reading) -> tuple[int, int, int]:
    (last,) = reading.rows("SELECT position FROM fact_head")[0]
    (told,) = reading.rows("SELECT count(*) FROM facts WHERE position > 0")[0]
    (parked,) = reading.rows("SELECT count(*) FROM queue WHERE kind LIKE 'facts:%'")[0]
    return last, told, parked
