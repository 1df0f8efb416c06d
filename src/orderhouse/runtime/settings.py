"""Settings: one object, from the environment and `.env`; whatever is wrong is named at once, and nothing starts."""

import difflib
import os
import re
import ssl
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from orderhouse.kernel.email import email_key
from orderhouse.kernel.errors import Invalid
from orderhouse.kernel.zones import known_zone
from orderhouse.runtime import vault

PREFIX = "ORDERHOUSE_"

# What tests and benches read from the environment; the product does not know it.
_OTHERS = ("ORDERHOUSE_TEST_", "ORDERHOUSE_BENCH_", "ORDERHOUSE_REAL_DATA")

# As browsers tell it: a scheme, a host in small letters, a port unless it is the usual one, and no path.
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")


class SettingsInvalid(Invalid):
    """Settings are missing or wrong."""

    code = "settings_invalid"


class Settings(BaseSettings):
    """Everything that can be set. Each has a default that is right for one machine."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True)

    environment: Literal["dev", "prod"] = Field("dev", description="prod refuses what is only right on a laptop.")
    data_dir: Path = Field(
        Path("data"), description="Where everything is kept on this machine: databases, keys, the analytics file."
    )
    database_url: SecretStr = Field(
        SecretStr(""),
        description="A postgresql:// address to keep orders there, a schema per context; empty: SQLite in data_dir.",
    )
    database_direct_url: SecretStr = Field(
        SecretStr(""),
        description="The same database past a pgbouncer, for what has to listen there; empty: database_url.",
    )
    keys_dir: str = Field(
        "", description="Where the signing keys are, which services of one house share; empty: keys in data_dir."
    )
    users_url: str = Field("", description="Where users answers whoever is served alone; empty: nowhere.")
    customers_url: str = Field("", description="Where customers answers whoever is served alone; empty: nowhere.")
    auth_url: str = Field(
        "", description="Where auth answers whoever is served alone, who asks it what was revoked; empty: nowhere."
    )
    neighbour_ms: int = Field(800, ge=50, le=30_000, description="How long another service may take to answer.")
    host: str = Field("127.0.0.1", description="Where to listen; this machine alone unless told otherwise.")
    port: int = Field(8000, ge=1, le=65535, description="The port to listen on.")
    tls_certificate: str = Field(
        "", description="The PEM file of the certificate to speak TLS with, and of its chain; empty: plain HTTP."
    )
    tls_key: str = Field("", description="The PEM file of its private key; empty: it is in the certificate's file.")
    cors_origins: str = Field(
        "", description="Which other web origins' scripts may call the API, with commas between; empty: none."
    )
    public_url: str = Field(
        "", description="Where people reach this house, and what its tokens name as their issuer; empty: host and port."
    )
    owner_email: str = Field(
        "owner@orderhouse.localhost", description="The address of the first owner, who is made where there is nobody."
    )
    auth_secret: SecretStr = Field(
        SecretStr(""),
        description="What auth derives its digests and seals from, 32 characters or more; empty: a file in data_dir.",
    )
    vault_url: str = Field(
        "",
        description="A vault with the KV API of HashiCorp's, for secrets that are set nowhere else; empty: none.",
    )
    vault_path: str = Field(
        "secret/data/orderhouse", description="Where in the vault they are, by these settings' names in small letters."
    )
    vault_token: SecretStr = Field(SecretStr(""), description="What the vault lets this house in by.")
    mail_url: SecretStr = Field(
        SecretStr(""), description="The smtp:// or smtps:// address mail goes by; empty: into files in data_dir/mail."
    )
    mail_from: str = Field("orderhouse@orderhouse.localhost", description="Whom mail comes from.")
    oidc_issuer: str = Field(
        "", description="The outside provider people may sign in by, as it names itself; empty: none."
    )
    oidc_client_id: str = Field("", description="What the outside provider knows this house by.")
    oidc_client_secret: SecretStr = Field(SecretStr(""), description="By what this house proves itself to it.")
    oidc_redirect_uri: str = Field(
        "", description="Where it sends people back to; empty: a page of this house, to take the code from."
    )
    argon2_kib: int = Field(19_456, ge=8, le=1_048_576, description="How much memory argon2id takes for a password.")
    argon2_passes: int = Field(2, ge=1, le=20, description="How often argon2id passes over that memory.")
    argon2_at_once: int = Field(2, ge=1, le=64, description="How many passwords are worked at at once.")
    argon2_waiting: int = Field(24, ge=0, le=1000, description="How many more may wait; the rest is told 503.")
    time_zone: str = Field("UTC", description="The shop's time zone (IANA): what a day is where a request names none.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged, at least.")
    log_format: Literal["auto", "json", "pretty"] = Field(
        "auto", description="One JSON object a line, or pretty; auto is pretty in a terminal and JSON elsewhere."
    )
    body_bytes: int = Field(1_048_576, ge=1024, le=64 * 1_048_576, description="The largest body that is taken.")
    upload_bytes: int = Field(
        512 * 1_048_576, ge=1024, le=64 * 1024**3, description="The largest file that is taken for a job."
    )
    header_bytes: int = Field(32_768, ge=1024, le=1_048_576, description="How large all headers may be together.")
    json_depth: int = Field(32, ge=4, le=128, description="How deep JSON may be nested.")
    json_digits: int = Field(30, ge=18, le=300, description="How many digits a number in JSON may have.")
    write_queue: int = Field(2048, ge=1, le=100_000, description="How many writes may wait before more are told 503.")
    statement_ms: int = Field(10_000, ge=100, le=600_000, description="How long PostgreSQL may take for a statement.")
    lock_ms: int = Field(5_000, ge=10, le=60_000, description="How long to wait for somebody else's lock.")
    connect_ms: int = Field(3_000, ge=100, le=60_000, description="How long to wait for a connection to PostgreSQL.")
    readers: int = Field(4, ge=1, le=100, description="How many connections to PostgreSQL only ask, per context.")
    flask_threads: int = Field(8, ge=1, le=256, description="How many threads run the views of a context in Flask.")
    job_threads: int = Field(
        8, ge=0, le=256, description="How many jobs a process does at a time; 0 leaves them to workers."
    )
    job_lease_s: float = Field(
        20, ge=1, le=3600, description="How long a job stays unseen whose worker was lost; a live one holds on."
    )
    worker_rest: float = Field(
        9, ge=0, le=100, description="How many times as long as a report's sum took a worker rests; 0 is never."
    )
    keep_answers_hours: int = Field(
        24, ge=24, le=8760, description="How long a retry hears the stored answer; a day at least."
    )
    analytics_memory_mb: int = Field(96, ge=32, le=65_536, description="How much memory analytics may use, in MB.")
    analytics_threads: int = Field(2, ge=1, le=64, description="How many threads an analytics query may use.")
    huge_pages: bool = Field(True, description="Ask Linux for memory in pages of 2 MB: quicker, and some MB more.")

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, zone: str) -> str:
        return known_zone(zone)

    @field_validator("owner_email", "mail_from")
    @classmethod
    def _address(cls, address: str) -> str:
        email_key(address)
        return address

    @field_validator("database_url", "database_direct_url")
    @classmethod
    def _postgres(cls, url: SecretStr) -> SecretStr:
        if url.get_secret_value() and not url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must begin with postgresql://, or be empty for SQLite")
        return url

    @field_validator("auth_secret")
    @classmethod
    def _long(cls, secret: SecretStr) -> SecretStr:
        if 0 < len(secret.get_secret_value()) < 32:
            raise ValueError("must have 32 characters or more, or be empty")
        return secret

    @field_validator("mail_url")
    @classmethod
    def _smtp(cls, url: SecretStr) -> SecretStr:
        if url.get_secret_value() and not url.get_secret_value().startswith(("smtp://", "smtps://")):
            raise ValueError("must begin with smtp:// or smtps://, or be empty")
        return url

    @field_validator("cors_origins")
    @classmethod
    def _origins(cls, origins: str) -> str:
        named = [origin.strip() for origin in origins.split(",") if origin.strip()]
        if not all(map(_ORIGIN.fullmatch, named)):
            raise ValueError("must be origins such as https://shop.example, with commas between and nothing behind")
        return ",".join(named)

    @field_validator("users_url", "customers_url", "auth_url", "public_url", "oidc_issuer", "vault_url")
    @classmethod
    def _web(cls, url: str) -> str:
        if url and not url.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://, or be empty")
        return url

    @property
    def origins(self) -> list[str]:
        """Whose scripts may call the API from a browser."""
        return self.cors_origins.split(",") if self.cors_origins else []

    @property
    def address(self) -> str:
        """Where this process listens."""
        return f"{'https' if self.tls_certificate else 'http'}://{self.host}:{self.port}"

    @property
    def issuer(self) -> str:
        """What names this house in the tokens of people and machines."""
        return self.public_url.rstrip("/") or self.address

    @property
    def keys_folder(self) -> Path:
        """Where the signing keys are."""
        return Path(self.keys_dir) if self.keys_dir else self.data_dir / "keys"

    @property
    def postgres_url(self) -> str:
        """The address of PostgreSQL; empty for SQLite."""
        return self.database_url.get_secret_value().replace("postgres://", "postgresql://", 1)

    @property
    def direct_url(self) -> str:
        """The address of PostgreSQL past any pooler; empty where it is the same."""
        return self.database_direct_url.get_secret_value().replace("postgres://", "postgresql://", 1)


def loaded(*, signs_in: bool = False, **given: Any) -> Settings:
    """Return the settings, with `given` (from the command line) before the environment; SettingsInvalid names all.

    In production, nothing may be left as is right on a laptop only; more is asked of a process that signs people in.
    """
    troubles = _unknown(os.environ)
    secrets, more = _from_files(os.environ)
    troubles += more
    said: dict[str, Any] = {**secrets, **{name: value for name, value in given.items() if value is not None}}
    try:
        settings = Settings(**said)
        if settings.vault_url and not troubles:
            kept, troubles = _from_vault(settings)
            settings = Settings(**{**said, **kept})
        troubles += _tls(settings)
        if settings.environment == "prod":
            troubles += _of_a_laptop(settings, signs_in=signs_in)
    except ValidationError as error:
        troubles += [
            f"{PREFIX}{str(one['loc'][0]).upper()}: {str(one['msg']).removeprefix('Value error, ')}"
            for one in error.errors(include_input=False)
        ]
    if troubles:
        raise SettingsInvalid("\n".join(troubles))
    return settings


def _unknown(environment: Any) -> list[str]:
    """Return a line for each variable of ours that means nothing: a typing error would else go unnoticed."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    known |= {f"{name}_FILE" for name in known if _is_secret(name)}
    lines = []
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known and not name.startswith(_OTHERS):
            near = difflib.get_close_matches(name, known, 1)
            lines.append(f"{name}: there is no such setting{f'; did you mean {near[0]}?' if near else ''}")
    return lines


def _is_secret(variable: str) -> bool:
    field = Settings.model_fields.get(variable.removeprefix(PREFIX).lower())
    return field is not None and field.annotation is SecretStr


def _from_files(environment: Any) -> tuple[dict[str, str], list[str]]:
    """Return the secrets whose NAME_FILE names a file, and a line for each that cannot be read."""
    found: dict[str, str] = {}
    troubles = []
    for name in Settings.model_fields:
        variable = f"{PREFIX}{name.upper()}"
        file = environment.get(f"{variable}_FILE")
        if not file or not _is_secret(variable):
            continue
        if environment.get(variable):
            troubles.append(f"{variable} and {variable}_FILE: set one of them")
            continue
        try:
            found[name] = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            troubles.append(f"{variable}_FILE: {type(error).__name__}")
    return found, troubles


def _of_a_laptop(settings: Settings, *, signs_in: bool) -> list[str]:
    """Return a line for each setting that is only right on a laptop."""
    lacking = {
        "PUBLIC_URL": not settings.public_url.startswith("https://")
        and "where people reach this house, by https; tokens name it, and what is sent to it is read on the way",
        "AUTH_SECRET": signs_in
        and not settings.auth_secret.get_secret_value()
        and "a secret that is kept apart from the data: a file beside it is lost and stolen with it",
        "MAIL_URL": signs_in
        and not settings.mail_url.get_secret_value()
        and "mail leaves the house: in files of its own, nobody gets it",
        "OWNER_EMAIL": signs_in
        and settings.owner_email.endswith(".localhost")
        and "the first owner has an address that mail reaches",
    }
    return [f"{PREFIX}{name} in production: {why}" for name, why in lacking.items() if why]


def _tls(settings: Settings) -> list[str]:
    """Return a line where the certificate and its key cannot be used."""
    if not settings.tls_certificate:
        return [f"{PREFIX}TLS_KEY is set without {PREFIX}TLS_CERTIFICATE"] if settings.tls_key else []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # A key under a password would ask for it on the terminal, which a server has none of.
        context.load_cert_chain(settings.tls_certificate, settings.tls_key or None, password="")
    except (OSError, ValueError) as error:
        return [f"{PREFIX}TLS_CERTIFICATE and {PREFIX}TLS_KEY: cannot be used ({error})"]
    return []


def _from_vault(settings: Settings) -> tuple[dict[str, str], list[str]]:
    """Return the secrets the vault keeps, and a line for all that cannot be had or is none of ours."""
    there = f"{PREFIX}VAULT_URL"
    try:
        found = vault.read(settings.vault_url, settings.vault_path, settings.vault_token.get_secret_value())
    except vault.VaultUnusable as error:
        return {}, [f"{there}: {error}"]
    ours = {name for name in Settings.model_fields if _is_secret(f"{PREFIX}{name.upper()}")} - {"vault_token"}
    troubles = [f"{there}: keeps {name}, and there is no such secret" for name in sorted(found.keys() - ours)]
    kept = {name: found[name] for name in sorted(found.keys() & ours)}
    troubles += [
        f"{PREFIX}{name.upper()} is set, and kept in the vault: have one of them"
        for name in kept
        if getattr(settings, name).get_secret_value()
    ]
    return kept, troubles


def example() -> str:
    """Return `.env.example`: every setting, its default, and why."""
    parts = ["# Every setting of Orderhouse with its default. Copy to .env and change what you need.\n"]
    for name, field in Settings.model_fields.items():
        default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
        file = f" May also come from a file: {PREFIX}{name.upper()}_FILE." if field.annotation is SecretStr else ""
        parts.append(f"# {field.description}{file}\n# {PREFIX}{name.upper()}={default}\n")
    return "\n".join(parts)
