"""An answer's head waits for its body, and for nothing longer than a turn of the loop."""

import asyncio

import pytest

from orderhouse.runtime.web.protocol import _Joining

pytestmark = pytest.mark.anyio

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


class Wire(asyncio.Transport):
    """Remembers each write, and when it was closed."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1)})
        self.said: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.said.append(bytes(data))

    def close(self) -> None:
        self.said.append(b"closed")


def joined() -> tuple[Wire, _Joining]:
    wire = Wire()
    return wire, _Joining(wire, asyncio.get_running_loop())


async def test_head_and_body_are_one_write() -> None:
    wire, transport = joined()
    for body in (b"{}", b"[]"):
        transport.write(HEAD)
        transport.write(body)
    assert wire.said == [HEAD + b"{}", HEAD + b"[]"]
    await asyncio.sleep(0)
    assert len(wire.said) == 2, "nothing is said twice"


async def test_a_head_whose_body_is_late_goes_by_itself() -> None:
    wire, transport = joined()
    transport.write(HEAD)
    assert wire.said == []
    await asyncio.sleep(0)
    assert wire.said == [HEAD]
    transport.write(b"late")
    transport.write(b"later")
    assert wire.said == [HEAD, b"late", b"later"]


async def test_what_waits_is_said_before_the_end() -> None:
    wire, transport = joined()
    transport.write(HEAD)
    transport.close()
    assert wire.said == [HEAD, b"closed"]
    await asyncio.sleep(0)
    assert len(wire.said) == 2


async def test_everything_else_is_the_transport_s_own() -> None:
    wire, transport = joined()
    assert transport.get_extra_info("peername") == wire.get_extra_info("peername")
