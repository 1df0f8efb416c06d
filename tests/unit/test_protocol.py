"""An answer that is whole goes out in one write; whatever is out of the ordinary goes out as uvicorn has it."""

import asyncio
import gc
import logging
import weakref
from typing import Any

import pytest
from starlette.types import Message
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from orderhouse.runtime.web.protocol import Protocol, _Answering

pytestmark = pytest.mark.anyio


class Wire(asyncio.Transport):
    """Remembers each write, and when it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.said.append(bytes(data))

    def close(self) -> None:
        self.said.append(b"closed")

    def is_closing(self) -> bool:
        return b"closed" in self.said


class Asked:
    """One request on a wire, and the `send` its app is given."""

    def __init__(self, method: str = "GET", *, keep_alive: bool = True) -> None:
        self.wire = Wire()
        self.done = 0
        log = logging.getLogger("test")
        scope: Any = {"type": "http", "method": method, "http_version": "1.1"}
        self.cycle = RequestResponseCycle(
            scope=scope,
            transport=self.wire,
            flow=FlowControl(self.wire),
            logger=log,
            access_logger=log,
            access_log=False,
            default_headers=[(b"server", b"us")],
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=keep_alive,
            on_response=self._answered,
        )
        answering: Any = _Answering(self.cycle)
        self.cycle.send = answering  # type: ignore[method-assign]  # as the connection does
        self.send = answering

    def _answered(self) -> None:
        self.done += 1

    async def answer(self, *bodies: bytes, status: int = 200, headers: list[tuple[bytes, bytes]]) -> list[bytes]:
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        for n, body in enumerate(bodies, 1):
            message: Message = {"type": "http.response.body", "body": body}
            await self.send({**message, "more_body": True} if n < len(bodies) else message)
        return self.wire.said


LENGTH = (b"content-length", b"2")


async def test_head_and_body_are_one_write() -> None:
    asked = Asked()
    said = await asked.answer(b"{}", status=201, headers=[LENGTH, (b"etag", b'"1"')])
    assert said == [b'HTTP/1.1 201 Created\r\nserver: us\r\ncontent-length: 2\r\netag: "1"\r\n\r\n{}']
    assert asked.done == 1
    assert asked.cycle.response_complete
    assert asked.cycle.message_event.is_set()


async def test_a_head_waits_for_its_body() -> None:
    asked = Asked()
    await asked.send({"type": "http.response.start", "status": 200, "headers": [LENGTH]})
    assert asked.wire.said == []
    assert not asked.cycle.response_started, "what breaks until then can still be told as an error"


async def test_a_stream_goes_out_piece_by_piece() -> None:
    asked = Asked()
    said = await asked.answer(b"one", b"two", headers=[])
    assert b"transfer-encoding: chunked" in said[0]
    assert said[1:] == [b"3\r\none\r\n", b"3\r\ntwo\r\n0\r\n\r\n"]
    assert asked.done == 1


async def test_the_last_answer_of_a_connection_says_so() -> None:
    asked = Asked(keep_alive=False)
    said = await asked.answer(b"{}", headers=[LENGTH])
    assert b"connection: close\r\n" in b"".join(said)
    assert said[-1] == b"closed"
    asked = Asked()
    assert b"closed" in await asked.answer(b"{}", headers=[LENGTH, (b"connection", b"close")])


async def test_head_is_answered_without_a_body() -> None:
    said = b"".join(await Asked("HEAD").answer(b"{}", headers=[LENGTH]))
    assert said.endswith(b"content-length: 2\r\n\r\n")


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb", b"a\0b"])
async def test_no_header_hides_another(value: bytes) -> None:
    asked = Asked()
    with pytest.raises(RuntimeError):
        await asked.answer(b"{}", headers=[LENGTH, (b"location", value)])
    assert asked.wire.said == []


@pytest.mark.parametrize("body", [b"{", b"{} "])
async def test_a_length_that_is_wrong_is_never_sent_as_if_it_were_right(body: bytes) -> None:
    with pytest.raises(RuntimeError):
        await Asked().answer(body, headers=[LENGTH])


async def test_nobody_is_written_to_who_went_away() -> None:
    asked = Asked()
    asked.cycle.disconnected = True
    assert await asked.answer(b"{}", headers=[LENGTH]) == []


@pytest.mark.parametrize("gone", [False, True])
async def test_a_request_that_was_answered_or_given_up_is_forgotten_at_once(*, gone: bool) -> None:
    gc.disable()
    try:
        asked = Asked()
        asked.cycle.disconnected = gone
        await asked.answer(b"{}", headers=[LENGTH])
        asked.cycle.on_response = lambda: None  # As uvicorn does when the app is done.
        cycle = weakref.ref(asked.cycle)
        del asked
        assert cycle() is None, "what waits for the garbage collector makes somebody else wait later"
    finally:
        gc.enable()


async def test_whoever_is_awaited_by_nobody_is_not_let_go_of_because_reading_rested() -> None:
    connection = Protocol(Config(app=lambda: None, http=Protocol), ServerState(), {})
    wire = Wire()
    connection.connection_made(wire)
    connection._since = None  # All of the request is here, and the app takes its time.
    connection.flow.read_paused = True
    connection._look()
    assert connection._since is None
    connection._since = before = connection.loop.time() - 2 * Protocol.PATIENCE_S
    connection._look()
    assert connection._since > before
    assert not wire.is_closing()
    connection.flow.read_paused = False
    connection._since = before
    connection._look()
    assert wire.is_closing()
    connection._next_look.cancel()
