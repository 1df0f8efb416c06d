"""The provider of OAuth 2.1: Authlib knows the protocol, and asks the services what is so and what becomes of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import flask
import orjson
from authlib.common.urls import add_params_to_uri
from authlib.oauth2 import AuthorizationServer, OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749 import ClientMixin, InvalidGrantError, InvalidRequestError, InvalidScopeError
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, ClientCredentialsGrant, RefreshTokenGrant
from authlib.oauth2.rfc6749.requests import OAuth2Payload
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint, DeviceCodeGrant
from flask import Response

from orderhouse.auth.errors import RefreshRefused
from orderhouse.auth.reads import ClientRow, CodeRow, DeviceRow
from orderhouse.auth.routes.asking import where
from orderhouse.auth.schemas.oauth import CODE_GRANT, DEVICE
from orderhouse.auth.sealing import same_digest
from orderhouse.auth.service.access_tokens import LASTS_S
from orderhouse.auth.service.asking import NOBODY
from orderhouse.auth.service.clients import ClientService, redirects_to
from orderhouse.auth.service.grants import DEVICE_LASTS_S, POLLS_S, Approval, GrantService, Trade, Traded, known_scope
from orderhouse.auth.service.sessions import RefreshWith, SessionService
from orderhouse.auth.service.sign_ins import Known
from orderhouse.kernel import clock
from orderhouse.runtime.web.flask_edge import asked, retry_key

AUTH_METHODS = ["client_secret_basic", "client_secret_post", "none"]


class Payload(OAuth2Payload):  # type: ignore[misc]  # Authlib has no types
    """What was sent, by name; what came more than once is told apart."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Read `pairs`."""
        self._all: dict[str, list[str]] = {}
        for name, value in pairs:
            self._all.setdefault(name, []).append(value)

    @property
    def data(self) -> dict[str, str]:
        """The first of each. What is empty was not sent (RFC 6749, 3.1)."""
        return {name: values[0] for name, values in self._all.items() if values[0]}

    @property
    def datalist(self) -> dict[str, list[str]]:
        """All there is."""
        return self._all


class ProtocolRequest(OAuth2Request):  # type: ignore[misc]  # likewise
    """A request as Authlib wants it."""

    def __init__(self, method: str, pairs: Sequence[tuple[str, str]], headers: Mapping[str, str]) -> None:
        """Hold `pairs`, of a query or of a form."""
        # Whether TLS ends here or before this server is not Authlib's to know.
        super().__init__(method, "https://orderhouse.invalid/", headers=headers)
        self.payload = Payload(pairs)

    @property
    def form(self) -> dict[str, str]:
        """What was sent."""
        return self.payload.data

    @property
    def args(self) -> dict[str, str]:
        """What was sent."""
        return self.payload.data


class KnownClient(ClientMixin):  # type: ignore[misc]  # likewise
    """A client, as Authlib asks about it."""

    def __init__(self, row: ClientRow) -> None:
        """Tell of `row`."""
        self.row = row

    def get_client_id(self) -> str:
        return self.row.id

    def get_default_redirect_uri(self) -> str | None:
        return self.row.redirect_uris[0] if len(self.row.redirect_uris) == 1 else None

    def get_allowed_scope(self, scope: str | None) -> str | None:
        return known_scope(scope or "", self.row) or (None if scope else "")

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirects_to(self.row, redirect_uri)

    def check_client_secret(self, client_secret: str) -> bool:
        return self.row.secret_digest is not None and same_digest(client_secret, self.row.secret_digest)

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        return (method == "none") == (self.row.secret_digest is None)

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code" and CODE_GRANT in self.row.grants

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.row.grants


class _Code:
    def __init__(self, row: CodeRow) -> None:
        self.row = row

    def get_redirect_uri(self) -> str | None:
        return self.row.redirect_uri if self.row.redirect_said else None

    def get_scope(self) -> str:
        return self.row.scope


class CodeGrant(AuthorizationCodeGrant):  # type: ignore[misc]  # likewise
    """A code for whoever let the client in, traded once."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def generate_authorization_code(self) -> str:
        data, known = self.request.payload.data, self.request.user
        if not isinstance(known, Known):
            raise TypeError("whoever lets a client in was recognised")
        return self.server.grants.approve(  # type: ignore[no-any-return]  # Authlib has no types
            asked(
                Approval(
                    self.client.row,
                    known,
                    data.get("redirect_uri") or self.client.get_default_redirect_uri(),
                    "redirect_uri" in data,
                    self.request.scope,
                    data["code_challenge"],
                    data.get("nonce", ""),
                ),
                by=NOBODY,
            )
        )

    def save_authorization_code(self, code: str, request: Any) -> None:
        """Nothing: a code is made and kept in one."""

    def query_authorization_code(self, code: str, client: KnownClient) -> _Code | None:
        found = self.server.grants.code(asked(Trade(code, client.row, where()), by=NOBODY))
        return _Code(found) if found else None

    def delete_authorization_code(self, authorization_code: _Code) -> None:
        """Nothing: whoever trades a code uses it up, in one transaction."""

    def authenticate_user(self, authorization_code: _Code) -> object:
        return authorization_code

    def generate_token(self, *_: Any, **__: Any) -> dict[str, Any]:
        trade = Trade(self.request.form["code"], self.client.row, where(self.client.row.name))
        traded = self.server.grants.trade(asked(trade, by=NOBODY))
        return self.server.told(traded, self.client.row)  # type: ignore[no-any-return]  # Authlib has no types


class Pkce(CodeChallenge):  # type: ignore[misc]  # likewise
    """A challenge from everybody, and the hashed one alone (RFC 9700, 2.1.1)."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: CodeGrant, redirect_uri: str) -> None:
        data = grant.request.payload.data
        if "code_challenge" not in data or data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("A 'code_challenge' of method S256 is needed.")
        super().validate_code_challenge(grant, redirect_uri)

    def get_authorization_code_challenge(self, authorization_code: _Code) -> str:
        return authorization_code.row.challenge

    def get_authorization_code_challenge_method(self, _authorization_code: _Code) -> str:
        return "S256"


class Refreshing(RefreshTokenGrant):  # type: ignore[misc]  # likewise
    """A refresh token that is good once."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def _validate_request_token(self, _client: KnownClient) -> str:
        token: str | None = self.request.form.get("refresh_token")
        if token is None:
            raise InvalidRequestError("Missing 'refresh_token' in request.")
        return token

    def _validate_token_scope(self, token: str) -> None:
        """Nothing: the scope stays what it was, and is told (RFC 6749, 3.3)."""

    def authenticate_user(self, refresh_token: str) -> object:
        return refresh_token

    def issue_token(self, _user: object, refresh_token: str) -> dict[str, Any]:
        try:
            given = self.server.sessions.refresh(
                asked(RefreshWith(refresh_token, self.client.row.id, retry_key()), by=NOBODY)
            )
        except RefreshRefused:
            raise InvalidGrantError from None
        return {**_bearer(given.access_token, given.scope or ""), "refresh_token": given.refresh_token}

    def revoke_old_credential(self, refresh_token: str) -> None:
        """Nothing: it was used up when its successor was made."""


class Credentials(ClientCredentialsGrant):  # type: ignore[misc]  # likewise
    """A client that acts for itself."""

    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS[:2]

    def generate_token(self, *_: Any, **__: Any) -> dict[str, Any]:
        scope = self.client.get_allowed_scope(self.request.payload.scope)
        if not scope:
            raise InvalidScopeError
        return _bearer(self.server.grants.for_itself(self.client.row, scope), scope)


class _Device:
    def __init__(self, row: DeviceRow) -> None:
        self.row = row

    def get_client_id(self) -> str:
        return self.row.client_id

    def get_scope(self) -> str:
        return self.row.scope

    def get_user_code(self) -> str:
        return self.row.user_code

    def is_expired(self) -> bool:
        return clock.now() >= self.row.expires_at


class DeviceGrant(DeviceCodeGrant):  # type: ignore[misc]  # likewise
    """A device that asks until it is let in."""

    def query_device_credential(self, device_code: str) -> _Device | None:
        self._row: DeviceRow | None = self.server.grants.device(asked(device_code, by=NOBODY))
        return _Device(self._row) if self._row and not self._row.used else None

    def query_user_grant(self, _user_code: str) -> tuple[object, bool] | None:
        row = self._row
        return (row.user_id, not row.refused) if row and row.user_id else None

    def should_slow_down(self, _credential: _Device) -> bool:
        return bool(self.server.grants.polled_too_soon(asked(self.request.form["device_code"], by=NOBODY)))

    def generate_token(self, *_: Any, **__: Any) -> dict[str, Any]:
        trade = Trade(self.request.form["device_code"], self.client.row, where())
        return self.server.told(  # type: ignore[no-any-return]  # Authlib has no types
            self.server.grants.trade_device(asked(trade, by=NOBODY)), self.client.row
        )


class DeviceEndpoint(DeviceAuthorizationEndpoint):  # type: ignore[misc]  # likewise
    """Where a device begins."""

    EXPIRES_IN, INTERVAL = DEVICE_LASTS_S, POLLS_S

    def create_endpoint_response(self, request: ProtocolRequest) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        client: KnownClient = self.authenticate_client(request)
        if not client.check_grant_type(DeviceGrant.GRANT_TYPE):
            raise InvalidRequestError("This client is no device.")
        scope = client.get_allowed_scope(request.payload.scope)
        if not scope:
            raise InvalidScopeError
        device_code, user_code = self.server.grants.begin_device(asked((client.row.id, scope), by=NOBODY))
        page = self.server.grants.issuer + DEVICE
        told = {
            "device_code": device_code,
            "user_code": user_code,
            "verification_uri": page,
            "verification_uri_complete": add_params_to_uri(page, [("user_code", user_code)]),
            "expires_in": self.EXPIRES_IN,
            "interval": self.INTERVAL,
        }
        return 200, told, _NOT_KEPT


class Provider(AuthorizationServer):  # type: ignore[misc]  # likewise
    """Authlib's server over our services."""

    def __init__(self, clients: ClientService, grants: GrantService, sessions: SessionService) -> None:
        """Register every grant there is."""
        super().__init__()
        self.clients = clients
        self.grants = grants
        self.sessions = sessions
        self.register_grant(CodeGrant, [Pkce(required=True)])
        for grant in (Refreshing, Credentials, DeviceGrant):
            self.register_grant(grant)
        self.register_endpoint(DeviceEndpoint)

    def query_client(self, client_id: str) -> KnownClient | None:
        found = self.clients.by_id(client_id)
        return KnownClient(found) if found else None

    def save_token(self, _token: object, _request: object) -> None:
        """Nothing: what is given is kept by whoever gives it."""

    def send_signal(self, _name: str, *_: object, **__: object) -> None:
        """Nothing: the log is written where something is decided."""

    def create_oauth2_request(self, request: ProtocolRequest) -> ProtocolRequest:
        return request

    def handle_response(self, status: int, body: object, headers: Sequence[tuple[str, str]]) -> Response:
        if location := dict(headers).get("Location"):
            # RFC 9207: whoever has several providers knows which one answers. 303: what was posted here stays here.
            return flask.redirect(add_params_to_uri(location, [("iss", self.grants.issuer)]), 303)  # type: ignore[return-value]  # Werkzeug makes the class it is asked for
        said = dict(body) if isinstance(body, dict | list) else {}
        more = [one for one in headers if one[0] == "WWW-Authenticate"]
        return Response(orjson.dumps(said), status, [*_NOT_KEPT, *more])

    def refused(self, request: ProtocolRequest, error: OAuth2Error) -> Response:
        """Return how an error is told."""
        return self.handle_error_response(request, error)  # type: ignore[no-any-return]  # Authlib has no types

    def told(self, traded: Traded | None, client: ClientRow) -> dict[str, Any]:
        """Return what a client is given; InvalidGrantError for nothing."""
        if traded is None:
            raise InvalidGrantError
        scope = traded.given.scope or ""
        told = _bearer(traded.given.access_token, scope)
        if Refreshing.GRANT_TYPE in client.grants:
            told["refresh_token"] = traded.given.refresh_token
        if "openid" in scope.split():
            told["id_token"] = self.grants.id_token(traded, client.id)
        return told


_NOT_KEPT = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]


def _bearer(access_token: str, scope: str) -> dict[str, Any]:
    return {"access_token": access_token, "token_type": "Bearer", "expires_in": LASTS_S, "scope": scope}
