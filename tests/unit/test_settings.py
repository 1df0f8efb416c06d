"""Settings: all that is wrong is named at once, and secrets are never shown."""

from pathlib import Path

import pytest

from orderhouse.runtime import settings
from orderhouse.runtime.settings import Settings, SettingsInvalid, loaded

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_defaults_are_right_for_one_machine() -> None:
    chosen = loaded()
    assert (chosen.host, chosen.port, chosen.postgres_url) == ("127.0.0.1", 8000, "")


def test_everything_that_is_wrong_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERHOUSE_PORT", "eighty")
    monkeypatch.setenv("ORDERHOUSE_TIME_ZONE", "Mars/Olympus")
    monkeypatch.setenv("ORDERHOUSE_DATABASE_URL", "mysql://secret@host")
    monkeypatch.setenv("ORDERHOUSE_PROT", "1")
    with pytest.raises(SettingsInvalid) as refused:
        loaded()
    told = refused.value.detail
    assert len(told.splitlines()) == 4
    for name in ("ORDERHOUSE_PORT", "ORDERHOUSE_TIME_ZONE", "ORDERHOUSE_DATABASE_URL", "did you mean ORDERHOUSE_PORT?"):
        assert name in told
    assert "secret" not in told


def test_the_command_line_goes_before_the_environment_and_that_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("ORDERHOUSE_PORT=1111\nORDERHOUSE_HOST=10.0.0.1\n")
    monkeypatch.setenv("ORDERHOUSE_PORT", "2222")
    assert (loaded().port, loaded().host, loaded(port=3333).port) == (2222, "10.0.0.1", 3333)


def test_a_secret_may_come_from_a_file_but_not_from_two_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "url"
    file.write_text("postgres://user:word@host/db\n")
    monkeypatch.setenv("ORDERHOUSE_DATABASE_URL_FILE", str(file))
    chosen = loaded()
    assert chosen.postgres_url == "postgresql://user:word@host/db"
    assert "word" not in repr(chosen)
    monkeypatch.setenv("ORDERHOUSE_DATABASE_URL", "postgresql://other")
    with pytest.raises(SettingsInvalid, match="set one of them"):
        loaded()
    monkeypatch.delenv("ORDERHOUSE_DATABASE_URL")
    file.unlink()
    with pytest.raises(SettingsInvalid, match="FileNotFoundError"):
        loaded()


HOUSE = {
    "PUBLIC_URL": "https://orders.example",
    "AUTH_SECRET": "a-secret-of-auth-of-32-characters",
    "MAIL_URL": "smtps://mail.example",
    "OWNER_EMAIL": "owner@orders.example",
}


@pytest.mark.parametrize("left", HOUSE)
def test_production_starts_with_nothing_that_is_right_on_a_laptop_only(
    monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    for name, value in HOUSE.items():
        monkeypatch.setenv(f"ORDERHOUSE_{name}", value)
    monkeypatch.setenv("ORDERHOUSE_ENVIRONMENT", "prod")
    assert loaded(signs_in=True).issuer == "https://orders.example"
    monkeypatch.delenv(f"ORDERHOUSE_{left}")
    with pytest.raises(SettingsInvalid) as refused:
        loaded(signs_in=True)
    assert refused.value.detail.startswith(f"ORDERHOUSE_{left} in production: ")
    assert "\n" not in refused.value.detail
    monkeypatch.setenv("ORDERHOUSE_ENVIRONMENT", "dev")
    loaded(signs_in=True)


def test_production_asks_for_no_mail_where_nobody_is_signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERHOUSE_ENVIRONMENT", "prod")
    with pytest.raises(SettingsInvalid, match="ORDERHOUSE_PUBLIC_URL in production") as refused:
        loaded()
    assert "MAIL" not in refused.value.detail
    monkeypatch.setenv("ORDERHOUSE_PUBLIC_URL", "http://orders.example")
    with pytest.raises(SettingsInvalid, match="by https"):
        loaded()
    monkeypatch.setenv("ORDERHOUSE_PUBLIC_URL", "https://orders.example")
    assert loaded().environment == "prod"


def test_the_example_names_every_setting_with_its_default() -> None:
    text = (ROOT / ".env.example").read_text()
    assert text == settings.example()
    for name in Settings.model_fields:
        assert f"# ORDERHOUSE_{name.upper()}=" in text
