"""Tokens: what it costs to know who asks, remembered and for the first time, with a long list of what was revoked."""

import gc
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

from orderhouse.kernel.ids import new_id
from orderhouse.runtime.revocations import Revocations, Revoked
from orderhouse.runtime.tokens import SigningKeys, Verifier

TOKENS = 1000
REVOKED = 1000
WARM = 200_000
ROUNDS = 5
A_DAY = 86_400_000_000
BATCH = 100


def measure() -> dict[str, object]:
    """Return the microseconds a verification takes."""
    with tempfile.TemporaryDirectory() as folder:
        keys = SigningKeys.made(Path(folder) / "keys")
        tokens = [keys.issue(str(new_id()), "clerk", minutes=60, session=new_id()) for _ in range(TOKENS)]
        known = Revocations()
        now = time.time_ns() // 1000
        known.take(Revoked(new_id(), "session", str(uuid4()), now, now + A_DAY) for _ in range(REVOKED))
        verifier = Verifier(keys.jwks(), revocations=known)
        warm, cold = [], []
        for _ in range(ROUNDS):
            verifier.forget()
            cold.append(_each(verifier.verify, tokens, 1))
            some = random.choices(tokens, k=WARM)
            warm.append(_each(verifier.verify, some, BATCH))
    return {"tokens": TOKENS, "revoked": REVOKED, "warm_us": _told(warm), "cold_us": _told(cold)}


def _each(verify: Callable[[str], object], tokens: Sequence[str], batch: int) -> list[float]:
    """Return microseconds for each token, in means of `batch`: the clock itself takes a part of one."""
    took = []
    gc.collect()
    for first in range(0, len(tokens), batch):
        some = tokens[first : first + batch]
        began = time.perf_counter()
        for token in some:
            verify(token)
        took.append((time.perf_counter() - began) * 1e6 / len(some))
    return took


def _told(rounds: list[list[float]]) -> dict[str, object]:
    cuts = [statistics.quantiles(one, n=100) for one in rounds]
    return {
        "p50": round(statistics.median(one[49] for one in cuts), 1),
        "p99": round(statistics.median(one[98] for one in cuts), 1),
        "rounds": [round(one[49], 1) for one in cuts],
    }
