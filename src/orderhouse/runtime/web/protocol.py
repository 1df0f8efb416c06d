"""HTTP/1.1 as uvicorn speaks it, but an answer that is whole is made at once and goes to the kernel in one write.

Two writes are two system calls, and two packets for the caller to read; and uvicorn looks at every header twice. What
is out of the ordinary (a stream, HEAD, the last answer of a connection, an answer that is wrong) is left to uvicorn.
And a head that goes on and on is refused before it ends, for until then all of it is kept; who begins a request and
does not go on with it is not waited for, nor who was answered and goes on and on with the body. And a server that ends
answers whoever had not heard of it yet.
"""

import asyncio
from typing import Any

import structlog
from starlette.types import Message
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from orderhouse.kernel.ids import new_request_id
from orderhouse.runtime.web.answers import carried, problem_of
from orderhouse.runtime.web.refusals import HeadersTooLarge

log = structlog.get_logger("orderhouse.requests")

_MOST_BESIDE = 65_536
_LEFT_TO_UVICORN = frozenset({b"connection", b"transfer-encoding"})


class Protocol(HttpToolsProtocol):
    """One connection. Of a head, and of what comes around a body, it keeps `h11_max_incomplete_event_size` bytes."""

    PATIENCE_S = 30.0
    """How long a head may take to come, or the next part of a body; a little longer passes until that is noticed."""

    PARTING_S = 0.5
    """For how long a server that ends still listens to whoever may have sent a request without knowing."""

    _beside = 0
    """How many bytes came since a request began or a part of its body came."""
    _since: float | None = None
    """When that was, by the loop's clock; None while nothing is awaited from the caller."""
    _parting = False
    """Whether the next answer is the last."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Expect a request."""
        super().connection_made(transport)
        self._since = self.loop.time()
        self._look_again()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing any more."""
        self._next_look.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came; close the connection when a request goes on and on without a part of its body."""
        self._beside += len(data)
        super().data_received(data)
        cycle: RequestResponseCycle | None = self.cycle
        if self._parting and cycle is not None:
            cycle.keep_alive = False
        if cycle is not None and not cycle.more_body and "path" in self.scope:
            self._beside, self._since = 0, None  # It is all here: a scope is given its path when its head is.
            return
        if self._since is None:
            self._since = self.loop.time()
        if self._beside > (self.config.h11_max_incomplete_event_size or _MOST_BESIDE):
            self._end_what_does_not_end()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body: how much of that is taken the edge decides."""
        self._beside = 0
        if not self.cycle.response_complete:
            self._since = None  # Who was answered already has as long for the rest, all of it, as others for a part.
        super().on_body(body)

    def shutdown(self) -> None:
        """Answer what is under way, or what may be on its way, and nothing after that."""
        self._parting = True
        if self._idle:
            # Hung up on now, whoever is just sending a request would never know whether it was heard.
            self.loop.call_later(self.PARTING_S, self._part)
        else:
            super().shutdown()

    def _part(self) -> None:
        if self._idle:
            self.transport.close()

    @property
    def _idle(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _look_again(self) -> None:
        self._next_look = self.loop.call_later(self.PATIENCE_S / 4, self._look)

    def _look(self) -> None:
        now = self.loop.time()
        if self._since is not None and self.flow.read_paused:
            self._since = now  # Not the caller is waited for: a body comes faster than it is taken.
        if self._since is not None and now - self._since > self.PATIENCE_S:
            self.transport.close()
        else:
            self._look_again()

    def _end_what_does_not_end(self) -> None:
        if self.transport.is_closing():
            return
        request_id = new_request_id()
        log.warning("endless_head", request_id=request_id)
        if self._idle:
            status, headers, body = problem_of(HeadersTooLarge(), request_id, "")
            lines = (b"%b: %b\r\n" % one for one in (*headers, *carried(request_id), (b"connection", b"close")))
            self.transport.write(b"".join((STATUS_LINE[status], *lines, b"\r\n", body)))
        self.transport.close()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        answering: Any = _Answering(cycle)
        cycle.send = answering  # type: ignore[method-assign]  # the app is given whatever stands there
        super()._start_asgi_task(cycle, app)


class _Answering:
    """The `send` of one request: what is said first waits for what is said next."""

    __slots__ = ("_cycle", "_head")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._head: Message | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self._head is None:
            self._head = message
            return
        cycle, head, self._head = self._cycle, self._head, None
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected or not message.get("more_body"):
            # The two hold each other, and what is large: let go, or it waits for the garbage collector, for hours.
            # (By `vars`, all of it would be slower to look at from then on.)
            try:  # noqa: SIM105 - an object of `suppress` for each answer is dear
                del cycle.send
            except AttributeError:
                pass  # Somebody goes on after the end.
        if cycle.disconnected:
            return
        whole = _whole(cycle, head, message) if head is not None else None
        if whole is None:
            if head is not None:
                await RequestResponseCycle.send(cycle, head)  # type: ignore[arg-type]  # ASGI's types, twice over
            await RequestResponseCycle.send(cycle, message)  # type: ignore[arg-type]  # likewise
            return
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(whole)
        cycle.message_event.set()
        cycle.on_response()


def _whole(cycle: RequestResponseCycle, head: Message, last: Message) -> bytes | None:
    """Return the answer to write; None when it is not an ordinary one."""
    if cycle.response_started or not cycle.keep_alive or cycle.scope["method"] == "HEAD" or last.get("more_body"):
        return None
    headers = [*cycle.default_headers, *head["headers"]]
    named = dict(headers)
    body: bytes = last.get("body", b"")
    if not _LEFT_TO_UVICORN.isdisjoint(named) or named.get(b"content-length") != b"%d" % len(body):
        return None
    lines = b"\r\n".join((*map(b": ".join, headers), b""))
    # A line end within a header would begin another one.
    if len(lines.splitlines()) != len(headers) or lines.find(b"\0") >= 0:
        return None
    return b"".join((STATUS_LINE[head["status"]], lines, b"\r\n", body))
