"""Defects that a bar must catch, seeded into a server by name. The product knows nothing of them."""

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import Connection
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from orderhouse.auth.models import RefreshToken
from orderhouse.auth.passwords import Hasher
from orderhouse.auth.service.sessions import Given, RefreshWith, SessionService
from orderhouse.customers import reads as customers
from orderhouse.customers.models import CustomerState
from orderhouse.kernel.errors import Refusal
from orderhouse.kernel.principal import Principal
from orderhouse.runtime import telemetry
from orderhouse.runtime.database import lanes, postgres, sqlite
from orderhouse.runtime.database.transaction import Performed, Reading
from orderhouse.runtime.once import Asked
from orderhouse.runtime.web import front, problems, protocol, request
from orderhouse.runtime.web.refusals import PermissionMissing

_LATE_S = 0.03
HURRIED_S = 2.0
"""For how long a caller who does not go on is waited for by a server that hurries."""


def answers_before_the_commit() -> None:
    """Answer as soon as the work is done, and commit a moment later."""
    _sqlite_commits_late()
    _postgres_commits_late()


def _sqlite_commits_late() -> None:
    late: set[asyncio.Task[None]] = set()

    async def perform(self: sqlite.SqliteWriter, work: Callable[[Any], Any], *, briefly: bool) -> Performed[Any]:
        await asyncio.gather(*late)
        with sqlite._translated(self._uniques):
            self._begun()
            transaction = sqlite.SqliteTransaction(self._connection, self._session)
            with self._or_undone(transaction):
                result = work(transaction)
                transaction.finish()

        async def commit() -> None:
            await asyncio.sleep(_LATE_S)
            self._kept(transaction, False)

        late.add(task := asyncio.create_task(commit()))
        task.add_done_callback(late.discard)
        return result, transaction.logged

    sqlite.SqliteWriter.perform = perform  # type: ignore[method-assign]


def _postgres_commits_late() -> None:
    late: set[asyncio.Task[None]] = set()

    async def perform(self: postgres.PostgresWriter, work: Callable[[Any], Any], *, briefly: bool) -> Performed[Any]:
        await asyncio.gather(*late)
        connection = await self._connected()
        driver: Any = (await connection.get_raw_connection()).driver_connection

        def without_the_end(orm: Connection) -> tuple[Any, postgres.PostgresTransaction]:
            transaction = postgres.PostgresTransaction(driver, orm)
            return work(transaction), transaction

        result, transaction = await connection.run_sync(without_the_end)

        async def commit() -> None:
            await asyncio.sleep(_LATE_S)
            await connection.run_sync(lambda _: transaction.finish())

        late.add(task := asyncio.create_task(commit()))
        task.add_done_callback(late.discard)
        return result, ()

    postgres.PostgresWriter.perform = perform  # type: ignore[method-assign]


def syncs_now_and_then() -> None:
    """Let SQLite sync its log at checkpoints only."""
    kept = tuple(one for one in sqlite._PRAGMAS if not one.startswith("synchronous"))
    sqlite._PRAGMAS = (*kept, "synchronous = NORMAL")  # type: ignore[assignment]


def leaves_syncing_to_the_database() -> None:
    """Take the database's own word for when a commit is one."""
    postgres._SYNCED = "SELECT"


def writes_slowly() -> None:
    """Take twenty milliseconds for each order that is written: so few of them are too many, on any machine."""
    quick = lanes.Lane._serve

    async def slow(self: lanes.Lane, taken: list[Any], perform: lanes.Perform) -> Any:
        await asyncio.sleep(0.02 * sum(len(waiting.asked) for waiting in taken))
        return await quick(self, taken, perform)

    lanes.Lane._serve = slow  # type: ignore[method-assign]


def queues_without_end() -> None:
    """Take every write, however many wait."""
    lanes.Lane.full = property(lambda _self: False)  # type: ignore[assignment,method-assign]


def keeps_heads_without_end() -> None:
    """Keep what comes until a head is whole, as the parser does by itself."""
    protocol.Protocol.data_received = HttpToolsProtocol.data_received  # type: ignore[method-assign]


def keeps_bodies_without_end() -> None:
    """Keep what comes until a body is whole."""

    async def whole(self: request.Request, receive: Receive) -> None:
        more = True
        while more:
            message = await receive()
            self.body += message.get("body", b"")
            more = message.get("more_body", False)

    request.Request._whole = whole  # type: ignore[method-assign]


def waits_shortly() -> None:
    """Let go of who does not go on soon, so that nobody has to wait for that: no defect, but a clock that runs fast."""
    protocol.Protocol.PATIENCE_S = HURRIED_S


def waits_for_ever() -> None:
    """Keep every connection on which a request was begun."""
    protocol.Protocol.PATIENCE_S = 1e9


def hangs_up_at_once() -> None:
    """End every connection on which nothing is under way as soon as the server ends, as uvicorn does by itself."""
    protocol.Protocol.shutdown = HttpToolsProtocol.shutdown  # type: ignore[method-assign]


def logs_what_it_was_sent() -> None:
    """Log every header of every request, as it came."""
    careful = front.Front.__call__

    async def telling(self: front.Front, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            front.log.warning("headers", of={name.decode("latin-1"): repr(value) for name, value in scope["headers"]})
        await careful(self, scope, receive, send)

    front.Front.__call__ = telling  # type: ignore[method-assign]
    telemetry.redacted = lambda _logger, _name, event: event


def logs_as_text() -> None:
    """Log every path as a plain line."""
    careful = front.Front.__call__

    async def telling(self: front.Front, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            sys.stderr.write(f"request for {scope['path']}\n")
        await careful(self, scope, receive, send)

    front.Front.__call__ = telling  # type: ignore[method-assign]


def says_what_broke() -> None:
    """Tell the caller why a database cannot be reached."""
    careful = problems.body_of

    def telling(refusal: Refusal, request_id: str, path: str) -> bytes:
        refusal.detail = f"{refusal.__cause__!r} at {os.environ.get('ORDERHOUSE_DATABASE_URL')}"
        return careful(refusal, request_id, path)

    problems.body_of = telling


def forgets_a_permission() -> None:
    """Let everybody with a token add a team."""
    careful = request.Request.authenticate

    def careless(self: request.Request, permission: str) -> None:
        of = (self.scope["method"], self.scope["path"])
        with suppress(PermissionMissing) if of == ("POST", "/v1/teams") else nullcontext():
            careful(self, permission)

    request.Request.authenticate = careless  # type: ignore[method-assign]


def shows_whatever_is_asked_for() -> None:
    """Get a customer for whoever knows the id."""
    careful = customers.one

    def careless(reading: Reading, customer_id: UUID, caller: Principal) -> CustomerState | None:
        return careful(reading, customer_id, Principal("anybody", "owner"))

    customers.one = careless


def takes_a_refresh_token_twice() -> None:
    """Let a refresh token that was used be used again."""
    RefreshToken.waits = lambda self, at: True  # type: ignore[method-assign]


def takes_every_retry_for_a_theft() -> None:
    """Forget by which key a refresh token was used."""
    careful = SessionService.refresh

    def forgetful(self: SessionService, asked: Asked[RefreshWith]) -> Given:
        return careful(self, asked._replace(wanted=replace(asked.wanted, retry_key=None)))

    SessionService.refresh = forgetful  # type: ignore[method-assign]


def hashes_whatever_comes() -> None:
    """Work at every password at once."""
    careful = Hasher.__init__

    def careless(self: Hasher, **settings: int) -> None:
        careful(self, **{**settings, "at_once": 48, "waiting": 10_000})

    Hasher.__init__ = careless  # type: ignore[method-assign]


SEEDED: dict[str, Callable[[], None]] = {
    defect.__name__: defect
    for defect in (
        answers_before_the_commit,
        syncs_now_and_then,
        leaves_syncing_to_the_database,
        writes_slowly,
        queues_without_end,
        keeps_heads_without_end,
        keeps_bodies_without_end,
        waits_shortly,
        waits_for_ever,
        hangs_up_at_once,
        logs_what_it_was_sent,
        logs_as_text,
        says_what_broke,
        forgets_a_permission,
        shows_whatever_is_asked_for,
        takes_a_refresh_token_twice,
        takes_every_retry_for_a_theft,
        hashes_whatever_comes,
    )
}
