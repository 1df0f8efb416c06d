"""Jobs as a user has them: asked of the product over HTTP, and done by it or by workers beside it."""

import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from bench import servers
from bench.talk import call
from tests.e2e.caller import House, once_it_is, order
from tests.installation import Installation

WAIT_S = 30


@contextmanager
def worker(installation: Installation, *arguments: str, **settings: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A worker of its own; killed in the end if it is still there."""
    process = subprocess.Popen(
        [str(servers.PROGRAM), "worker", *arguments],
        env={**installation.environment, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


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


def test_a_report_in_two_workers_care_is_made_though_one_of_them_is_killed(installation: Installation) -> None:
    fast = {"ORDERHOUSE_JOB_LEASE_S": "1"}
    with ExitStack() as running:
        product = running.enter_context(installation.started(ORDERHOUSE_JOB_THREADS="0", **fast))
        token = installation.token()

        def ask(method: str, path: str, body: object = None) -> Any:
            return call(product.url, method, path, token, body)

        def begun(report: str) -> bool:
            return bool(ask("GET", report)["state"] != "pending")

        customer = ask("POST", "/v1/customers", {"name": "Ada", "country": "France"})["id"]
        for _ in range(5):
            ask("POST", "/v1/orders", order(customer))
        wanted = {"kind": "sales-report", "argument": {"first_day": "2026-01-01", "last_day": "2035-12-31"}}
        # A report is quick: one that was made before its worker could be killed shows nothing.
        for _ in range(20):
            first = running.enter_context(worker(installation, **fast))
            report = ask("POST", "/v1/jobs", wanted)["links"]["self"]
            once_it_is(True, partial(begun, report), WAIT_S)
            first.kill()
            first.wait()
            if ask("GET", report)["state"] == "running":
                break
        second = running.enter_context(worker(installation, **fast))
        once_it_is("done", lambda: ask("GET", report)["state"], WAIT_S)
        job = ask("GET", report)
        assert (job["attempt"], job["result"]["totals"]["orders"]) == (2, 5)
        page = urllib.request.Request(
            product.url + job["result"]["file"]["links"]["content"], headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(page, timeout=WAIT_S) as answer:
            assert b"<svg" in answer.read()
        assert second.poll() is None
