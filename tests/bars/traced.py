"""Servers under a tracer: started on an installation, killed at a call, and asked what was seen."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest

from bench import servers
from tests.bars import ptrace
from tests.bars.watches import Trigger
from tests.installation import Installation

ROOT = Path(__file__).resolve().parents[2]
START_S = 30


@dataclass(frozen=True)
class End:
    """How a traced server ended, and what its watch saw."""

    status: int
    told: dict[str, Any]


class Tracer:
    """Starts servers one after another; each is traced until its end."""

    def __init__(self, program: "subprocess.Popen[str]", trigger: Trigger) -> None:
        self._program = program
        self.trigger = trigger
        self.url = ""

    def start(
        self,
        installation: Installation,
        *defects: str,
        watch: Literal["kill", "order"] = "kill",
        receives: bool = False,
    ) -> str:
        """Start a server; return its address once it is ready."""
        self.trigger.disarm()
        port = servers.free_port()
        installation.folder.mkdir(parents=True, exist_ok=True)
        log = installation.folder / "server.log"
        asked = {
            "arguments": ["up", "--port", str(port)],
            "environment": installation.environment | {"ORDERHOUSE_LOG_LEVEL": "info"},
            "folder": str(installation.folder),
            "log": str(log),
            "defects": defects,
            "watch": watch,
            "receives": receives,
        }
        assert self._program.stdin is not None
        print(json.dumps(asked), file=self._program.stdin, flush=True)
        self.url = f"http://127.0.0.1:{port}"
        self._wait_until_ready(log)
        return self.url

    def _wait_until_ready(self, log: Path) -> None:
        until = time.monotonic() + START_S
        while time.monotonic() < until and self._program.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/health/readiness", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.01)
        raise RuntimeError(f"the server did not start:\n{log.read_text()[-4000:]}")

    def end(self) -> End:
        """Wait until the server has ended, and return how."""
        assert self._program.stdout is not None
        line = self._program.stdout.readline()
        assert line, "the tracer broke"
        told = json.loads(line)
        return End(told.pop("status"), told)

    def stop(self) -> End:
        """Tell the server to stop, and return how it ended."""
        for child in psutil.Process(self._program.pid).children():
            child.terminate()
        return self.end()


@contextmanager
def tracer(folder: Path) -> Iterator[Tracer]:
    """Yield a tracer; the test is skipped, and says so, where no process may be traced."""
    if why := ptrace.permitted():
        pytest.skip(f"nothing can be traced here, so no server can be stopped at a call: {why}")
    page = folder / "trigger"
    trigger = Trigger(page)
    command = [sys.executable, "-m", "tests.bars.zygote", str(page)]
    program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        yield Tracer(program, trigger)
    finally:
        program.kill()
        program.communicate()
