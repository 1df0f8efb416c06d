"""Waking up: whoever waits for facts of a database hears at once that some were told, whichever process told them."""

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import asyncpg  # type: ignore[import-untyped]  # it ships no types
import structlog

from orderhouse.runtime.database.postgres import PostgresPlace, address_of
from orderhouse.runtime.waiting import pause_s

log = structlog.get_logger(__name__)


class Bell(asyncio.Event):
    """Set when facts may have been told, and when they may have been told unheard; whoever waits clears it first."""

    def __init__(self, listen: Callable[[], None]) -> None:
        """Have `listen` called when somebody waits: who never does needs no connection for it."""
        super().__init__()
        self._listen = listen

    async def wait(self) -> Literal[True]:
        """Wait until it is set."""
        self._listen()
        return await super().wait()


class PostgresWakes:
    """A direct connection on which this process tells others of its facts, and hears of theirs.

    No transaction that anybody waits for tells of itself: one that does holds a lock of the whole server while it
    commits, and so would all others. What is told here may be lost, with the connection or the process; it is a hint
    to look now rather than at the next look.
    """

    SPACED_S = 0.02
    """The first facts after a pause are told of at once, further ones together, after this."""

    def __init__(self, place: PostgresPlace, ring: Callable[[], None]) -> None:
        """Call `ring` when other processes told facts at `place`."""
        self._place = place
        self._ring = ring
        self._channel = f"orderhouse_{place.schema}"
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.heard = False
        """Whether what is told reaches this process: what it told itself did, on the connection it has."""

    def listen(self) -> None:
        """Hear of other processes' facts from now on."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="wakes")

    def tell(self) -> None:
        """Have other processes hear that there are facts."""
        self._news.set()
        self.listen()

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                connection = await self._connected()
                failures = 0
                try:
                    # Whatever was told while nobody listened here was not heard.
                    self._ring()
                    # Who hears itself hears others: behind a pooler of transactions nobody would.
                    self._news.set()
                    await self._speak(connection)
                finally:
                    self.heard = False
                    connection.terminate()
            except Exception as error:  # noqa: BLE001 - nobody depends on it, and it may be back at the next attempt
                failures += 1
                if failures == 1:
                    log.warning("wakes_lost", database=self._place.schema, error=type(error).__name__)
                await asyncio.sleep(pause_s(failures))

    async def _connected(self) -> "asyncpg.Connection[Any]":
        connection = await asyncpg.connect(
            address_of(self._place.direct_url or self._place.url),
            timeout=self._place.connect_s,
            command_timeout=self._place.connect_s,
            server_settings={
                "application_name": f"orderhouse {self._place.schema} wakes",
                # A hint need not survive a crash: the disk is left to the commits that do.
                "synchronous_commit": "off",
            },
        )
        try:
            own = connection.get_server_pid()
            # Waits for the next thing to tell: it has to find out that it cannot.
            connection.add_termination_listener(lambda _connection: self._news.set())
            await connection.add_listener(self._channel, lambda _c, pid, _ch, _p: self._hear(own=pid == own))
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _hear(self, *, own: bool) -> None:
        if own:
            self.heard = True
        else:
            self._ring()

    async def _speak(self, connection: "asyncpg.Connection[Any]") -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            await connection.execute(f'NOTIFY "{self._channel}"')
            await asyncio.sleep(self.SPACED_S)

    async def close(self) -> None:
        """Let go of the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
