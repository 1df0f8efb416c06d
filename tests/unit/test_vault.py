"""Secrets from a vault: what it keeps is set as if by hand, and whatever is wrong with it is told before the start."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx2
import pytest

from orderhouse.runtime import vault
from orderhouse.runtime.settings import SettingsInvalid, loaded

SECRETS = {"auth_secret": "a-secret-of-auth-of-32-characters", "database_url": "postgresql://user:word@host/db"}
VERSION_1 = {"data": SECRETS, "lease_duration": 2764800}
VERSION_2 = {"data": {"data": SECRETS, "metadata": {"version": 3, "destroyed": False}}}
DELETED = {"data": {"data": None, "metadata": {"version": 3, "deletion_time": "2026-11-21T00:00:00Z"}}}
TOKEN = "hvs.a-token"


@contextmanager
def served(answer: Any, *, path: str = "/v1/secret/data/orderhouse", status: int = 200) -> Iterator[str]:
    """Yield the address of a server that keeps `answer` at `path`, for whoever has the token."""

    class Vault(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers["X-Vault-Token"] == TOKEN
            there = self.path == path
            self.send_response(403 if not known else status if there else 404)
            self.end_headers()
            self.wfile.write(json.dumps(answer if known and there else {"errors": []}).encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Vault) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Point the settings to a vault."""
    monkeypatch.chdir(tmp_path)

    def at(url: str, **more: str) -> None:
        for name, value in {"VAULT_URL": url, "VAULT_TOKEN": TOKEN, **more}.items():
            monkeypatch.setenv(f"ORDERHOUSE_{name}", value)

    return at


def test_what_the_vault_keeps_is_set_and_shown_nowhere(kept: Callable[..., None]) -> None:
    with served(VERSION_2) as url:
        kept(url)
        chosen = loaded(port=3333)
    assert chosen.postgres_url == SECRETS["database_url"]
    assert chosen.auth_secret.get_secret_value() == SECRETS["auth_secret"]
    assert chosen.port == 3333
    assert "word" not in repr(chosen)


def test_the_first_version_of_the_api_will_do(kept: Callable[..., None]) -> None:
    with served(VERSION_1, path="/v1/kv/shop/orderhouse") as url:
        kept(f"{url}/", VAULT_PATH="/kv/shop/orderhouse")
        assert loaded().postgres_url == SECRETS["database_url"]


def test_the_vaults_token_may_come_from_a_file(
    kept: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    with served(VERSION_2) as url:
        kept(url)
        monkeypatch.delenv("ORDERHOUSE_VAULT_TOKEN")
        monkeypatch.setenv("ORDERHOUSE_VAULT_TOKEN_FILE", str(tmp_path / "token"))
        assert loaded().postgres_url == SECRETS["database_url"]


@pytest.mark.parametrize(
    ("answer", "status", "told"),
    [
        (VERSION_2, 503, "answered 503"),
        (VERSION_2, 307, "answered 307"),
        (DELETED, 404, "keeps nothing at this path"),
        ([], 200, "something else than secrets"),
        ({"data": None}, 200, "something else than secrets"),
        ({"data": {"auth_secret": 7}}, 200, "something else than texts"),
        ({"data": {"auth_secret": "short"}}, 200, "ORDERHOUSE_AUTH_SECRET: must have 32 characters"),
        ({"data": {"auth_sekret": "x" * 32}}, 200, "keeps auth_sekret, and there is no such secret"),
        ({"data": {"port": "80"}}, 200, "keeps port, and there is no such secret"),
    ],
)
def test_whatever_is_wrong_keeps_the_house_from_starting(
    kept: Callable[..., None], answer: Any, status: int, told: str
) -> None:
    with served(answer, status=status) as url:
        kept(url)
        with pytest.raises(SettingsInvalid, match=told) as refused:
            loaded()
    assert "short" not in refused.value.detail


def test_a_wrong_token_and_a_vault_that_is_away_are_told_apart(kept: Callable[..., None]) -> None:
    with served(VERSION_2) as url:
        kept(url, VAULT_TOKEN="guessed")
        with pytest.raises(SettingsInvalid, match="ORDERHOUSE_VAULT_URL: answered 403") as refused:
            loaded()
        assert "guessed" not in refused.value.detail
    with pytest.raises(SettingsInvalid, match=r"does not answer \(ConnectError\)"):
        loaded()


def test_a_secret_has_one_place(kept: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ORDERHOUSE_AUTH_SECRET=another-secret-that-is-long-enough\n")
    with served(VERSION_2) as url:
        kept(url)
        with pytest.raises(SettingsInvalid, match="ORDERHOUSE_AUTH_SECRET is set, and kept in the vault"):
            loaded()


def test_nobody_is_asked_before_the_settings_themselves_are_right(kept: Callable[..., None]) -> None:
    kept("http://127.0.0.1:1", PROT="1")
    with pytest.raises(SettingsInvalid) as refused:
        loaded()
    assert "did you mean ORDERHOUSE_PORT?" in refused.value.detail
    assert "does not answer" not in refused.value.detail


def test_a_vault_that_never_ends_its_answer_is_given_up() -> None:
    def slow(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadTimeout("timed out", request=request)

    with pytest.raises(vault.VaultUnusable, match="ReadTimeout"):
        vault.read("http://vault.test", "secret/data/orderhouse", TOKEN, httpx2.MockTransport(slow))
