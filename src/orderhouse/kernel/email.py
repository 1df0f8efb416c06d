"""E-mail addresses: kept as they were given, and equal however they are written."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from orderhouse.kernel.text import folded

# RFC 5321's dot-atom, with the letters of RFC 6531; a quoted local part or an address literal is nobody's address.
_LOCAL = re.compile(r"[^\s\"(),.:;<>@\[\\\]]+(\.[^\s\"(),.:;<>@\[\\\]]+)*")
_DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def email_key(address: str) -> str:
    """Return what is equal for all spellings of one e-mail address; ValueError when it is no address.

    Upper and lower case are one, composed and decomposed letters are one, and so are a domain in letters and in its
    ASCII form (IDNA 2003). Dots and tags in the local part stay: only its own provider knows what they mean.
    """
    local, _, domain = address.rpartition("@")
    too_long = len(local.encode()) > 64 or len(address.encode()) > 254
    if too_long or not local.isprintable() or not _LOCAL.fullmatch(local):
        raise ValueError("must be an e-mail address, such as ada@example.com")
    return f"{folded(local)}@{_ascii(domain)}"


def _ascii(domain: str) -> str:
    try:
        name = domain.encode("idna").decode().lower()
    except UnicodeError:
        name = ""
    if len(name) > 253 or not _DOMAIN.fullmatch(name):
        raise ValueError("must have a domain such as example.com behind its @")
    return name


def _email(address: str) -> str:
    email_key(address)
    return address


Email = Annotated[
    str,
    Field(max_length=254, examples=["ada@example.com"], json_schema_extra={"format": "email"}),
    AfterValidator(_email),
]
"""An e-mail address, as it was given."""
