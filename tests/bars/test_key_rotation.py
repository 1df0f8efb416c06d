"""Bar 24: keys rotate under load and no good token is refused, while forgers name keys that nobody knows."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from bench.servers import Product
from orderhouse.runtime.tokens import KeyFolder, SigningKeys
from tests.bars.counts import count
from tests.installation import Installation

pytestmark = pytest.mark.timeout(600)

BEARERS = 2
LOOKS_S = 30.0
FORGED = "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCIsImtpZCI6Im5vbmUifQ.e30.AAAA"


def rotated(product: Product, folder: Path, signing: Callable[[], SigningKeys], times: int) -> Counter[int]:
    """Rotate the keys so many times, each once the one before is in use; return what bearers of new tokens heard."""
    heard: Counter[int] = Counter()
    ended = threading.Event()
    kids: set[str] = set()

    def bears() -> None:
        with httpx2.Client(base_url=product.url, timeout=30) as client:
            while not ended.is_set():
                token = signing().issue("clerk-1", "clerk", minutes=5)
                kids.add(token.split(".")[0])
                answer = client.get("/v1/customers?limit=1", headers={"Authorization": f"Bearer {token}"})
                heard[answer.status_code] += 1

    def forges() -> None:
        with httpx2.Client(base_url=product.url, timeout=30) as client:
            while not ended.wait(0.05):
                answer = client.get("/v1/customers?limit=1", headers={"Authorization": f"Bearer {FORGED}"})
                assert answer.status_code == 401

    threads = [threading.Thread(target=act) for act in (*[bears] * BEARERS, forges)]
    for thread in threads:
        thread.start()
    try:
        for done in range(times + 1):
            if done:
                SigningKeys.add(folder)
            until = time.monotonic() + LOOKS_S
            while len(kids) <= done:
                assert time.monotonic() < until, "the new key is never used"
                time.sleep(0.05)
    finally:
        ended.set()
        for thread in threads:
            thread.join()
    return heard


def test_bar_24_keys_rotate_under_load_and_nobody_is_refused(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "data", "")
    keys = installation.folder / "keys"
    with installation.started() as product:
        heard = rotated(product, keys, KeyFolder(keys), count(2, 20))
    assert set(heard) == {200}
    assert heard[200] > 100


def test_bar_24_control_a_key_that_signs_as_soon_as_it_is_there_is_caught(tmp_path: Path) -> None:
    installation = Installation(tmp_path / "data", "")
    keys = installation.folder / "keys"
    with installation.started() as product:
        heard = rotated(product, keys, lambda: SigningKeys(keys, settles_s=0), 5)
    assert heard[401]
