"""Asking another service of the house over HTTP: within a deadline, seldom twice, and not at all while it is down.

Who asks blocks, in a thread, and hears within the deadline whatever the neighbour does: an answer, or Unavailable.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx2
import orjson
import structlog

from orderhouse.kernel.errors import Unavailable
from orderhouse.kernel.ids import random_64
from orderhouse.runtime import telemetry

log = structlog.get_logger("orderhouse.calls")

_MOST_BYTES = 1_048_576
_PAUSE_S = 0.03
_CONNECTIONS = 32


class NeighbourUnavailable(Unavailable):
    """Another service that is needed for this does not answer; try again in a moment."""

    code = "neighbour_unavailable"


@dataclass(frozen=True, slots=True)
class Told:
    """What a neighbour answered: below 400 its JSON, otherwise its problem."""

    status: int
    body: Any

    @property
    def code(self) -> str:
        """The code of the problem; empty where it is none."""
        kind = self.body.get("type", "") if isinstance(self.body, dict) else ""
        return str(kind).removeprefix("/problems/") if self.status >= 400 else ""


class Neighbour:
    """One other service."""

    def __init__(
        self,
        name: str,
        url: str,
        token: Callable[[], str],
        *,
        deadline_s: float = 0.8,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        """Ask the service `name` at `url`, as the bearer of `token()`; all tries of a call share `deadline_s`."""
        self.name = name
        self._token = token
        self._deadline_s = deadline_s
        self._client = httpx2.Client(
            base_url=url,
            transport=transport,
            follow_redirects=False,
            # What the environment says of proxies is not meant for the services of one house.
            trust_env=False,
            limits=httpx2.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS),
        )
        self._budget = Budget()
        self._breaker = Breaker()

    def call(self, method: str, path: str, body: object = None) -> Told:
        """Return what the neighbour answers; NeighbourUnavailable when it does not, or not in time.

        It may be asked twice: only what has the same effect when it is done twice may be asked by this.
        """
        began = time.monotonic()
        tries = 0
        outcome: str | int = "breaker_open"
        try:
            with self._breaker:
                while True:
                    tries += 1
                    try:
                        told = self._tried(method, path, body, began + self._deadline_s)
                        break
                    except _Trouble as trouble:
                        outcome = str(trouble)
                        left = began + self._deadline_s - time.monotonic()
                        if tries > 1 or left < 2 * _PAUSE_S or not self._budget.spend():
                            raise
                        # Not all at once: many found out in the same moment.
                        threading.Event().wait(_PAUSE_S * (random_64() % 1000) / 1000)
            outcome = told.status
            self._budget.earn()
            return told
        except _Trouble as trouble:
            raise NeighbourUnavailable(f"{self.name} does not answer.") from trouble
        finally:
            ms = round((time.monotonic() - began) * 1000, 3)
            # A query may hold an address.
            where = path.partition("?")[0]
            log.info("call", neighbour=self.name, method=method, path=where, outcome=outcome, tries=tries, ms=ms)

    def _tried(self, method: str, path: str, body: object, until: float) -> Told:
        left = until - time.monotonic()
        if left <= 0:
            raise _Trouble("deadline")
        content = None if body is None else orjson.dumps(body)
        try:
            with self._client.stream(method, path, content=content, headers=self._headers(), timeout=left) as answer:
                told = Told(answer.status_code, _parsed(_read(answer, until)))
        except httpx2.TimeoutException as error:
            raise _Trouble("timeout") from error
        except httpx2.HTTPError as error:
            raise _Trouble(type(error).__name__) from error
        if told.status == 429 or told.status >= 500:
            raise _Trouble(str(told.status))
        if told.status in (401, 403):
            # It is us who are set up wrongly: whoever asked us can do nothing about it.
            log.error("neighbour_refuses_us", neighbour=self.name, status=told.status, refused=told.code)
            raise _Trouble(str(told.status))
        return told

    def _headers(self) -> Mapping[str, str]:
        return {
            **telemetry.onward(),
            "authorization": f"Bearer {self._token()}",
            "content-type": "application/json",
            "accept": "application/json",
        }

    def close(self) -> None:
        """Let go of every connection."""
        self._client.close()


class _Trouble(Exception):
    """A try that failed; what it says goes to the log."""


def _read(answer: httpx2.Response, until: float) -> bytes:
    parts, size = [], 0
    for part in answer.iter_bytes():
        size += len(part)
        if size > _MOST_BYTES or time.monotonic() > until:
            raise _Trouble("too_long")
        parts.append(part)
    return b"".join(parts)


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body) if body else None
    except orjson.JSONDecodeError as error:
        raise _Trouble("no_json") from error


class Budget:
    """How often it may be asked again: a tenth of what was answered, so that who is down is hardly asked twice."""

    _SHARE = 0.1
    _MOST = 5.0

    def __init__(self) -> None:
        """Begin with one, for a first call that meets a restart."""
        self._left = 1.0
        self._lock = threading.Lock()

    def earn(self) -> None:
        """Count an answer."""
        with self._lock:
            self._left = min(self._left + self._SHARE, self._MOST)

    def spend(self) -> bool:
        """Whether it may be asked again now."""
        with self._lock:
            if self._left < 1:
                return False
            self._left -= 1
            return True


class Breaker:
    """Keeps calls from a neighbour that failed some times in a row; after a while one is let through to see."""

    _IN_A_ROW = 5
    _REST_S = 1.0

    def __init__(self) -> None:
        """Begin closed."""
        self._failed = 0
        self._rests_until = 0.0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Let a call through; _Trouble when it is better not to."""
        with self._lock:
            if self._failed >= self._IN_A_ROW:
                now = time.monotonic()
                if now < self._rests_until:
                    raise _Trouble("breaker_open")
                # This one sees for all; until it knows, nobody else tries.
                self._rests_until = now + self._REST_S
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Learn how it went."""
        with self._lock:
            if isinstance(error, _Trouble):
                self._failed += 1
                self._rests_until = time.monotonic() + self._REST_S
            else:
                self._failed = 0
