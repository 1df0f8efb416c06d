"""What schemathesis cannot know of auth: passwords, what came by mail, and whose token is good for what."""

import os
import time
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import pyotp
from schemathesis import Case

from tests import mailbox

PASSWORD = "correct horse battery staple"
FACTOR = "/v1/auth/second-factor"


_BY_OTHERS = ("/v1/auth/revocations", "/v1/auth/clients")
"""What is not everybody's to ask."""


def prepared(case: Case[Any]) -> bool:
    """Make what a request to auth needs to be able to succeed; whether it is one to auth."""
    path = case.operation.path
    if not path.startswith(("/v1/auth", "/oauth")):
        return False
    act = _PREPARED.get((case.method, path))
    if act is not None:
        act(case)
    elif case.headers and path.startswith("/v1/auth") and path not in _BY_OTHERS:
        _is_sent_by(case, everybody()["access_token"])
    return True


def said(case: Case[Any]) -> dict[str, Any]:
    """Return what a request says, of those whose schema is an object."""
    assert isinstance(case.body, dict)
    return case.body


def _registers(case: Case[Any]) -> None:
    said(case).update(email=f"{uuid.uuid4().hex}@example.com", password=PASSWORD, name="Ada")


def _verifies(case: Case[Any]) -> None:
    email = registered()
    said(case).update(token=mailed(email), password=PASSWORD)


def _signs_in(case: Case[Any]) -> None:
    case.body = {"email": _known(), "password": PASSWORD}


def _refreshes(case: Case[Any]) -> None:
    case.body = {"refresh_token": signed_in(_known())["refresh_token"]}


def _changes_password(case: Case[Any]) -> None:
    _is_sent_by(case, signed_in(registered())["access_token"])
    case.body = {"password": PASSWORD, "new_password": f"{PASSWORD}!"}


def _resets(case: Case[Any]) -> None:
    email = registered()
    mailed(email)
    posted("/v1/auth/password-resets", {"email": email})
    case.body = {"token": mailed(email, 2), "new_password": PASSWORD}


def _ends(case: Case[Any]) -> None:
    given = signed_in(_known())
    _is_sent_by(case, given["access_token"])
    if "session_id" in (case.path_parameters or {}):
        case.path_parameters["session_id"] = given["session_id"]


def _offers(case: Case[Any]) -> None:
    _is_sent_by(case, signed_in(registered())["access_token"])


def _confirms(case: Case[Any]) -> None:
    token = signed_in(registered())["access_token"]
    case.body = {"code": _offered(token)}
    _is_sent_by(case, token)


def _removes(case: Case[Any]) -> None:
    token = signed_in(registered())["access_token"]
    case.body = {"code": posted(f"{FACTOR}/confirmation", {"code": _offered(token)}, token)["codes"][0]}
    _is_sent_by(case, token)


def _uses_api_key(case: Case[Any]) -> None:
    case.body = {"api_key": _api_key(_customer())["key"]}


def _ends_api_key(case: Case[Any]) -> None:
    token = _customer()
    _is_sent_by(case, token)
    case.path_parameters["api_key_id"] = _api_key(token)["id"]


def _adds_api_key(case: Case[Any]) -> None:
    _is_sent_by(case, _customer())
    if isinstance(case.body, dict) and "scope" in case.body:
        case.body["scope"] = ["orders:read"]


def _api_key(token: str) -> dict[str, Any]:
    return posted("/v1/auth/api-keys", {"name": "Till", "scope": ["orders:read"]}, token)


def _customer() -> str:
    return _customer_until(int(time.monotonic() // 300))


@cache
def _customer_until(_when: int) -> str:
    """Return the token of somebody with a customer record, who has something to give away."""
    email = registered()
    record = {"name": "Ada", "email": email}
    httpx2.post(
        f"{os.environ['BASE_URL']}/v1/customers",
        json=record,
        headers={"Authorization": os.environ["BEARER"], "Idempotency-Key": email},
    ).raise_for_status()
    answer = httpx2.post(
        f"{os.environ['BASE_URL']}/v1/auth/verifications", json={"token": mailed(email), "password": PASSWORD}
    )
    answer.raise_for_status()
    return str(signed_in(email)["access_token"])


def _adds_client(case: Case[Any]) -> None:
    case.body = {
        "name": "Labels",
        "grants": ["authorization_code"],
        "redirect_uris": [_back()],
        "scope": ["orders:read"],
    }


def _ends_client(case: Case[Any]) -> None:
    case.path_parameters["client_id"] = _client(fresh=uuid.uuid4().hex)


def _asks_to_authorize(case: Case[Any]) -> None:
    case.query = _authorization()


def _authorizes(case: Case[Any]) -> None:
    case.body = {**_authorization(), "email": _known(), "password": PASSWORD, "decision": "allow"}


def _begins_device(case: Case[Any]) -> None:
    case.body = {"client_id": "orderhouse-login"}


def _answers_device(case: Case[Any]) -> None:
    case.body = {"email": _known(), "password": PASSWORD, "user_code": _device()["user_code"], "decision": "allow"}


def _trades(case: Case[Any]) -> None:
    device = _device()
    who = {"email": _known(), "password": PASSWORD, "user_code": device["user_code"], "decision": "allow"}
    httpx2.post(f"{os.environ['BASE_URL']}/oauth/device", data=who).raise_for_status()
    grant = "urn:ietf:params:oauth:grant-type:device_code"
    case.body = {"grant_type": grant, "client_id": "orderhouse-login", "device_code": device["device_code"]}


def _back() -> str:
    """Return a place to be sent back to, where there is a page as well."""
    return f"{os.environ['BASE_URL']}/oauth/device"


def _authorization() -> dict[str, str]:
    return {
        "response_type": "code",
        "client_id": _client(),
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
    }


@cache
def _client(fresh: str = "") -> str:
    client = {"name": fresh or "L", "grants": ["authorization_code"], "redirect_uris": [_back()], "scope": ["openid"]}
    return str(posted("/v1/auth/clients", client, os.environ["BEARER"].removeprefix("Bearer "))["id"])


def _device() -> dict[str, Any]:
    form = {"client_id": "orderhouse-login"}
    begun: dict[str, Any] = httpx2.post(f"{os.environ['BASE_URL']}/oauth/device-authorization", data=form).json()
    return begun


_PREPARED: dict[tuple[str, str], Callable[[Case[Any]], None]] = {
    ("POST", "/v1/auth/registrations"): _registers,
    ("POST", "/v1/auth/verifications"): _verifies,
    ("POST", "/v1/auth/sessions"): _signs_in,
    ("POST", "/v1/auth/tokens"): _refreshes,
    ("PUT", "/v1/auth/password"): _changes_password,
    ("POST", "/v1/auth/password-resets/completion"): _resets,
    ("DELETE", "/v1/auth/session"): _ends,
    ("DELETE", "/v1/auth/sessions"): _ends,
    ("DELETE", "/v1/auth/sessions/{session_id}"): _ends,
    ("POST", "/v1/auth/api-keys"): _adds_api_key,
    ("DELETE", "/v1/auth/api-keys/{api_key_id}"): _ends_api_key,
    ("POST", "/v1/auth/api-key-tokens"): _uses_api_key,
    ("POST", "/v1/auth/clients"): _adds_client,
    ("DELETE", "/v1/auth/clients/{client_id}"): _ends_client,
    ("GET", "/oauth/authorization"): _asks_to_authorize,
    ("POST", "/oauth/authorization"): _authorizes,
    ("POST", "/oauth/device-authorization"): _begins_device,
    ("POST", "/oauth/device"): _answers_device,
    ("POST", "/oauth/token"): _trades,
    ("POST", FACTOR): _offers,
    ("POST", f"{FACTOR}/confirmation"): _confirms,
    ("POST", f"{FACTOR}/removal"): _removes,
}


def _is_sent_by(case: Case[Any], token: str) -> None:
    case.headers["Authorization"] = f"Bearer {token}"


@cache
def _known() -> str:
    return registered()


def everybody() -> dict[str, Any]:
    """Return what somebody has who is signed in, with a token that is good for some minutes more."""
    return _signed_in(int(time.monotonic() // 300))


@cache
def _signed_in(_when: int) -> dict[str, Any]:
    return signed_in(_known())


def registered() -> str:
    """Return the address of somebody new."""
    email = f"{uuid.uuid4().hex}@example.com"
    posted("/v1/auth/registrations", {"email": email, "name": "Ada", "password": PASSWORD})
    return email


def signed_in(email: str) -> dict[str, Any]:
    """Return what somebody is given who signs in."""
    return posted("/v1/auth/sessions", {"email": email, "password": PASSWORD})


def mailed(email: str, count: int = 1) -> str:
    """Return the token in the mail of this number to an address, once it is there."""
    return mailbox.mailed(Path(os.environ["MAIL_DIR"]), email, count)


def posted(path: str, body: object, token: str = "") -> dict[str, Any]:
    """Return what a request is answered that has to succeed."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = httpx2.post(f"{os.environ['BASE_URL']}{path}", json=body, headers=headers)
    assert answer.status_code in (200, 201, 202), answer.text
    made: dict[str, Any] = answer.json()
    return made


def _offered(token: str) -> str:
    return pyotp.TOTP(posted(FACTOR, None, token)["secret"]).now()
