"""What the views of auth have in common: who asks before having proved anything, and from where."""

import flask

from orderhouse.auth.service.asking import Where
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web import flask_edge
from orderhouse.runtime.web.answers import json_answer

_LONGEST = 200


def where(device: str | None = None) -> Where:
    """Return where this request came from, on a device called so, or as its program calls itself."""
    agent = "".join(one for one in flask.request.headers.get("User-Agent", "") if one.isprintable())
    return Where(flask_edge.address(), device or agent[:_LONGEST] or "unknown")


def accepted() -> Answer:
    """Return what everybody hears, whether or not there is such an account."""
    return json_answer({"message": "Look into your mail."}, status=202)
