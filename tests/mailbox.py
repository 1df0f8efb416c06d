"""Mail as it is left in the folder of a product, and the tokens in it."""

import time
from email import message_from_bytes
from pathlib import Path


def mailed(folder: Path, email: str, count: int = 1, *, within_s: float = 10.0) -> str:
    """Return the token in the mail of this number to an address, once it is there."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        mails = [message_from_bytes(file.read_bytes()) for file in sorted(folder.glob("*.eml"))[-50:]]
        to_them = [mail for mail in mails if mail["To"] == email]
        if len(to_them) >= count:
            return next(word for word in str(to_them[count - 1].get_payload()).split() if word.startswith("oh"))
        time.sleep(0.01)
    raise AssertionError("no mail came")
