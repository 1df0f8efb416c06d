"""An import that is killed, at any moment, with the server up or down, is gone on with by running it again."""

import gzip
import random
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from bench import servers
from bench.talk import call
from tests.bars.counts import count
from tests.installation import Installation

pytestmark = pytest.mark.timeout(3600)

RANGE = "from=2010-12-01&to=2011-12-09&time_zone=Europe/London&currency=GBP"


def imported(installation: Installation, file: Path) -> int:
    command = [str(servers.PROGRAM), "import", "online-retail", str(file)]
    return subprocess.run(command, env=installation.environment, capture_output=True, check=False).returncode


def killed(installation: Installation, file: Path, after_s: float) -> bool:
    """Start an import and kill it; return whether it was still running."""
    command = [str(servers.PROGRAM), "import", "online-retail", str(file)]
    process = subprocess.Popen(
        command, env=installation.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True
    return False


def state(installation: Installation) -> dict[str, Any]:
    """Return what analytics says of everything, and how many facts and customers there are."""
    with installation.started() as product:
        token = product.token()
        until = time.monotonic() + 120
        before: dict[str, Any] = {}
        while time.monotonic() < until:
            told = {
                by: call(product.url, "GET", f"/v1/analytics/sales?by={by}&{RANGE}", token)
                for by in ("month", "country", "status")
            }
            for answer in told.values():
                answer.pop("fresh_as_of")
            if told == before and told["month"]["totals"]["orders"]:
                break
            before = told
            time.sleep(0.5)
        first = call(product.url, "GET", "/v1/customers?offset=0&limit=1", token)
    return {**told, "customers": first.get("total")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, real_data: Path) -> dict[str, Any]:
    """What an undisturbed import comes to."""
    undisturbed = Installation(tmp_path_factory.mktemp("undisturbed") / "data", "")
    assert imported(undisturbed, real_data) == 0
    return state(undisturbed)


def test_an_import_killed_at_random_moments_comes_to_the_same(
    installation: Installation, real_data: Path, whole: dict[str, Any], whole_file: bool
) -> None:
    draw = random.Random()
    longest = 9.0 if whole_file else 1.6
    caught = 0
    for n in range(count(2, 20)):
        with ExitStack() as running:
            if n % 2:
                running.enter_context(installation.started())
            caught += killed(installation, real_data, draw.uniform(0.3, longest))
    assert caught, "nothing was killed while it ran"
    assert imported(installation, real_data) == 0
    assert state(installation) == whole
    assert imported(installation, real_data) == 0
    assert state(installation) == whole


def test_control_an_import_that_forgets_a_document_is_noticed(
    tmp_path: Path, real_data: Path, whole: dict[str, Any]
) -> None:
    lossy = tmp_path / "lossy.csv"
    raw = real_data.read_bytes()
    rows = (gzip.decompress(raw) if real_data.suffix == ".gz" else raw).decode().splitlines()
    first = rows[1].split(",")[0]
    lossy.write_text("\n".join(row for row in rows if not row.startswith(f"{first},")) + "\n", encoding="utf-8")
    missing = Installation(tmp_path / "lossy", "")
    assert imported(missing, lossy) == 0
    assert state(missing) != whole
