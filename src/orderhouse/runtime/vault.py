"""Secrets from a vault: any server with the KV API of HashiCorp's Vault, version 1 or 2, such as OpenBao."""

import ssl
from collections.abc import Mapping
from typing import Any

import httpx2
import orjson

_TIMEOUT_S = 5.0


class VaultUnusable(Exception):
    """The vault told nothing that can be used; the text says why, and holds nothing secret."""


def read(url: str, path: str, token: str, transport: httpx2.BaseTransport | None = None) -> Mapping[str, str]:
    """Return the names and values kept at `path`, which names the mount too (`secret/data/orderhouse`).

    VaultUnusable when it does not answer within five seconds, lets nobody in, or keeps no texts there. A redirect is
    not followed: the token would go along.
    """
    # The system's certificates, or those SSL_CERT_FILE names: vaults are seldom known to the world.
    client = httpx2.Client(
        timeout=_TIMEOUT_S, verify=ssl.create_default_context(), trust_env=False, transport=transport
    )
    with client:
        try:
            answer = client.get(f"{url.rstrip('/')}/v1/{path.strip('/')}", headers={"X-Vault-Token": token})
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise VaultUnusable(f"does not answer ({type(error).__name__})") from None
    if answer.status_code == 404:
        raise VaultUnusable("keeps nothing at this path (version 2 wants secret/data/NAME, version 1 secret/NAME)")
    if answer.status_code != 200:
        raise VaultUnusable(f"answered {answer.status_code}")
    return _texts(answer.content)


def _texts(body: bytes) -> Mapping[str, str]:
    try:
        found: Any = orjson.loads(body)["data"]
        if isinstance(found.get("data"), dict) and "metadata" in found:
            found = found["data"]  # version 2 keeps a history, and tells of it beside
    except (ValueError, LookupError, TypeError, AttributeError):
        raise VaultUnusable("answered something else than secrets") from None
    if not all(isinstance(value, str) for value in found.values()):
        raise VaultUnusable("keeps something else than texts at this path")
    return dict(found)
