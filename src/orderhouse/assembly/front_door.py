"""What every server of ours has in front and beside its contexts, however many they are."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import structlog
from fastapi import APIRouter, FastAPI

from orderhouse.assembly.data_folder import made
from orderhouse.auth.wiring import Auth
from orderhouse.kernel import clock
from orderhouse.runtime import facts, once
from orderhouse.runtime.database.database import Database
from orderhouse.runtime.database.errors import DatabaseBusy
from orderhouse.runtime.database.transaction import Transaction
from orderhouse.runtime.refused import Recorder
from orderhouse.runtime.settings import Settings
from orderhouse.runtime.tokens import ISSUER, KeyFolder, SigningKeys, Verifier
from orderhouse.runtime.web import documents
from orderhouse.runtime.web.bodies import Limits
from orderhouse.runtime.web.front import Front

log = structlog.get_logger(__name__)

_FORGET_EVERY_S = 600.0
_HOUR = 3_600_000_000


def limits_of(settings: Settings) -> Limits:
    """Return how much of anything a request may hold."""
    return Limits(
        body_bytes=settings.body_bytes,
        upload_bytes=settings.upload_bytes,
        header_bytes=settings.header_bytes,
        depth=settings.json_depth,
        digits=settings.json_digits,
    )


def verifier_of(settings: Settings) -> Verifier:
    """Return what verifies the house's tokens. A first key is made if there is none; others are noticed."""
    made(settings.data_dir)
    keys = KeyFolder(settings.keys_folder)
    return Verifier(
        SigningKeys.made(settings.keys_folder).jwks(),
        renewed=lambda: keys().jwks(),
        issuers=(ISSUER, settings.issuer),
    )


def behind(
    fastapi: FastAPI, routers: Sequence[APIRouter], settings: Settings, recorder: Recorder | None = None
) -> Front:
    """Return these routes behind the front door; `recorder` is told whom it refused what."""
    for router in routers:
        # Added as they are: an included router would be matched twice for every request.
        fastapi.router.routes.extend(router.routes)
    documents.describe(fastapi)
    return Front(fastapi, limits_of(settings), recorder, origins=settings.origins)


def usable(database: Database) -> Callable[[], Awaitable[object]]:
    """Return a check that asks, and writes nothing: a database that can only be read serves no one who wants more."""

    async def check() -> None:
        await database.read(facts.head)
        with suppress(DatabaseBusy):  # Who has much to do is not down.
            await database.write(_nothing, None)

    return check


def _nothing(tx: Transaction, asked: Sequence[None]) -> Sequence[None]:
    tx.row("SELECT 1")
    return asked


async def forget(databases: Sequence[Database], settings: Settings, auth: Auth | None = None) -> None:
    """Forget answers that are older than they are kept, and what expired in auth, a few at a time, for ever."""
    while True:
        before = clock.now() - settings.keep_answers_hours * _HOUR
        for database in databases:
            try:
                while await database.write(_forget_some, before):
                    pass
            except Exception as error:  # noqa: BLE001 - housekeeping is tried again, whatever kept it from going on
                log.warning("answers_not_forgotten", database=database.name, error=type(error).__name__)
        if auth is not None:
            try:
                await auth.forget()
            except Exception as error:  # noqa: BLE001 - likewise
                log.warning("expired_not_forgotten", error=type(error).__name__)
        await asyncio.sleep(_FORGET_EVERY_S)


def _forget_some(tx: Transaction, asked: Sequence[int]) -> Sequence[int]:
    return [once.forget(tx, before) for before in asked]
