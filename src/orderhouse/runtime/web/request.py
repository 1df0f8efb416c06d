"""One request, as far as the edge has looked at it: who asks, what was sent, and what its headers decide."""

import json
import re
from collections.abc import AsyncIterator
from hashlib import blake2b
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
from starlette.types import Message, Receive, Scope

from orderhouse.kernel.errors import NotFound, Unauthenticated
from orderhouse.kernel.principal import Principal
from orderhouse.runtime.web import bodies
from orderhouse.runtime.web.refusals import BodyTooLarge, KeyInvalid, Malformed, MatchMissing, PermissionMissing

if TYPE_CHECKING:
    from orderhouse.runtime.web.fastapi_edge import Edge

_BARE_KEY = re.compile(r"[!#-~][ -~]{0,254}")
_QUOTED_KEY = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\]){1,255})"')
_ESCAPED = re.compile(r'\\(["\\])')
_TAG = re.compile(r'"([0-9]{1,9})"')
_ANY_TAGS = re.compile(r'\*|(W/)?"[^"\x00-\x20\x7f]*"( *, *(W/)?"[^"\x00-\x20\x7f]*")*')

# What decides about a request may be said once: of two, a proxy and this edge could each believe another.
_SAID_ONCE = frozenset({b"authorization", b"content-type", b"idempotency-key", b"if-match", b"if-none-match"})


class UploadedBody:
    """A body that comes in parts, whatever it is."""

    def __init__(self, receive: Receive, headers: dict[bytes, bytes], most: int) -> None:
        """Take up to `most` bytes of it."""
        self._receive = receive
        self._headers = headers
        self._most = most

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield its parts; MediaTypeUnsupported, BodyTooLarge, or Malformed when it ends early."""
        bodies.check_media_type(self._headers.get(b"content-type", b""), bodies.OCTETS)
        _check_declared(self._headers, self._most)
        size, more = 0, True
        while more:
            message = await self._receive()
            part = _part(message, size, self._most)
            size += len(part)
            yield part
            more = message.get("more_body", False)


class Request:
    """One request, as far as the edge has looked at it."""

    __slots__ = ("_edge", "_headers", "body", "caller", "id", "json", "scope", "upload")

    def __init__(self, scope: Scope, edge: "Edge") -> None:
        """Look at what came through the front door; Malformed when a header that decides something comes twice."""
        self.scope = scope
        state = scope["state"]
        self.id: str = state["request_id"]
        self.body = b""
        self.json: Any = None
        self.caller: Principal
        self.upload: UploadedBody
        self._edge = edge
        self._headers: dict[bytes, bytes] = state["headers"]
        if len(self._headers) < len(scope["headers"]):
            _check_said_once(scope["headers"])

    def header(self, name: bytes) -> str:
        """Return a header's value; empty when there is none."""
        return self._headers.get(name, b"").decode("latin-1")

    def authenticate(self, permission: str) -> None:
        """Set the caller; Unauthenticated or PermissionMissing."""
        kind, _, token = self.header(b"authorization").partition(" ")
        if kind.lower() != "bearer" or not token:
            raise Unauthenticated
        self.caller = self._edge.verifier.verify(token.strip())
        self.scope["state"]["subject"] = self.caller.subject
        if not self.caller.may(permission):
            raise PermissionMissing

    async def read(self, receive: Receive) -> None:
        """Read and parse the body, never more of it than is taken."""
        bodies.check_media_type(self._headers.get(b"content-type", b""))
        await self._whole(receive)
        self.json = bodies.parsed(self.body, self._edge.limits)

    async def read_form(self, receive: Receive) -> None:
        """Read the body, which is a form, never more of it than is taken."""
        bodies.check_media_type(self._headers.get(b"content-type", b""), bodies.FORM)
        await self._whole(receive)

    async def _whole(self, receive: Receive) -> None:
        most = self._edge.limits.body_bytes
        _check_declared(self._headers, most)
        message = await receive()
        parts = [_part(message, 0, most)]
        size = len(parts[0])
        while message.get("more_body"):
            message = await receive()
            parts.append(_part(message, size, most))
            size += len(parts[-1])
        self.body = b"".join(parts)

    def uploaded(self, receive: Receive) -> UploadedBody:
        """Return the body as what comes in parts."""
        return UploadedBody(receive, self._headers, self._edge.limits.upload_bytes)

    def id_in_path(self, name: str) -> UUID:
        """Return an id of the path; what is no id names nothing."""
        text = self.scope["path_params"][name]
        try:
            found = UUID(text)
        except ValueError:
            raise NotFound("The id in the path is no UUID.") from None
        if str(found) != text.lower():
            raise NotFound("The id in the path is no UUID.")
        return found

    def key(self) -> str | None:
        """Return the Idempotency-Key, bare (quoted, it is a string of RFC 9651); None without one."""
        sent = self._headers.get(b"idempotency-key")
        if sent is None:
            return None
        said = sent.decode("latin-1").strip()
        if _BARE_KEY.fullmatch(said):
            return said
        quoted = _QUOTED_KEY.fullmatch(said)
        if quoted:
            return _ESCAPED.sub(r"\1", quoted[1])
        raise KeyInvalid

    def fingerprint(self) -> bytes:
        """Return a digest of the path and of what the body says, in whatever order and spacing it says it."""
        try:
            said = orjson.dumps(self.json, option=orjson.OPT_SORT_KEYS)
        except TypeError:  # An integer beyond 64 bits: rare, and still the caller's to repeat.
            said = json.dumps(self.json, sort_keys=True).encode()
        return blake2b(self.scope["path"].encode() + b"\0" + said, digest_size=16).digest()

    def match(self, *, required: bool) -> int | None:
        """Return the version in If-Match; MatchMissing when it is required and not there, Malformed for no ETag."""
        if b"if-match" not in self._headers:
            if required:
                raise MatchMissing
            return None
        said = self.header(b"if-match").strip()
        tag = _TAG.fullmatch(said)
        if tag:
            return int(tag[1])
        if not _ANY_TAGS.fullmatch(said):
            raise Malformed("If-Match holds an ETag, in its quotes.")
        return -1  # It is no version of ours: whatever it names is not what is there.


def _check_declared(headers: dict[bytes, bytes], most: int) -> None:
    declared = headers.get(b"content-length", b"0")
    if len(declared) > 18 or (declared.isdigit() and int(declared) > most):
        raise BodyTooLarge(f"At most {most} bytes.")


def _part(message: Message, before: int, most: int) -> bytes:
    """Return the part of a body that came behind `before` bytes of it."""
    if message["type"] == "http.disconnect":
        raise Malformed("The body ended early.")
    part: bytes = message.get("body", b"")
    if before + len(part) > most:
        raise BodyTooLarge(f"At most {most} bytes.")
    return part


def _check_said_once(headers: list[tuple[bytes, bytes]]) -> None:
    names = [name for name, _ in headers if name in _SAID_ONCE]
    if len(names) > len(set(names)):
        raise Malformed("A header that may come once came twice.")
