"""`python -m tests.bars.zygote TRIGGER`: starts servers, one at a time, and traces each until its end.

Each line of its input asks for a server; each line of its output tells what became of it. The product is loaded once
and forked, so that a sweep of kills does not spend its time on imports.
"""

import ctypes
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

from orderhouse import cli
from orderhouse.assembly import data_folder, one_process, places
from orderhouse.runtime import telemetry
from tests.bars import ptrace
from tests.bars.defects import SEEDED
from tests.bars.watches import RECEIVES, SENDS, SYNCS, WRITES, Kill, Order, Trigger

LOADED = (data_folder, one_process, places, telemetry)


def main(trigger: Path) -> None:
    """Serve until nobody asks any more."""
    # Whoever started this may be killed: then this is, and with it what it traces.
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
    import uvicorn  # noqa: F401 - loaded for the servers
    import uvloop  # noqa: F401 - loaded for the servers

    for line in sys.stdin:
        asked = json.loads(line)
        watch = Order() if asked["watch"] == "order" else Kill(Trigger(trigger))
        gate, opened = os.pipe()
        pid = os.fork()
        if pid == 0:
            _serve(asked, gate)
        ptrace.seize(pid)
        os.write(opened, b"x")
        os.close(opened)
        os.close(gate)
        status = ptrace.follow(pid, watch)
        sys.stdout.write(json.dumps({"status": status, **watch.told()}) + "\n")
        sys.stdout.flush()


def _serve(asked: dict[str, Any], gate: int) -> NoReturn:
    os.read(gate, 1)
    log = os.open(asked["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in (1, 2):
        os.dup2(log, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    sys.argv = ["orderhouse", *asked["arguments"]]
    status = 1
    try:
        for defect in asked["defects"]:
            SEEDED[defect]()
        ptrace.submit([*SENDS, *WRITES, *SYNCS, *(RECEIVES if asked["receives"] else ())])
        cli.app()
    except SystemExit as ended:
        status = int(ended.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
