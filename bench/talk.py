"""A few words with the product over HTTP, for what is not measured."""

import json
import urllib.request
from typing import Any
from uuid import uuid4


def call(url: str, method: str, path: str, token: str, body: object = None) -> Any:
    """Return the JSON that the product answers; an error raises."""
    headers = {"Authorization": f"Bearer {token}"}
    data = None
    if body is not None:
        data = json.dumps(body).encode()
        headers |= {"Content-Type": "application/json", "Idempotency-Key": str(uuid4())}
    request = urllib.request.Request(url + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())
