"""Bar 29: no secret is in a log, a stored row or an answer; every line of the log is one JSON object."""

import asyncio
import json
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import psycopg
import pytest
from sqlalchemy.engine import make_url

from bench.servers import Product
from orderhouse.runtime.database import sqlite
from tests.bars.counts import count
from tests.bars.test_database_down import _locked
from tests.installation import Installation
from tests.integration.orders_world import order
from tests.postgres import OwnPostgres, own_postgres

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(3600)]


def canary() -> str:
    return f"canary{uuid4().hex}"


@dataclass
class Canaries:
    """Words that are nowhere else: secrets may be seen nowhere, what is personal only by who asks for it."""

    password: str = field(default_factory=canary)
    token: str = field(default_factory=canary)
    key: str = field(default_factory=canary)
    cookie: str = field(default_factory=canary)
    query: str = field(default_factory=canary)
    field_: str = field(default_factory=canary)
    name: str = field(default_factory=canary)
    email: str = field(default_factory=canary)
    note: str = field(default_factory=canary)
    given: set[str] = field(default_factory=set)
    """What the house itself gave, to be told to one alone."""

    @property
    def secrets(self) -> set[str]:
        return {self.password, self.token, self.key, self.cookie, self.query, self.field_} | self.given

    @property
    def personal(self) -> set[str]:
        return {self.name, self.email, self.note}


@dataclass
class Findings:
    """What was found where it should not be."""

    told: set[str] = field(default_factory=set)
    logged: set[str] = field(default_factory=set)
    no_json: list[str] = field(default_factory=list)
    lines: int = 0


async def examined(database: str, folder: Path, *defects: str) -> Findings:
    """Run a server through good, bad and broken requests, and while its database is away; return what was found."""
    said = Canaries()
    found = Findings()
    async with _installed(database, folder, said) as (installation, own):
        with installation.started(*defects, log_level="info") as product:
            answers = await _asked(product, installation.token(), said)
            await asyncio.to_thread(_nonsense, product.url)
            answers += await _while_away(product, installation, own, said)
            stored = await asyncio.to_thread(_stored, installation)
    bodies = b"".join(answer.content + str(answer.headers).encode() for answer in answers if answer.status_code >= 400)
    found.told = {one for one in said.secrets | said.personal if one.encode() in bodies}
    log = (installation.folder / "server.log").read_bytes().decode("utf-8", "surrogateescape")
    found.logged = {one for one in said.secrets | said.personal if one in log}
    found.logged |= {one for one in said.secrets if one in stored["all"]}
    found.logged |= {one for one in said.personal if one in stored["facts"]}
    for line in log.splitlines(keepends=True):
        found.lines += 1
        if not _is_object(line):
            found.no_json.append(line)
    return found


def _is_object(line: str) -> bool:
    try:
        return line.endswith("\n") and isinstance(json.loads(line), dict)
    except ValueError:
        return False


@asynccontextmanager
async def _installed(
    database: str, folder: Path, said: Canaries
) -> AsyncIterator[tuple[Installation, OwnPostgres | None]]:
    if database == "sqlite":
        yield Installation(folder / "data", ""), None
        return
    with own_postgres() as own:
        url = make_url(own.url).set(password=said.password).render_as_string(hide_password=False)
        yield Installation(folder / "data", url), own


async def _asked(product: Product, token: str, said: Canaries) -> list[httpx2.Response]:
    """Send what is right and what is wrong, with a secret wherever one may be; return the answers."""
    owner = {"Authorization": f"Bearer {token}"}
    secret = {
        "Cookie": f"session={said.cookie}",
        "X-Api-Key": said.cookie,
        "Proxy-Authorization": f"Basic {said.cookie}",
        "Idempotency-Key": said.key,
    }
    person = {"name": f"Ada {said.name}", "email": f"{said.email}@example.com", "country": "France"}
    async with httpx2.AsyncClient(base_url=product.url, timeout=30) as client:
        made = await client.post("/v1/customers", json=person, headers=owner | secret)
        assert made.status_code == 201, made.text
        wanted = order(made.json()["id"], note=f"for {said.note}")
        placed = await client.post("/v1/orders", json=wanted, headers=owner | secret)
        assert placed.status_code == 201, placed.text
        answers = [made, placed]
        for bearer in (
            said.token,
            f"{token[:-8]}{said.token}",
            f"eyJhbGciOiJub25lIn0.{said.token}.",
            f"{token} {said.token}",
        ):
            answers += [await client.get("/v1/orders", headers={"Authorization": f"Bearer {bearer}"} | secret)]
        answers.append(await client.get("/v1/orders", headers={"Authorization": f"Basic {said.token}"}))
        for query in (f"access_token={said.query}", f"cursor={said.query}", f"customer={said.query}", "limit=x"):
            answers += [await client.get(f"/v1/orders?{query}", headers=owner)]
        for body in (
            {**wanted, "password": said.field_},
            {**wanted, "currency": said.field_},
            {**wanted, "lines": [{"sku": "x", "quantity": said.field_, "unit_price": said.field_}]},
            {**wanted, "customer_id": said.field_},
            {**person, "email": said.field_},
        ):
            for path in ("/v1/orders", "/v1/customers"):
                answers += [await client.post(path, json=body, headers=owner | {"Idempotency-Key": str(uuid4())})]
        for raw in (f'{{"password": "{said.field_}', f'{{"a": {said.field_}}}', f'["{said.field_}\\ud800"]'):
            headers = {**owner, "Content-Type": "application/json", "Idempotency-Key": str(uuid4())}
            answers.append(await client.post("/v1/orders", content=raw.encode(), headers=headers))
        answers += await _asked_of_auth(client, said)
        again = {**wanted, "note": said.field_}
        answers.append(await client.post("/v1/orders", json=again, headers=owner | secret))
    assert {answer.status_code for answer in answers} >= {201, 400, 401, 422}
    return answers


async def _asked_of_auth(client: httpx2.AsyncClient, said: Canaries) -> list[httpx2.Response]:
    """Send passwords, codes, keys and tokens, right and wrong, in every way auth takes them."""
    who = {"email": f"{said.email}@example.com", "password": said.password}
    made = await client.post("/v1/auth/registrations", json={**who, "name": f"Ada {said.name}"})
    assert made.status_code == 202, made.text
    given = (await client.post("/v1/auth/sessions", json={**who, "device": f"of {said.note}"})).json()
    # What is given is as secret as what is sent.
    said.given |= {given["access_token"], given["refresh_token"], given["device_token"]}
    bearer = {"Authorization": f"Bearer {given['access_token']}"}
    offered = await client.post("/v1/auth/second-factor", headers=bearer)
    said.given.add(offered.json()["secret"])
    answers = [made, await client.post("/v1/auth/tokens", json={"refresh_token": given["refresh_token"]})]
    said.given |= {answers[-1].json()["access_token"], answers[-1].json()["refresh_token"]}
    for path, body in (
        ("/v1/auth/registrations", {"email": said.password, "name": said.field_, "password": said.password}),
        ("/v1/auth/sessions", {**who, "password": said.token}),
        ("/v1/auth/sessions", {**who, "code": said.key}),
        ("/v1/auth/sessions", {**who, "device_token": f"ohd_{said.token}.{said.key}"}),
        ("/v1/auth/tokens", {"refresh_token": given["refresh_token"]}),
        ("/v1/auth/tokens", {"refresh_token": f"ohr_{said.token}"}),
        ("/v1/auth/verifications", {"token": f"ohv_{said.token}", "password": said.password}),
        ("/v1/auth/password-resets/completion", {"token": f"ohp_{said.token}", "new_password": said.field_}),
        ("/v1/auth/api-key-tokens", {"api_key": f"ohk_{said.key}"}),
        ("/v1/auth/second-factor/confirmation", {"code": said.key[:20]}),
    ):
        answers.append(await client.post(path, json=body, headers=bearer))
    for path, form in (
        ("/oauth/token", {"grant_type": "authorization_code", "client_id": said.token, "code": said.key}),
        ("/oauth/token", {"grant_type": said.field_, "client_secret": said.password}),
        ("/oauth/revocation", {"token": said.token}),
        ("/oauth/device", {"email": who["email"], "password": said.token, "user_code": said.key[:20]}),
        ("/oauth/authorization", {"client_id": said.token, "password": said.password}),
    ):
        answers.append(await client.post(path, data=form))
    answers.append(await client.get(f"/oauth/authorization?client_id={said.query}&state={said.query}"))
    return answers


_PIECES = [
    b"\r\n",
    b"\n",
    b"\x00",
    b"\xff\xfe",
    b"\x1b[31m",
    b'"',
    b"\\",
    b"{",
    b"%0a%0d",
    b"%00",
    b"\xe2\x80\xa8",
    b" ",
]


def _nonsense(url: str) -> None:
    """Send what is hardly HTTP: line ends, NULs, escapes and halves of characters wherever they may stand."""
    host, port = httpx2.URL(url).host, httpx2.URL(url).port
    assert port is not None
    for n in range(count(60, 5000)):
        parts = [b"GET", b"/v1/orders", b"HTTP/1.1\r\nHost: x", b"X-Request-Id: a", b"Traceparent: 00-", b"\r\n\r\n"]
        for _ in range(n % 4):
            at = random.randrange(len(parts))
            parts[at] += random.choice(_PIECES) * random.choice((1, 1, 300)) + random.randbytes(n % 7)
        with closing(socket.create_connection((host, port), timeout=5)) as connection:
            connection.sendall(b" ".join(parts[:3]) + b"\r\n" + b"\r\n".join(parts[3:]))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass


async def _while_away(
    product: Product, installation: Installation, own: OwnPostgres | None, said: Canaries
) -> list[httpx2.Response]:
    """Ask while the database cannot be had, so that its own errors are told and logged; return the answers."""
    headers = {"Authorization": f"Bearer {installation.token()}", "Idempotency-Key": f"away {said.key}"}
    body = {"name": f"Ada {said.name}", "email": f"away.{said.email}@example.com", "country": "France"}
    async with httpx2.AsyncClient(base_url=product.url, timeout=30) as client:
        if own is None:
            with _locked(installation.folder / "customers.sqlite3"):
                away = [await client.post("/v1/customers", json=body, headers=headers)]
        else:
            await asyncio.to_thread(own.stop)
            away = [
                await client.post("/v1/customers", json=body, headers=headers),
                await client.get("/health/readiness"),
            ]
            await asyncio.to_thread(own.start)
    assert {answer.status_code for answer in away} == {503}
    return away


def _stored(installation: Installation) -> dict[str, str]:
    """Return all rows of all tables as text, and those of what is told to others."""
    rows: dict[str, list[str]] = {"all": [], "facts": []}
    if installation.database_url:
        with psycopg.connect(installation.database_url) as database:
            found = database.execute(
                "SELECT schemaname, tablename FROM pg_tables "
                "WHERE schemaname IN ('orders', 'customers', 'users', 'auth')"
            ).fetchall()
            for schema, table in found:
                text = str(database.execute(f'SELECT t::text FROM "{schema}"."{table}" t').fetchall())
                rows["all"].append(text)
                rows["facts"] += [text] if table in ("facts", "queue") else []
    else:
        for file in installation.folder.glob("*.sqlite3"):
            with closing(sqlite.connect(file, read_only=True)) as database:
                for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                    text = str(database.execute(f"SELECT * FROM {table}").fetchall())
                    rows["all"].append(text)
                    rows["facts"] += [text] if table in ("facts", "queue") else []
    assert len(rows["facts"]) >= 4
    return {name: "\n".join(found) for name, found in rows.items()}


async def test_bar_29_no_secret_is_logged_stored_or_told_and_every_line_is_an_object(
    database: str, tmp_path: Path
) -> None:
    found = await examined(database, tmp_path)
    assert found.told == set()
    assert found.logged == set()
    assert found.no_json == []
    assert found.lines > 20


@pytest.mark.parametrize(
    ("defect", "seen"), [("logs_what_it_was_sent", "logged"), ("logs_as_text", "no_json"), ("says_what_broke", "told")]
)
async def test_bar_29_control_a_server_that_tells_too_much_is_caught(defect: str, seen: str, tmp_path: Path) -> None:
    found: Any = await examined("postgresql", tmp_path, defect)
    assert getattr(found, seen)
