"""Bar 21, bodies: one that does not end is refused, none of it is kept, and whoever goes on is let go."""

import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest

from bench.servers import Product
from tests.bars.counts import count
from tests.bars.defects import HURRIED_S
from tests.bars.wire import connected
from tests.installation import Installation

pytestmark = pytest.mark.timeout(600)

MIB = 1_048_576
SENT = count(256 * MIB, 10 * 1024 * MIB)
GROWN = 16 * MIB
CHUNK = b"%x\r\n%b\r\n" % (65_536, b" " * 65_536)
TAKEN = 2 * MIB
"""Twice of what a body may be."""


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    """None of these requests gets as far as a database."""
    return Installation(tmp_path / "data")


def send(connection: socket.socket, size: int) -> None:
    """Send so much more of the body."""
    for _ in range(0, size, 65_536):
        connection.sendall(CHUNK)


def begun(product: Product) -> socket.socket:
    """Begin a request whose body comes in chunks."""
    connection = connected(product)
    head = "POST /v1/orders HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\nContent-Type: application/json\r\n"
    connection.sendall(f"{head}Authorization: Bearer {product.token()}\r\n\r\n".encode())
    return connection


def grown(product: Product, connection: socket.socket, size: int) -> int:
    """Send so much more, or what the server lets us; return by how many bytes it grew."""
    before = product.memory()
    with suppress(ConnectionResetError, BrokenPipeError):
        send(connection, size)
    return product.memory() - before


def went_on(connection: socket.socket, within_s: float) -> float:
    """Send on and on after the answer; return for how many seconds that went well."""
    send(connection, TAKEN)
    assert connection.recv(65_536).startswith(b"HTTP/1.1 413 ")
    began = time.monotonic()
    with suppress(ConnectionResetError, BrokenPipeError):
        while time.monotonic() - began < within_s:
            connection.sendall(CHUNK)
            time.sleep(0.01)  # The server would take it faster: other tests are to have a processor too.
    return time.monotonic() - began


def test_bar_21_a_body_that_does_not_end_is_refused_and_not_kept(installation: Installation) -> None:
    with installation.started() as product, begun(product) as connection:
        assert grown(product, connection, TAKEN) < GROWN
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413 ")
        assert grown(product, connection, SENT) < GROWN


def test_bar_21_who_goes_on_after_the_answer_is_let_go(installation: Installation) -> None:
    with installation.started("waits_shortly") as product, begun(product) as connection:
        assert went_on(connection, within_s=10 * HURRIED_S) < 10 * HURRIED_S


def test_bar_21_control_a_server_that_lets_nobody_go_is_caught(installation: Installation) -> None:
    with installation.started("waits_for_ever") as product, begun(product) as connection:
        assert went_on(connection, within_s=2 * HURRIED_S) >= 2 * HURRIED_S


def test_bar_21_control_a_server_that_keeps_whatever_comes_is_caught(installation: Installation) -> None:
    with installation.started("keeps_bodies_without_end") as product, begun(product) as connection:
        assert grown(product, connection, 64 * MIB) > GROWN
