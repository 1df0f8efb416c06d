"""The API's document as a page to read and to try. All of it is served from here: it works without the internet."""

from functools import cache
from hashlib import blake2b
from pathlib import Path

from fastapi import APIRouter

from orderhouse.kernel.errors import NotFound
from orderhouse.runtime.once import Answer
from orderhouse.runtime.web.answers import unchanged
from orderhouse.runtime.web.fastapi_edge import Edge, IfNoneMatch, open_to_all

_FOLDER = Path(__file__).with_name("swagger_ui")
_KINDS = {"swagger-ui.css": "text/css; charset=utf-8", "swagger-ui-bundle.js": "text/javascript; charset=utf-8"}
_START = b"""\
window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#ui",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  persistAuthorization: true,
});
"""
_PAGE = b"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Orderhouse API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""
# The page runs what is served here and talks to nobody else; Swagger UI sets styles in its elements.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_REASON = "how to use the API is no secret"


class AssetUnknown(NotFound):
    """There is no such file."""

    code = "asset_unknown"


def routes(edge: Edge) -> APIRouter:
    """Return the page, and what it is made of."""
    router = edge.router("", "about")

    @router.get("/docs", include_in_schema=False, **open_to_all(_REASON))
    async def get_docs() -> Answer:
        """Show the API's document."""
        headers = (("content-type", "text/html; charset=utf-8"), ("content-security-policy", _POLICY))
        return Answer(200, headers, _PAGE)

    @router.get("/docs/{name}", include_in_schema=False, **open_to_all(_REASON, AssetUnknown))
    async def get_asset(name: str, unless: IfNoneMatch) -> Answer:
        """Get a file the page is made of."""
        kind, tag, body = _asset(name)
        return unchanged(("etag", tag), unless) or Answer(200, (("content-type", kind), ("etag", tag)), body)

    return router


@cache
def _asset(name: str) -> tuple[str, str, bytes]:
    """Return a file's kind, tag and bytes."""
    if name == "start.js":
        body, kind = _START, _KINDS["swagger-ui-bundle.js"]
    elif name in _KINDS:
        body, kind = (_FOLDER / name).read_bytes(), _KINDS[name]
    else:
        raise AssetUnknown
    return kind, f'"{blake2b(body, digest_size=16).hexdigest()}"', body
