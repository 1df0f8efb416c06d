"""The quickstart, followed to the letter: what stands there in boxes is run as it stands there."""

import os
import re
import subprocess
from pathlib import Path

import httpx2
import orjson
import pytest

from bench import servers
from bench.servers import PROGRAM, Product

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "docs" / "quickstart.md"
OWNER = "owner@orderhouse.localhost"


def boxes(*headings: str) -> str:
    """Return the commands under these headings, in order."""
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", QUICKSTART.read_text(), re.MULTILINE | re.DOTALL))
    return "\n".join(box for name in headings for box in re.findall(r"```sh\n(.*?)```", sections[name], re.DOTALL))


def ran(folder: Path, product: Product, script: str, said: str = "") -> subprocess.CompletedProcess[str]:
    """Run a script as somebody beside the data folder would, whose house has another port."""
    here = script.replace("localhost:8000", product.url.removeprefix("http://")).replace(
        ".venv/bin/orderhouse", str(PROGRAM)
    )
    environment = {**os.environ, "XDG_CONFIG_HOME": str(folder / "config")}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", here],
        cwd=folder,
        env=environment,
        input=said,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_quickstart_leads_from_signing_up_to_what_one_may_not_do(tmp_path: Path) -> None:
    with servers.product(tmp_path / "data") as product:
        done = ran(tmp_path, product, boxes("Let yourself in", "Place an order, twice", "Come in as somebody"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Idempotency-Replayed: true".lower()) == 1
    # Her order, another's, the users, and her orders by the token of the command line.
    assert re.findall(r"(?:^|\})(\d{3})$", done.stdout, re.MULTILINE) == ["201", "404", "403", "200"]
    assert "You are signed in" in done.stderr
    assert not (tmp_path / "config" / "orderhouse" / "login.json").exists()


def test_the_first_owner_comes_in_by_a_password_that_is_good_once(tmp_path: Path) -> None:
    login = f".venv/bin/orderhouse login --email {OWNER} --url http://localhost:8000"
    file = tmp_path / "data" / "owner.password"
    with servers.product(tmp_path / "data") as product:
        once = file.read_text()
        assert file.stat().st_mode & 0o077 == 0
        log = (tmp_path / "data" / "server.log").read_text()
        assert once.strip() not in log
        assert str(file) in log
        weak = ran(tmp_path, product, login, f"{once}password123\n")
        assert (weak.returncode, "too easy to guess" in weak.stderr) == (2, True)
        assert ran(tmp_path, product, login, f"{once}a kettle and four cups\n").returncode == 0
        token = ran(tmp_path, product, ".venv/bin/orderhouse token").stdout.strip()
        me = httpx2.get(f"{product.url}/v1/users", headers={"Authorization": f"Bearer {token}"})
        assert [one["email"] for one in me.json()["items"]] == [OWNER]
        again = ran(tmp_path, product, login, f"{once}another kettle, five cups\n")
        assert (again.returncode, "is wrong" in again.stderr) == (2, True)
    with servers.product(tmp_path / "data") as product:
        assert not file.exists()
        assert ran(tmp_path, product, login, "a kettle and four cups\n").returncode == 0


def test_a_password_that_was_not_used_is_given_anew_at_the_next_start(tmp_path: Path) -> None:
    file = tmp_path / "data" / "owner.password"
    with servers.product(tmp_path / "data"):
        first = file.read_text()
    with servers.product(tmp_path / "data") as product:
        assert file.read_text() != first
        login = f".venv/bin/orderhouse login --email {OWNER} --url http://localhost:8000"
        assert ran(tmp_path, product, login, f"{first}a kettle and four cups\n").returncode == 2
        assert ran(tmp_path, product, login, f"{file.read_text()}a kettle and four cups\n").returncode == 0


def test_a_command_line_is_let_in_from_a_browser(tmp_path: Path) -> None:
    with servers.product(tmp_path / "data") as product:
        login = f".venv/bin/orderhouse login --email {OWNER} --url http://localhost:8000"
        once = (tmp_path / "data" / "owner.password").read_text()
        assert ran(tmp_path, product, login, f"{once}a kettle and four cups\n").returncode == 0
        waits = subprocess.Popen(
            [str(PROGRAM), "login", "--device", "--url", product.url],
            env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "config")},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert waits.stderr is not None
        told = waits.stderr.readline()
        code = re.findall(r"[B-Z]{4}-[B-Z]{4}", told)[0]
        form = {"email": OWNER, "password": "a kettle and four cups", "user_code": code, "decision": "allow"}
        assert "The device is in." in httpx2.post(f"{product.url}/oauth/device", data=form, timeout=30).text
        assert waits.wait(30) == 0
        waits.stderr.close()
        # Its access token is not asked for again as long as it is good; here it is not.
        kept = tmp_path / "config" / "orderhouse" / "login.json"
        kept.write_bytes(orjson.dumps({**orjson.loads(kept.read_bytes()), "expires": 0}))
        token = ran(tmp_path, product, ".venv/bin/orderhouse token").stdout.strip()
        asked = httpx2.get(f"{product.url}/v1/auth/sessions", headers={"Authorization": f"Bearer {token}"})
        assert "orderhouse-login" in {one["client_id"] for one in asked.json()["items"]}
        assert ran(tmp_path, product, ".venv/bin/orderhouse logout && ! .venv/bin/orderhouse token").returncode == 0


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (".venv/bin/orderhouse token", "Nobody is signed in here"),
        (f"echo x | .venv/bin/orderhouse login --email {OWNER} --url http://127.0.0.1:1", "does not answer"),
        (f"echo x | .venv/bin/orderhouse login --email {OWNER} --url nonsense", "does not answer"),
        (f".venv/bin/orderhouse login --email {OWNER} --url http://127.0.0.1:1", "nothing more is in the pipe"),
    ],
)
def test_what_keeps_somebody_out_is_told_in_words(tmp_path: Path, script: str, told: str) -> None:
    nowhere = Product.__new__(Product)
    nowhere.url = "http://127.0.0.1:1"
    done = ran(tmp_path, nowhere, script)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "config").exists()
