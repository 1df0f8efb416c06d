"""Who is signed in on this machine, as `orderhouse login` keeps it: in a file of its owner's alone."""

import time
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import httpx2
import orjson

from orderhouse.kernel.errors import Conflict, Unavailable
from orderhouse.runtime import private_files

_TIMEOUT_S = 10.0
_RENEWED_BEFORE_S = 30.0
_DEVICE = "orderhouse-login"
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class NotSignedIn(Conflict):
    """Nobody is signed in here: `orderhouse login` does that."""

    code = "not_signed_in"


class HouseAway(Unavailable):
    """The house does not answer."""

    code = "house_away"


class LoginRefused(Conflict):
    """The house did not let you in."""

    code = "login_refused"


class _Kept(NamedTuple):
    url: str
    refresh_token: str
    access_token: str
    expires: float
    # Of the refresh that is under way: whoever is cut off in it asks the same again.
    retry_key: str = ""
    device_token: str | None = None
    # Empty for the house's own sessions; otherwise who goes on as OAuth has it.
    client: str = ""


class Waiting(NamedTuple):
    """A device that waits to be let in."""

    url: str
    device_code: str
    user_code: str
    page: str
    every_s: float


class Login:
    """One house, and who is signed in there from here."""

    def __init__(self, file: Path) -> None:
        """Keep it in `file`."""
        self._file = file

    def begin(self, url: str, wanted: dict[str, Any]) -> str:
        """Sign in; return the code of what is missing, empty when somebody is in. LoginRefused or HouseAway."""
        known = {"device_token": kept.device_token} if (kept := self._kept()) and kept.url == url else {}
        answer = _asked(url, "POST", "/v1/auth/sessions", {"device": "orderhouse login", **known, **wanted})
        if answer.status_code == 201:
            self._keep(url, answer.json())
            return ""
        code = _code(answer)
        if code in ("second_factor_needed", "password_must_change"):
            return code
        raise _refused(answer)

    def begin_device(self, url: str) -> Waiting:
        """Begin to be let in from a browser somewhere; LoginRefused or HouseAway."""
        answer = _posted(url, "/oauth/device-authorization", {"client_id": _DEVICE})
        if answer.status_code != 200:
            raise _refused(answer)
        begun = answer.json()
        return Waiting(url, begun["device_code"], begun["user_code"], begun["verification_uri"], begun["interval"])

    def was_let_in(self, waiting: Waiting) -> bool:
        """Whether somebody let this device in by now; LoginRefused when nobody will."""
        form = {"grant_type": _DEVICE_GRANT, "client_id": _DEVICE, "device_code": waiting.device_code}
        answer = _posted(waiting.url, "/oauth/token", form)
        if answer.status_code == 200:
            self._keep(waiting.url, answer.json(), client=_DEVICE)
            return True
        if _said(answer).get("error") in ("authorization_pending", "slow_down"):
            return False
        raise LoginRefused(str(_said(answer).get("error", "It is no Orderhouse.")))

    def token(self) -> str:
        """Return an access token that is good for half a minute at least; NotSignedIn, LoginRefused or HouseAway."""
        kept = self._kept()
        if kept is None:
            raise NotSignedIn
        if kept.expires > time.time() + _RENEWED_BEFORE_S:
            return kept.access_token
        kept = kept._replace(retry_key=kept.retry_key or str(uuid4()))
        self._write(kept)
        refresh, key = {"refresh_token": kept.refresh_token}, {"Idempotency-Key": kept.retry_key}
        if kept.client:
            form = {"grant_type": "refresh_token", "client_id": kept.client, **refresh}
            answer = _posted(kept.url, "/oauth/token", form, **key)
        else:
            answer = _asked(kept.url, "POST", "/v1/auth/tokens", refresh, **key)
        if answer.status_code == 401 or _said(answer).get("error") == "invalid_grant":
            raise NotSignedIn
        if answer.status_code not in (200, 201):
            raise _refused(answer)
        return self._keep(kept.url, {**answer.json(), "device_token": kept.device_token}, client=kept.client)

    def end(self) -> None:
        """Sign out, there and here; nothing to do when nobody is in."""
        kept = self._kept()
        if kept is None:
            return
        # With the refresh token: the access token may have expired.
        answer = _posted(kept.url, "/oauth/revocation", {"token": kept.refresh_token})
        if answer.status_code != 200:
            raise _refused(answer)
        self._file.unlink()

    def _keep(self, url: str, given: dict[str, Any], *, client: str = "") -> str:
        expires = time.time() + float(given["expires_in"])
        kept = _Kept(url, given["refresh_token"], given["access_token"], expires, "", given.get("device_token"), client)
        self._write(kept)
        return kept.access_token

    def _write(self, kept: _Kept) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        private_files.write(self._file, orjson.dumps(kept._asdict()))

    def _kept(self) -> _Kept | None:
        if not self._file.exists():
            return None
        try:
            return _Kept(**orjson.loads(private_files.read(self._file)))
        except (ValueError, TypeError):
            raise NotSignedIn(f"{self._file} says nothing.") from None


def _posted(url: str, path: str, form: dict[str, str], **headers: str) -> httpx2.Response:
    try:
        return httpx2.post(url + path, data=form, headers=headers, timeout=_TIMEOUT_S, trust_env=False)
    except (httpx2.HTTPError, httpx2.InvalidURL):
        raise HouseAway(url) from None


def _asked(url: str, method: str, path: str, body: dict[str, Any], **headers: str) -> httpx2.Response:
    try:
        return httpx2.request(method, url + path, json=body, headers=headers, timeout=_TIMEOUT_S, trust_env=False)
    except (httpx2.HTTPError, httpx2.InvalidURL):
        raise HouseAway(url) from None


def _code(answer: httpx2.Response) -> str:
    return str(_said(answer).get("type", "")).removeprefix("/problems/")


def _refused(answer: httpx2.Response) -> LoginRefused:
    said = _said(answer)
    where = "; ".join(f"{one['pointer']}: {one['detail']}" for one in said.get("errors", ()))
    return LoginRefused(
        " ".join(filter(None, (said.get("title"), said.get("detail"), where))) or "It is no Orderhouse."
    )


def _said(answer: httpx2.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
