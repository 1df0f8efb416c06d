"""The HTTP server of a process: where it listens, what it believes of its callers, and how it ends."""

import uvicorn
from starlette.types import ASGIApp

from orderhouse.runtime.settings import Settings
from orderhouse.runtime.web.protocol import Protocol

_DOORS = 16
_BESIDE_HEADERS = 16_384


def serve_until_told(product: ASGIApp, settings: Settings) -> None:
    """Serve until the process is told to end (SIGTERM, SIGINT); what is under way is finished, for ten seconds."""
    config = uvicorn.Config(
        product,
        host=settings.host,
        port=settings.port,
        ssl_certfile=settings.tls_certificate or None,
        ssl_keyfile=settings.tls_key or None,
        loop="uvloop",
        http=Protocol,
        # Headers, and what the target and the ends of lines may take besides.
        h11_max_incomplete_event_size=settings.header_bytes + _BESIDE_HEADERS,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        # Nothing here trusts what a proxy says of its caller.
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=10,
    )
    listening = config.bind_socket()
    # uvloop accepts one connection a turn from each socket it is given: when many come at once while it is busy, the
    # last of them would wait for seconds.
    uvicorn.Server(config).run(sockets=[listening, *(listening.dup() for _ in range(_DOORS - 1))])
