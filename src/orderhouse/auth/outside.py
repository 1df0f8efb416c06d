"""An outside provider of OpenID Connect, as its issuer describes it: where to send people, and who came back."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx2
import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from orderhouse.auth.errors import OutsideAway, OutsideRefused

log = structlog.get_logger(__name__)

_ALGORITHMS = ["EdDSA", "ES256", "ES384", "PS256", "RS256"]
_TIMEOUT_S = 5.0
_KNOWN_FOR_S = 300.0
_SKEW_S = 30
_MOST_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class Registration:
    """This house as the provider knows it."""

    issuer: str
    client_id: str
    client_secret: str
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Somebody:
    """Who the provider says came back."""

    issuer: str
    subject: str
    email: str
    """Empty where the provider does not say that it is theirs."""


class OutsideProvider:
    """One provider. It blocks: ask from a thread. Every call may raise OutsideAway."""

    def __init__(self, registration: Registration, transport: httpx2.BaseTransport | None = None) -> None:
        """Ask it as `registration`."""
        self._as = registration
        self._client = httpx2.Client(timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False, transport=transport)
        self._known: tuple[float, Mapping[str, Any], KeySet] | None = None

    def where_to(self, *, state: str, nonce: str, challenge: str) -> str:
        """Return where somebody is sent to say who they are."""
        there, _ = self._described()
        asked = {
            "response_type": "code",
            "client_id": self._as.client_id,
            "redirect_uri": self._as.redirect_uri,
            "scope": "openid email",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"{there['authorization_endpoint']}?{urlencode(asked)}"

    def who(self, code: str, *, verifier: str, nonce: str) -> Somebody:
        """Return who came back with `code`; OutsideRefused."""
        there, keys = self._described()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._as.redirect_uri,
            "code_verifier": verifier,
            "client_id": self._as.client_id,
            "client_secret": self._as.client_secret,
        }
        told = self._told("POST", there["token_endpoint"], form)
        try:
            token = jwt.decode(str(told.get("id_token")), keys, algorithms=_ALGORITHMS)
        except (JoseError, ValueError):
            raise OutsideRefused from None
        return self._checked(token.claims, nonce)

    def _checked(self, claims: Mapping[str, Any], nonce: str) -> Somebody:
        audience, now = claims.get("aud"), time.time()
        for_us = audience == self._as.client_id or audience == [self._as.client_id]
        if claims.get("iss") != self._as.issuer or not for_us or claims.get("nonce") != nonce:
            raise OutsideRefused
        issued, expires = claims.get("iat"), claims.get("exp")
        if not isinstance(issued, int) or not isinstance(expires, int):
            raise OutsideRefused
        if not issued - _SKEW_S < now < expires + _SKEW_S:
            raise OutsideRefused
        subject, email = claims.get("sub"), claims.get("email")
        if not isinstance(subject, str) or not subject or len(subject) > 255:
            raise OutsideRefused
        proved = claims.get("email_verified") is True and isinstance(email, str)
        return Somebody(self._as.issuer, subject, str(email) if proved else "")

    def _described(self) -> tuple[Mapping[str, Any], KeySet]:
        if self._known is None or self._known[0] < time.monotonic():
            described = self._told("GET", f"{self._as.issuer}/.well-known/openid-configuration")
            # Whoever describes somebody else could have people's passwords sent anywhere (RFC 8414, 3.3).
            if described.get("issuer") != self._as.issuer:
                raise OutsideRefused
            try:
                keys = KeySet.import_key_set(self._told("GET", str(described["jwks_uri"])))  # type: ignore[arg-type]  # checked there
            except (JoseError, KeyError, ValueError, TypeError):
                raise OutsideRefused from None
            self._known = (time.monotonic() + _KNOWN_FOR_S, described, keys)
        return self._known[1:]

    def _told(self, method: str, url: str, form: dict[str, str] | None = None) -> dict[str, Any]:
        try:
            answer = self._client.request(method, url, data=form)
            told = answer.json() if len(answer.content) <= _MOST_BYTES else None
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            log.warning("outside_provider_away", error=type(error).__name__)
            raise OutsideAway from None
        if answer.status_code >= 500:
            raise OutsideAway
        if answer.status_code != 200 or not isinstance(told, dict):
            raise OutsideRefused
        return told

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()
