"""What was revoked before it expired: a small list that every verifier follows, from wherever it is kept."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Literal, NamedTuple
from uuid import UUID

import structlog

from orderhouse.kernel.clock import Instant
from orderhouse.kernel.principal import Principal

log = structlog.get_logger(__name__)

_OFTEN_S = 0.3
"""How often the list is asked for: with the time to ask, well under the second within which it is to be honoured."""


class Revoked(NamedTuple):
    """Access tokens that are not good any more: of a session, of a subject issued before, or one by its id."""

    id: UUID
    kind: Literal["session", "subject", "token"]
    of: str
    before: Instant
    until: Instant


Source = Callable[[UUID | None], Awaitable[Iterable[Revoked]]]
"""Returns what was revoked after an id, and perhaps a few before it."""


class Revocations:
    """What is known to be revoked. It grows and forgets with time; nothing in it can be taken back."""

    def __init__(self) -> None:
        """Know of nothing."""
        self.latest: UUID | None = None
        self._known: dict[UUID, Revoked] = {}
        self._of: dict[str, dict[str, Instant]] = {"session": {}, "subject": {}, "token": {}}

    def take(self, some: Iterable[Revoked]) -> None:
        """Honour `some` from now on."""
        for one in some:
            if one.id not in self._known:
                self._known[one.id] = one
                self._of[one.kind][one.of] = max(one.before, self._of[one.kind].get(one.of, 0))
            self.latest = one.id if self.latest is None else max(self.latest, one.id)

    def cover(self, principal: Principal, token_id: str, issued: Instant) -> bool:
        """Whether a token of this id, issued then for this principal, is not good any more."""
        if not self._known:
            return False
        of = self._of
        if token_id in of["token"] or (principal.session is not None and str(principal.session) in of["session"]):
            return True
        return issued <= of["subject"].get(principal.subject, -1)

    def forget(self, at: Instant) -> None:
        """Forget what has expired by `at`."""
        for one in [one for one in self._known.values() if one.until <= at]:
            del self._known[one.id]
            if self._of[one.kind].get(one.of) == one.before:
                del self._of[one.kind][one.of]


async def follow(revocations: Revocations, source: Source) -> None:
    """Keep `revocations` as new as `source` is. While that is away, what is known stays honoured."""
    away = False
    while True:
        try:
            revocations.take(await source(revocations.latest))
            away = False
        except Exception as error:  # noqa: BLE001 - whatever it is, tokens of ten minutes are verified on
            if not away:
                log.warning("revocations_not_followed", error=type(error).__name__)
            away = True
        revocations.forget(time.time_ns() // 1000)
        await asyncio.sleep(_OFTEN_S)
