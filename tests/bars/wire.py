"""A connection to a server without any client: what is sent is what a test says."""

import socket
from urllib.parse import urlsplit

from bench.servers import Product


def connected(product: Product) -> socket.socket:
    """Return a connection that waits for a minute at most."""
    address = urlsplit(product.url)
    return socket.create_connection((address.hostname, address.port), timeout=60)
