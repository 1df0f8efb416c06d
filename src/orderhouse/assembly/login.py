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

    def token(self) -> str:
        """Return an access token that is good for half a minute at least; NotSignedIn, LoginRefused or HouseAway."""
        kept = self._kept()
        if kept is None:
            raise NotSignedIn
        if kept.expires > time.time() + _RENEWED_BEFORE_S:
            return kept.access_token
        kept = kept._replace(retry_key=kept.retry_key or str(uuid4()))
        self._write(kept)
        refresh = {"refresh_token": kept.refresh_token}
        answer = _asked(kept.url, "POST", "/v1/auth/tokens", refresh, **{"Idempotency-Key": kept.retry_key})
        if answer.status_code == 401:
            raise NotSignedIn
        if answer.status_code != 201:
            raise _refused(answer)
        return self._keep(kept.url, {**answer.json(), "device_token": kept.device_token})

    def end(self) -> None:
        """Sign out, there and here; nothing to do when nobody is in."""
        kept = self._kept()
        if kept is None:
            return
        try:
            # As a form, and with the refresh token: the access token may have expired.
            answer = httpx2.post(
                f"{kept.url}/oauth/revocation", data={"token": kept.refresh_token}, timeout=_TIMEOUT_S, trust_env=False
            )
        except httpx2.HTTPError:
            raise HouseAway(kept.url) from None
        if answer.status_code != 200:
            raise _refused(answer)
        self._file.unlink()

    def _keep(self, url: str, given: dict[str, Any]) -> str:
        expires = time.time() + float(given["expires_in"])
        kept = _Kept(url, given["refresh_token"], given["access_token"], expires, "", given["device_token"])
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
