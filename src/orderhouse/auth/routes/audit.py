"""The audit log over HTTP: to read, to take away as a file, and for neighbours to add what they refused."""

from typing import Any

import orjson
from flask import Blueprint

from orderhouse.auth import reads
from orderhouse.auth.schemas.audit import (
    AUDIT,
    LARGEST_EXPORT,
    REFUSALS,
    AuditEntryOut,
    AuditPage,
    ListAudit,
    RefusedMany,
)
from orderhouse.auth.service.audit import AuditService
from orderhouse.kernel.clock import as_text
from orderhouse.kernel.pages import CursorInvalid
from orderhouse.runtime.once import Answer
from orderhouse.runtime.refused import Refused
from orderhouse.runtime.web import exports, links
from orderhouse.runtime.web.answers import done, json_answer
from orderhouse.runtime.web.flask_edge import body, needs, query, scan, write


def blueprint(service: AuditService) -> Blueprint:
    """Return the views."""
    views = Blueprint("audit", __name__)

    @views.get(AUDIT)
    @needs("audit:read", CursorInvalid, query=ListAudit, answers=AuditPage, exports=exports.DOCUMENTED)
    def list_audit() -> Answer:
        """Read the audit log, the latest first: a page of it, or a file of up to 10,000 entries as CSV or NDJSON."""
        wanted = query(ListAudit)
        limit = wanted.limit if wanted.format == "json" else LARGEST_EXPORT
        found, following = scan(reads.audit, wanted, limit)
        ways = links.of_page(AUDIT, wanted, following)
        items = [_shown(one) for one in found]
        if wanted.format == "json":
            return json_answer({"items": items, "next": following, "links": ways})
        return _file(wanted.format, items, ways)

    @views.post(REFUSALS)
    @needs("audit:append", body=RefusedMany, status=204)
    def add_refusals() -> Answer:
        """Keep what a neighbour refused. The same again changes nothing."""
        told = [Refused(**one.model_dump()) for one in body(RefusedMany).items]
        return write(service.keep_refused, told, answer=done)

    return views


def _shown(entry: reads.AuditRow) -> dict[str, Any]:
    return {
        **entry._asdict(),
        "at": as_text(entry.at),
        "before": orjson.loads(entry.before),
        "after": orjson.loads(entry.after),
    }


def _file(kind: str, items: list[dict[str, Any]], ways: dict[str, str]) -> Answer:
    media = exports.CSV if kind == "csv" else exports.NDJSON
    told = exports.as_csv(list(AuditEntryOut.model_fields), items) if kind == "csv" else exports.as_ndjson(items)
    headers = [("content-type", media), ("content-disposition", f'attachment; filename="audit.{kind}"')]
    if "next" in ways:
        headers.append(("link", f'<{ways["next"]}>; rel="next"'))
    return Answer(200, tuple(headers), told)
