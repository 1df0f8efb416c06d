"""Load by wrk, a program that asks as fast as it is answered: `apt install wrk` where it is not here."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def there() -> bool:
    """Whether it is installed."""
    return shutil.which("wrk") is not None


def required(measure: str) -> None:
    """End, and say what is missing, where it is not installed."""
    if not there():
        raise SystemExit(f"{measure}: measured under wrk, which is not here: install it (Debian: wrk)")


def run(script: str, url: str, *arguments: str, connections: int, seconds: int) -> dict[str, Any]:
    """Return what a script of this folder told in the end, after `seconds` of requests from that many connections."""
    load = ["-t", str(min(2, connections)), "-c", str(connections), "-d", f"{seconds}s", "--timeout", "30s"]
    command = ["wrk", *load, "-s", str(HERE / script), url, "--", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(re.findall(r"RESULT (.*)", done.stdout)[0])
    return found
