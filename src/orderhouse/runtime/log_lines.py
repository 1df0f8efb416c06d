"""Where log lines go: written together at the loop's next turn, for each write costs more than making the line."""

import asyncio
import atexit
from collections import deque
from typing import BinaryIO


class Lines:
    """A logger that takes whole lines as bytes. What was said outside of an event loop is written at once."""

    def __init__(self, out: BinaryIO, least: int) -> None:
        """Write to `out`; lines below the level `least` do not come here."""
        self._out = out
        self.least = least
        self._waiting: deque[bytes] = deque()
        atexit.register(self.write)

    def __call__(self, *_names: object) -> "Lines":
        """Be the one logger of every name."""
        return self

    def msg(self, line: bytes) -> None:
        """Write `line`, soon."""
        self._waiting.append(line)
        if len(self._waiting) > 1:
            return  # Whoever came first has arranged for it.
        try:
            asyncio.get_running_loop().call_soon(self.write)
        except RuntimeError:
            self.write()

    debug = info = warning = error = critical = exception = log = msg

    def write(self) -> None:
        """Write what waits."""
        lines = []
        while self._waiting:
            lines.append(self._waiting.popleft())
        if lines:
            self._out.write(b"\n".join((*lines, b"")))
            self._out.flush()
