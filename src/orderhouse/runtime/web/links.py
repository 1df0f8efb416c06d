"""Where a page of a list leads to."""

from typing import Any
from urllib.parse import urlencode

from pydantic import BaseModel


def of_page(path: str, wanted: BaseModel, following: str | None) -> dict[str, str]:
    """Return the links of the page of `path` that is `wanted`: itself, and the next one at cursor `following`."""
    asked = wanted.model_dump(mode="json", exclude_unset=True)
    links = {"self": _address(path, asked)}
    if following:
        rest = {name: asked[name] for name in asked if name != "offset"}
        links["next"] = _address(path, rest | {"cursor": following})
    return links


def _address(path: str, query: dict[str, Any]) -> str:
    said = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(said)}" if said else path
