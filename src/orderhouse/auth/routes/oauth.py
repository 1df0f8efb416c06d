"""OAuth 2.1 and OpenID Connect over HTTP: what Authlib answers, and the pages on which people say yes."""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

import flask
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError
from flask import Blueprint, Response
from pydantic import BaseModel, ValidationError

from orderhouse.auth.errors import AuthorizationWrong, SignInRefused
from orderhouse.auth.routes import pages
from orderhouse.auth.routes.asking import where
from orderhouse.auth.routes.provider import AUTH_METHODS, ProtocolRequest, Provider
from orderhouse.auth.schemas.clients import IDENTITY
from orderhouse.auth.schemas.oauth import (
    AUTHORIZATION,
    CODE_GRANT,
    CREDENTIALS_GRANT,
    DEVICE,
    DEVICE_AUTHORIZATION,
    DEVICE_GRANT,
    INTROSPECTION,
    REFRESH_GRANT,
    REVOCATION,
    TOKEN_ENDPOINT,
    DeviceForm,
    DeviceOut,
    GrantForm,
    GrantOut,
    Metadata,
    PageForm,
)
from orderhouse.auth.schemas.outside import RETURN
from orderhouse.auth.schemas.sessions import SignIn
from orderhouse.auth.service.asking import NOBODY
from orderhouse.auth.service.grants import LetIn
from orderhouse.auth.service.sign_ins import Known, SignInFrom, SignInService
from orderhouse.kernel.errors import Refusal
from orderhouse.kernel.principal import PERMISSIONS
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web import problems
from orderhouse.runtime.web.answers import json_answer
from orderhouse.runtime.web.flask_edge import asked, form, form_pairs, open_to_all, query_pairs
from orderhouse.runtime.web.refusals import RequestInvalid

_ERROR: dict[str, Any] = {
    "description": "Refused, as RFC 6749 tells it.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["error"],
                "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
            }
        }
    },
}
_HTML: dict[str, Any] = {"description": "A page for people.", "content": {"text/html": {"schema": {"type": "string"}}}}
_BACK: dict[str, Any] = {"description": "Back to the client, with a code or an error."}
_ERRORS: dict[int, Any] = {400: _ERROR, 401: _ERROR}
_AGAIN: dict[int, Any] = {200: _HTML, 303: _BACK, 401: _HTML, 403: _HTML, 429: _HTML, 503: _HTML}

# What a page sends back of its own, beside what it was asked for.
_OF_THE_PAGE = {"email", "password", "otp", "decision", "user_code"}


def blueprint(provider: Provider, sign_in: SignInService) -> Blueprint:
    """Return the views."""
    views = Blueprint("oauth", __name__)

    @views.post(TOKEN_ENDPOINT)
    @open_to_all(
        "clients prove themselves in their own ways", form=GrantForm, answers=GrantOut, retries=True, also=_ERRORS
    )
    def grant_tokens() -> Response:
        """Trade a code, a refresh token, a device code or a client's own secret for tokens (RFC 6749, 3.2)."""
        return _protocol(provider, GrantForm, provider.create_token_response)

    @views.post(DEVICE_AUTHORIZATION)
    @open_to_all("a device has nothing to prove yet", form=DeviceForm, answers=DeviceOut, also=_ERRORS)
    def begin_device() -> Response:
        """Begin to let a device in (RFC 8628, 3.1)."""
        return _protocol(
            provider, DeviceForm, lambda request: provider.create_endpoint_response("device_authorization", request)
        )

    @views.get("/.well-known/oauth-authorization-server")
    @open_to_all("what there is is no secret", answers=Metadata)
    def get_authorization_server() -> Answer:
        """Say what there is and where (RFC 8414)."""
        return json_answer(metadata(provider.grants.issuer))

    @views.get("/.well-known/openid-configuration")
    @open_to_all("what there is is no secret", answers=Metadata)
    def get_openid_configuration() -> Answer:
        """Say what there is and where (OpenID Connect Discovery 1.0)."""
        return json_answer(metadata(provider.grants.issuer))

    @views.get(RETURN)
    @open_to_all("it shows what is in its own address", also={200: _HTML})
    def show_return() -> Response:
        """Show what an outside provider sent back, to whoever began elsewhere."""
        said = dict(query_pairs())
        return pages.return_page(said.get("code", "")[:2000], said.get("state", "")[:200])

    _add_pages(views, provider, sign_in)
    return views


def _add_pages(views: Blueprint, provider: Provider, sign_in: SignInService) -> None:
    @views.get(AUTHORIZATION)
    @open_to_all("whoever says yes proves who they are on the page", AuthorizationWrong, also={200: _HTML, 303: _BACK})
    def ask_to_authorize() -> Response:
        """Ask somebody whether a client may act for them (RFC 6749, 3.1). PKCE by S256 is needed."""
        request = _request("GET", query_pairs())
        grant = _consent(provider, request)
        return grant if isinstance(grant, Response) else _client_page(request, grant)

    @views.post(AUTHORIZATION)
    @open_to_all("whoever says yes proves who they are here", AuthorizationWrong, form=PageForm, also=_AGAIN)
    def authorize() -> Response:
        """Let a client act for whoever signs in here, or not."""
        request, page = _request("POST", form_pairs()), form(PageForm)
        grant = _consent(provider, request)
        if isinstance(grant, Response):
            return grant
        known: Known | None = None
        if page.decision == "allow":
            try:
                known = _recognised(sign_in, page)
            except Refusal as refusal:
                return _client_page(request, grant, refusal)
        made: Response = provider.create_authorization_response(request, grant_user=known, grant=grant)
        return made

    @views.get(DEVICE)
    @open_to_all("whoever says yes proves who they are on the page", also={200: _HTML})
    def ask_for_device() -> Response:
        """Ask somebody whose device it is that shows a code (RFC 8628, 3.3)."""
        return pages.device_page(dict(query_pairs()).get("user_code", "")[:20], DEVICE)

    @views.post(DEVICE)
    @open_to_all("whoever says yes proves who they are here", form=PageForm, also=_AGAIN)
    def answer_device() -> Response:
        """Let a device in that shows a code, or keep it out."""
        page = form(PageForm)
        user_code = page.user_code[:20]
        try:
            known = _recognised(sign_in, page)
        except Refusal as refusal:
            return pages.device_page(user_code, DEVICE, told=_told(refusal), status=_status(refusal))
        allowed = page.decision == "allow"
        if not provider.grants.let_in(asked(LetIn(user_code, known, allowed), by=NOBODY)):
            return pages.device_page(user_code, DEVICE, told="No device shows this code now.", status=403)
        return pages.done_page("The device is in." if allowed else "The device stays out.")


def metadata(issuer: str) -> dict[str, Any]:
    """Return what a client has to know of the house at `issuer`."""
    return {
        "issuer": issuer,
        "authorization_endpoint": issuer + AUTHORIZATION,
        "token_endpoint": issuer + TOKEN_ENDPOINT,
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "device_authorization_endpoint": issuer + DEVICE_AUTHORIZATION,
        "revocation_endpoint": issuer + REVOCATION,
        "revocation_endpoint_auth_methods_supported": ["none"],
        "introspection_endpoint": issuer + INTROSPECTION,
        "introspection_endpoint_auth_methods_supported": ["Bearer"],
        "scopes_supported": sorted({*IDENTITY, *PERMISSIONS}),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [CODE_GRANT, REFRESH_GRANT, CREDENTIALS_GRANT, DEVICE_GRANT],
        "token_endpoint_auth_methods_supported": AUTH_METHODS,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
        "claims_supported": [
            "sub",
            "iss",
            "aud",
            "exp",
            "iat",
            "auth_time",
            "amr",
            "nonce",
            "email",
            "email_verified",
            "name",
        ],
    }


def _request(method: str, pairs: Sequence[tuple[str, str]]) -> ProtocolRequest:
    return ProtocolRequest(method, pairs, dict(flask.request.headers))


def _protocol(provider: Provider, model: type[BaseModel], answer: Callable[[ProtocolRequest], Any]) -> Response:
    request = _request("POST", form_pairs())
    try:
        form(model)
        if any(len(values) > 1 for values in request.payload.datalist.values()):
            raise InvalidRequestError("A parameter came more than once.")
        made: Response = answer(request)
    except OAuth2Error as error:
        return provider.refused(request, error)
    except (RequestInvalid, ValueError):
        # Authlib would say back what was sent, and cannot when it holds what no error may (RFC 6749, 5.2).
        return provider.refused(request, InvalidRequestError())
    return made


def _consent(provider: Provider, request: ProtocolRequest) -> Any:
    """Return what is asked for, or the answer that refuses it; AuthorizationWrong where nobody may be sent back."""
    try:
        return provider.get_consent_grant(request)
    except OAuth2Error as error:
        if not error.redirect_uri:
            raise AuthorizationWrong(error.description or "") from None
        return provider.refused(request, error)
    except ValueError:
        raise AuthorizationWrong from None


def _client_page(request: ProtocolRequest, grant: Any, refusal: Refusal | None = None) -> Response:
    hidden = [(name, value) for name, value in request.payload.data.items() if name not in _OF_THE_PAGE]
    client = grant.client.row
    name = f"{client.name} ({urlsplit(grant.redirect_uri).netloc or 'a program on this device'})"
    return pages.client_page(
        name,
        request.scope.split(),
        hidden,
        AUTHORIZATION,
        told=_told(refusal) if refusal else "",
        status=_status(refusal) if refusal else 200,
    )


def _recognised(sign_in: SignInService, page: PageForm) -> Known:
    try:
        wanted = SignIn.model_validate({"email": page.email, "password": page.password, "code": page.otp or None})
    except ValidationError:
        raise SignInRefused from None
    return sign_in.recognise(asked(SignInFrom(wanted, where()), by=NOBODY))


def _told(refusal: Refusal) -> str:
    return refusal.title


def _status(refusal: Refusal) -> int:
    status = problems.status_of(type(refusal))
    # 401 would want a header that makes browsers ask for another kind of password.
    return 403 if status == 401 else status
