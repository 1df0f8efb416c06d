"""Bar 21, heads: a request that does not end is refused before it fills the server's memory."""

import email
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from bench.servers import Product
from tests.bars.wire import connected
from tests.installation import Installation

START = b"GET /v1/orders HTTP/1.1\r\nHost: here\r\n"
CHUNKED = b"POST /v1/orders HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n"
SOME = 65_536
MOST = 16 * 1_048_576
"""More than both kernels hold of what nobody reads."""


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    # No request of these gets as far as a database.
    with Installation(tmp_path_factory.mktemp("heads") / "data", "").started() as product:
        yield product


def heard(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(SOME):
        parts.append(part)
    return b"".join(parts)


def cut_off(product: Product, begun: bytes) -> bool:
    """Go on and on; return whether somebody ended it."""
    with connected(product) as connection:
        connection.sendall(begun)
        try:
            for _ in range(MOST // SOME):
                connection.sendall(b"x" * SOME)
        except (ConnectionResetError, BrokenPipeError):
            return True
    return False


@pytest.mark.parametrize("begun", [b"GET /", START + b"x-large: ", START], ids=["target", "header", "headers"])
def test_bar_21_a_head_that_does_not_end_is_refused(product: Product, begun: bytes) -> None:
    with connected(product) as connection:
        connection.sendall(begun + (b"x: y\r\n" * 12_000 if begun == START else b"x" * 66_000))
        head, _, body = heard(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    headers = email.message_from_bytes(head.partition(b"\r\n")[2])
    problem = json.loads(body)
    assert problem["type"] == "/problems/headers_too_large"
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-request-id"] == problem["request_id"]
    assert headers["cache-control"] == "no-store"
    assert headers["content-length"] == str(len(body))
    assert headers["x-content-type-options"] == "nosniff"
    lines = map(json.loads, (Path(product.environment["ORDERHOUSE_DATA_DIR"]) / "server.log").read_text().splitlines())
    assert [line["event"] for line in lines if line.get("request_id") == problem["request_id"]] == ["endless_head"]


@pytest.mark.parametrize("begun", [START + b"x-large: ", CHUNKED + b"x-large: "], ids=["header", "trailer"])
def test_bar_21_who_goes_on_is_cut_off(product: Product, begun: bytes) -> None:
    assert cut_off(product, begun)


def test_bar_21_a_large_body_in_small_parts_is_read(product: Product) -> None:
    text = b'{"name": "' + b"x" * 500_000 + b'"}'
    answer = httpx2.post(
        f"{product.url}/v1/customers",
        content=(text[n : n + 100] for n in range(0, len(text), 100)),
        headers={"Authorization": f"Bearer {product.token()}", "Content-Type": "application/json"},
        timeout=60,
    )
    assert answer.status_code == 422, "read whole, and refused for what it says"


def test_bar_21_large_heads_one_after_the_other_are_read(product: Product) -> None:
    one = START + b"x-large: " + b"x" * 20_000 + b"\r\n\r\n"
    with connected(product) as connection:
        for _ in range(10):
            connection.sendall(one[:10_000])
            connection.sendall(one[10_000:])
            assert connection.recv(SOME).startswith(b"HTTP/1.1 401 ")


def test_bar_21_control_a_server_that_keeps_whatever_comes_is_caught(tmp_path: Path) -> None:
    with Installation(tmp_path / "data", "").started("keeps_heads_without_end") as product:
        assert not cut_off(product, START + b"x-large: ")
