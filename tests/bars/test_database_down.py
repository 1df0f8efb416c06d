"""Bar 18: without its database the server says so within a second, stays alive, and goes on when it is back."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from orderhouse.runtime.database import postgres, sqlite
from orderhouse.runtime.database.errors import DatabaseUnavailable
from orderhouse.runtime.database.turnstile import Turnstile
from orderhouse.runtime.tokens import SigningKeys
from tests.bars.counts import count
from tests.bars.load import Findings, Load
from tests.bars.watches import kill_tree
from tests.installation import Installation
from tests.integration.orders_world import House, opened, order
from tests.postgres import OwnPostgres, own_postgres

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(3600)]

TOLD_WITHIN_S = 1.0
BACK_WITHIN_S = 5.0
AT_ONCE = 20


class Caller(House):
    """Somebody who asks a server over the network, and looks at the clock."""

    def __init__(self, url: str, folder: Path) -> None:
        self._keys = SigningKeys(folder / "keys")
        self.client = httpx2.AsyncClient(base_url=url, timeout=30)

    async def timed(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[httpx2.Response, float]:
        began = time.perf_counter()
        answer = await self(method, path, body, **more)
        return answer, time.perf_counter() - began


async def refused(caller: Caller, requests: list[tuple[str, str, Any, dict[str, str]]]) -> list[str]:
    """Return what is wrong with how these are answered while the database is away: many at once, and one by one."""
    wrong = []
    at_once = await asyncio.gather(
        *(caller.timed(method, path, body, **more) for method, path, body, more in requests * AT_ONCE)
    )
    one_by_one = [await caller.timed(method, path, body, **more) for method, path, body, more in requests]
    for answer, _ in (*at_once, *one_by_one):
        problem = answer.headers["content-type"] == "application/problem+json"
        if answer.status_code != 503 or not problem or not answer.headers.get("retry-after"):
            wrong.append(answer.text)
    # Of many at once it would be this side's own time that is measured.
    for answer, took in one_by_one:
        if took > TOLD_WITHIN_S:
            wrong.append(f"{answer.request.method} {answer.request.url.path}: {took:.2f} s")
    return wrong


async def ill(caller: Caller) -> list[str]:
    """Return what is wrong with how health is told meanwhile."""
    alive, took = await caller.timed("GET", "/health/liveness")
    ready, _ = await caller.timed("GET", "/health/readiness")
    wrong = (
        [] if alive.status_code == 200 and took <= TOLD_WITHIN_S else [f"liveness {alive.status_code}, {took:.2f} s"]
    )
    return wrong + ([] if ready.status_code == 503 and not ready.json()["ok"] else [f"readiness {ready.text}"])


async def back(caller: Caller, customer: str, since: float) -> float:
    """Return how long it took until everything is served again."""
    while True:
        placed = await caller("POST", "/v1/orders", order(customer))
        ready = await caller("GET", "/health/readiness")
        if (placed.status_code, ready.status_code) == (201, 200):
            return time.monotonic() - since
        assert time.monotonic() - since < 30, (placed.text, ready.text)
        await asyncio.sleep(0.02)


async def _requests(caller: Caller) -> tuple[str, list[tuple[str, str, Any, dict[str, str]]]]:
    """Return a customer, and requests that ask and write in every context that has a database."""
    customer = await caller.customer()
    placed = await caller.order(customer)
    path = placed["links"]["self"]
    reads: list[tuple[str, str, Any, dict[str, str]]] = [
        ("GET", path, None, {}),
        ("GET", "/v1/orders", None, {}),
        ("GET", f"/v1/orders?currency=EUR&customer={customer}", None, {}),
        ("GET", f"/v1/customers/{customer}", None, {}),
    ]
    writes: list[tuple[str, str, Any, dict[str, str]]] = [
        ("POST", "/v1/orders", order(customer), {}),
        ("POST", f"{path}/transitions", {"to": "confirmed"}, {}),
        ("PATCH", path, {"note": "x"}, {"if_match": '"1"'}),
        ("POST", "/v1/customers", {"name": "Ada", "country": "France"}, {}),
    ]
    return customer, [*reads, *writes]


@pytest.fixture
def own() -> Iterator[OwnPostgres]:
    with own_postgres() as server:
        yield server


def _killed(own: OwnPostgres) -> None:
    kill_tree(own.pid)
    own.gone()


@pytest.mark.parametrize("end", [OwnPostgres.stop, _killed], ids=["stopped", "killed"])
async def test_bar_18_postgresql_goes_and_comes_back_and_the_server_tells_and_goes_on(
    own: OwnPostgres, tmp_path: Path, end: Callable[[OwnPostgres], None]
) -> None:
    installation = Installation(tmp_path / "data", own.url)
    with installation.started() as product:
        caller = Caller(product.url, installation.folder)
        customer, requests = await _requests(caller)
        for _ in range(count(1, 20)):
            load = Load(installation.token(), each=20)
            await load.prepare(product.url)
            under_way = asyncio.create_task(load.run(product.url))
            await asyncio.to_thread(end, own)
            assert await refused(caller, requests) == []
            assert await ill(caller) == []
            await asyncio.to_thread(own.start)
            assert await back(caller, customer, time.monotonic()) <= BACK_WITHIN_S
            await under_way
            assert set(load.refused) <= {503}
            assert await load.settled(product.url) == Findings()
        assert product.process.poll() is None, "it was restarted"


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold the file as another program would that writes and does not end."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def _turn_held(file: Path) -> Iterator[None]:
    """Hold the turn as another process of ours would that is stopped in the middle."""
    turnstile = Turnstile(file)
    turnstile.enter(5)
    yield
    turnstile.close()  # With the files go their locks.


@pytest.mark.parametrize("held", [_locked, _turn_held], ids=["locked", "turn"])
async def test_bar_18_a_sqlite_file_that_another_process_holds_is_told_and_got_again(
    tmp_path: Path, held: Callable[[Path], AbstractContextManager[None]]
) -> None:
    installation = Installation(tmp_path / "data", "")
    with installation.started() as product:
        caller = Caller(product.url, installation.folder)
        customer, requests = await _requests(caller)
        writes = [one for one in requests if one[0] != "GET" and "customers" not in one[1]]
        for _ in range(count(1, 20)):
            with held(installation.folder / "orders.sqlite3"):
                assert await refused(caller, writes) == []
                assert await ill(caller) == []
                for method, path, _, _ in requests[:4]:
                    answer, took = await caller.timed(method, path)
                    assert (answer.status_code, took <= TOLD_WITHIN_S) == (200, True), "readers never wait"
            assert await back(caller, customer, time.monotonic()) <= BACK_WITHIN_S
        assert product.process.poll() is None, "it was restarted"


@pytest.mark.parametrize("held", [_locked, _turn_held], ids=["locked", "turn"])
async def test_bar_18_control_a_server_that_waits_for_ever_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: Callable[[Path], AbstractContextManager[None]]
) -> None:
    monkeypatch.setattr(sqlite, "_TURN_S", 3)
    monkeypatch.setattr(sqlite, "_BUSY_MS", 3000)
    async with opened(Installation(tmp_path)) as house:
        customer = await house.customer()
        await house.order(customer)
        with held(tmp_path / "orders.sqlite3"):
            began = time.perf_counter()
            answer = await house("POST", "/v1/orders", order(customer))
    assert answer.status_code == 503
    assert time.perf_counter() - began > TOLD_WITHIN_S


async def test_bar_18_control_a_drivers_error_that_nobody_translates_is_caught(
    own: OwnPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_ours", lambda error: RuntimeError(str(error)))
    async with opened(Installation(tmp_path, own.url)) as house:
        await house.customer()
        await asyncio.to_thread(own.stop)
        assert (await house("GET", "/v1/orders")).status_code == 500
        await asyncio.to_thread(own.start)


def test_bar_18_a_sqlite_file_that_is_none_any_more_is_unavailable_and_no_defect_of_ours(tmp_path: Path) -> None:
    file = tmp_path / "spoilt.sqlite3"
    with closing(sqlite.connect(file)) as connection:
        connection.execute("CREATE TABLE things (name)")
    reader = sqlite.SqliteReader(file)
    file.write_bytes(b"this is no database" * 1000)
    with pytest.raises(DatabaseUnavailable):
        reader.ask(lambda reading: reading.rows("SELECT * FROM things"))
    reader.close()
    with pytest.raises(DatabaseUnavailable), sqlite._translated({}):
        sqlite.connect(file)
