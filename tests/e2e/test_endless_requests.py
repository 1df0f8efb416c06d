"""Requests that do not end, sent to the product as it is started: refused before they fill its memory."""

import json
import socket
from urllib.parse import urlsplit

import pytest

from tests.e2e.caller import House

START = b"GET /v1/orders HTTP/1.1\r\nHost: here\r\n"
CHUNKED = b"POST /v1/orders HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n"
SOME = 65_536
MOST = 16 * 1_048_576
"""More than both kernels hold of what nobody reads."""


def connected(house: House) -> socket.socket:
    address = urlsplit(house.url)
    return socket.create_connection((address.hostname, address.port), timeout=20)


def heard(connection: socket.socket) -> bytes:
    parts = []
    while part := connection.recv(SOME):
        parts.append(part)
    return b"".join(parts)


def cut_off(connection: socket.socket) -> bool:
    """Go on and on; return whether somebody ended it."""
    try:
        for _ in range(MOST // SOME):
            connection.sendall(b"x" * SOME)
    except (ConnectionResetError, BrokenPipeError):
        return True
    return False


@pytest.mark.parametrize("begun", [b"GET /", START + b"x-large: ", START], ids=["target", "header", "headers"])
def test_a_head_that_does_not_end_is_refused(house: House, begun: bytes) -> None:
    with connected(house) as connection:
        more = b"x: y\r\n" * 12_000 if begun == START else b"x" * 66_000
        connection.sendall(begun + more)
        head, _, body = heard(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert b"content-type: application/problem+json" in head
    assert json.loads(body)["type"] == "/problems/headers_too_large"


@pytest.mark.parametrize("begun", [START + b"x-large: ", CHUNKED + b"x-large: "], ids=["header", "trailer"])
def test_who_goes_on_is_cut_off(house: House, begun: bytes) -> None:
    with connected(house) as connection:
        connection.sendall(begun)
        assert cut_off(connection)


def test_a_large_body_in_small_parts_is_none_of_these(house: House) -> None:
    text = b'{"name": "' + b"x" * 500_000 + b'"}'
    answer = house.client.post(
        "/v1/customers",
        content=(text[n : n + 100] for n in range(0, len(text), 100)),
        headers={"Authorization": f"Bearer {house.token()}", "Content-Type": "application/json"},
    )
    # Read whole, and refused for what it says.
    assert answer.status_code == 422


def test_a_connection_goes_on_after_many_requests(house: House) -> None:
    one = START + b"x-large: " + b"x" * 20_000 + b"\r\n\r\n"
    with connected(house) as connection:
        for _ in range(10):
            connection.sendall(one[:10_000])
            connection.sendall(one[10_000:])
            assert connection.recv(SOME).startswith(b"HTTP/1.1 401 ")
