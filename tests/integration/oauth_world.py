"""Clients of OAuth as they are written elsewhere, and people who say yes on a page."""

import base64
import hashlib
import re
import secrets
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx2

from tests.integration.auth_world import ADA, PASSWORD, Api

BACK = "https://client.example/callback"
PAGE, TOKEN = "/oauth/authorization", "/oauth/token"


async def added(api: Api, **more: Any) -> dict[str, Any]:
    """Return a client of the kind most are: public, with a code and a refresh token."""
    wanted = {
        "name": "Shelf labels",
        "grants": ["authorization_code", "refresh_token"],
        "redirect_uris": [BACK],
        "scope": ["openid", "email", "orders:read"],
        **more,
    }
    answer = await api("POST", "/v1/auth/clients", wanted, token=api.keys.issue("boss", "owner", minutes=5))
    assert answer.status_code == 201, answer.text
    client: dict[str, Any] = answer.json()
    return client


class Visit:
    """One way of a browser through the provider, for a client."""

    def __init__(self, api: Api, client: dict[str, Any], **asks: str | None) -> None:
        self.api = api
        self.client = client
        self.verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        wanted = {
            "response_type": "code",
            "client_id": client["id"],
            "redirect_uri": BACK,
            "scope": "openid email orders:read",
            "state": "s-1",
            "nonce": "n-1",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **asks,
        }
        self.asks = {name: value for name, value in wanted.items() if value is not None}

    async def page(self) -> httpx2.Response:
        return await self.api("GET", f"{PAGE}?{urlencode(self.asks)}")

    async def answers(self, decision: str = "allow", **who: str) -> httpx2.Response:
        """Fill in the page, as a browser does: with what is hidden in it."""
        page = await self.page()
        assert page.status_code == 200, page.text
        hidden = re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', page.text)
        filled = {"email": ADA, "password": PASSWORD, "decision": decision, **who}
        return await self.api.form(PAGE, {**{name: unescape(value) for name, value in hidden}, **filled})

    async def code(self) -> str:
        """Return the code of somebody who said yes."""
        answer = await self.answers()
        assert answer.status_code == 303, answer.text
        return sent_back(answer)["code"]

    async def trades(self, code: str, **more: str | None) -> httpx2.Response:
        wanted = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.asks.get("redirect_uri"),
            "code_verifier": self.verifier,
            "client_id": self.client["id"],
            **more,
        }
        return await self.api.form(TOKEN, {name: value for name, value in wanted.items() if value is not None})

    async def tokens(self) -> dict[str, Any]:
        answer = await self.trades(await self.code())
        assert answer.status_code == 200, answer.text
        given: dict[str, Any] = answer.json()
        return given


def sent_back(answer: httpx2.Response, to: str = BACK) -> dict[str, str]:
    """Return what a redirect says."""
    location = answer.headers["location"]
    assert location.startswith(to), location
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


def refused(answer: httpx2.Response) -> tuple[int, str]:
    """Return status and error, as RFC 6749 tells it."""
    assert answer.headers["content-type"] == "application/json", answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code, answer.json()["error"]
