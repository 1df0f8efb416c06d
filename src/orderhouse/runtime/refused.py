"""Refusals of callers who are known: what the edge refused because of who asked, on its way to the audit log.

A caller hears of a refusal when it is in the log. While the log cannot be written, callers wait half a second at most,
and what they were refused waits here to be written; the log of requests has it besides.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple
from uuid import UUID

import structlog

from orderhouse.kernel.clock import Instant
from orderhouse.kernel.errors import Unavailable
from orderhouse.runtime.waiting import pause_s

log = structlog.get_logger(__name__)

_PATIENCE_S = 0.5
_AT_ONCE = 200
_MOST_WAITING = 10_000


class Refused(NamedTuple):
    """That somebody was refused something because of who they are."""

    id: UUID
    at: Instant
    actor: str
    address: str
    operation: str
    """The method and the route, such as `PATCH /v1/orders/{order_id}`."""
    path: str
    code: str
    request_id: str


Keep = Callable[[Sequence[Refused]], Awaitable[object]]
"""Writes refusals to the audit log; what was written before under the same id changes nothing."""


class Recorder:
    """Brings refusals to the audit log, together where many come at once."""

    def __init__(self, keep: Keep, *, patience_s: float = _PATIENCE_S, most_waiting: int = _MOST_WAITING) -> None:
        """Write by `keep`, for as long as it runs."""
        self._keep = keep
        self._patience_s = patience_s
        self._most_waiting = most_waiting
        self._waiting: deque[tuple[Refused, asyncio.Future[None]]] = deque()
        self._news = asyncio.Event()
        self._failures = 0
        self._at_once = _AT_ONCE

    async def __call__(self, refused: Refused) -> None:
        """Return when `refused` is in the log, or has to wait."""
        if len(self._waiting) >= self._most_waiting:
            _told_instead(refused)
            return
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((refused, written))
        self._news.set()
        if not self._failures:
            await asyncio.wait([written], timeout=self._patience_s)

    async def run(self) -> None:
        """Write what comes until cancelled, then what is left; what fails is tried again, ever more slowly."""
        try:
            while True:
                await self._news.wait()
                if await self._write():
                    continue
                await asyncio.sleep(pause_s(self._failures))
        finally:
            await self._write_the_rest()

    async def _write(self) -> bool:
        """Write some, and return whether that succeeded."""
        some = [self._waiting[n] for n in range(min(self._at_once, len(self._waiting)))]
        try:
            await self._keep([refused for refused, _ in some])
        except Unavailable as error:
            self._failures = min(self._failures + 1, 30)
            if self._failures == 1:
                log.warning("refusals_not_audited_yet", waiting=len(self._waiting), refused=error.code)
            return False
        except Exception:  # one that cannot be written is not to hold up all the others
            if len(some) > 1:
                self._at_once = 1
                return True
            log.exception("refusal_unwritable")
            _told_instead(some[0][0])
        else:
            self._at_once = _AT_ONCE if len(some) > 1 else min(_AT_ONCE, self._at_once * 2)
        self._failures = 0
        for _, written in some:
            self._waiting.popleft()
            if not written.done():
                written.set_result(None)
        if not self._waiting:
            self._news.clear()
        return True

    async def _write_the_rest(self) -> None:
        while self._waiting:
            if not await self._write():
                break
        while self._waiting:
            _told_instead(self._waiting.popleft()[0])


def _told_instead(refused: Refused) -> None:
    log.error("refusal_not_audited", **{**refused._asdict(), "id": str(refused.id)})
