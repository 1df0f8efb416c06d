"""Jobs as a user has them: asked of the product over HTTP, and done by it or by workers beside it."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from bench import servers
from bench.talk import call
from tests.e2e.caller import House, once_it_is
from tests.installation import Installation

WAIT_S = 30


@contextmanager
def worker(installation: Installation, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker of its own; killed in the end if it is still there."""
    process = subprocess.Popen(
        [str(servers.PROGRAM), "worker", *arguments],
        env=installation.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(params=["sqlite", "postgresql"])
def installation(request: pytest.FixtureRequest, tmp_path: Any) -> Installation:
    url = request.getfixturevalue("empty_postgres_url") if request.param == "postgresql" else ""
    return Installation(tmp_path / "data", url)


def test_the_product_does_jobs_itself(house: House) -> None:
    accepted = house("POST", "/v1/jobs", {"kind": "ping", "argument": {"echo": "hello"}})
    assert accepted.status_code == 202
    path = accepted.headers["location"]
    once_it_is("done", lambda: house("GET", path).json()["state"], WAIT_S)
    assert house("GET", path).json()["result"] == {"echo": "hello"}


def test_workers_beside_the_product_share_what_it_leaves_to_them(installation: Installation) -> None:
    with ExitStack() as running:
        product = running.enter_context(installation.started(ORDERHOUSE_JOB_THREADS="0"))
        token = installation.token()
        asked = [call(product.url, "POST", "/v1/jobs", token, {"kind": "ping"})["id"] for _ in range(20)]
        assert call(product.url, "GET", f"/v1/jobs/{asked[0]}", token)["state"] == "pending"
        workers = [running.enter_context(worker(installation, "--threads", "2")) for _ in range(2)]

        def done() -> set[tuple[str, int]]:
            jobs = [call(product.url, "GET", f"/v1/jobs/{job_id}", token) for job_id in asked]
            return {(job["state"], job["attempt"]) for job in jobs}

        once_it_is({("done", 1)}, done, WAIT_S)
        for process in workers:
            process.send_signal(signal.SIGTERM)
        # One that was told so early that it had not begun to listen for it ends as any program does.
        assert {process.wait(WAIT_S) for process in workers} <= {0, -signal.SIGTERM}
