"""Facts on the wire: CloudEvents 1.0 in JSON, with its extensions for sequence, partitioning and tracing."""

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from orderhouse.kernel.clock import as_text, from_text
from orderhouse.kernel.events import Fact, Origin
from orderhouse.runtime.registry import SCHEMA_PATH, FactMalformed

MEDIA_TYPE = "application/cloudevents+json"
BATCH_MEDIA_TYPE = "application/cloudevents-batch+json"

_TYPE = re.compile(r"orderhouse\.([a-z_]+)\.([A-Za-z]+)\.v([1-9][0-9]{0,4})")

ATTRIBUTES: dict[str, dict[str, Any]] = {
    "specversion": {"type": "string", "const": "1.0"},
    "id": {"type": "string", "format": "uuid", "description": "Of the fact: who hears it twice knows it by this."},
    "source": {"type": "string", "format": "uri-reference", "description": "/orderhouse/ and the context."},
    "type": {"type": "string", "description": "orderhouse.CONTEXT.NAME.vVERSION"},
    "subject": {"type": "string", "format": "uuid", "description": "What it is about: its aggregate."},
    "time": {"type": "string", "format": "date-time"},
    "datacontenttype": {"type": "string", "const": "application/json"},
    "dataschema": {"type": "string", "format": "uri-reference"},
    "sequence": {
        "type": "string",
        "description": "Within the aggregate, from 1, as ten digits: texts sort as it does.",
    },
    "partitionkey": {"type": "string", "description": "The aggregate: its facts are to be kept in order."},
    "position": {"type": "string", "pattern": "^[0-9]+$", "description": "In the context's log, from 1, without gaps."},
    "actor": {"type": "string", "description": "Who caused it: the subject of a token, or a part of the house."},
    "requestid": {"type": "string", "description": "Of the request that caused it, if one did."},
    "traceparent": {"type": "string", "description": "W3C trace context, if there was one."},
    "data": {"type": "object"},
}
"""The schema of every attribute, in the order in which they are written."""

REQUIRED = [name for name in ATTRIBUTES if name not in ("requestid", "traceparent")]
"""What no event lacks."""


def event_of(context: str, fact: Fact) -> dict[str, Any]:
    """Return `fact`, told by `context`, as an event that JSON can hold."""
    aggregate = str(fact.aggregate)
    return {
        "specversion": "1.0",
        "id": str(fact.id),
        "source": f"/orderhouse/{context}",
        "type": type_of(context, fact.name, fact.version),
        "subject": aggregate,
        "time": as_text(fact.at),
        "datacontenttype": "application/json",
        "dataschema": SCHEMA_PATH.format(fact.name, fact.version),
        "sequence": f"{fact.sequence:010}",
        "partitionkey": aggregate,
        # Numbers of CloudEvents end at 2^31: a log does not.
        "position": str(fact.position),
        "actor": fact.origin.actor,
        **({"requestid": fact.origin.request_id} if fact.origin.request_id else {}),
        **({"traceparent": fact.origin.trace} if fact.origin.trace else {}),
        "data": fact.data,
    }


def type_of(context: str, name: str, version: int) -> str:
    """Return the type of a kind's events."""
    return f"orderhouse.{context}.{name}.v{version}"


def fact_of(event: Mapping[str, Any]) -> Fact:
    """Return the fact an event of ours tells; FactMalformed when it is none."""
    try:
        found = _TYPE.fullmatch(event["type"])
        if event["specversion"] != "1.0" or found is None:
            raise ValueError
        return Fact(
            int(event["position"]),
            UUID(event["id"]),
            found[2],
            int(found[3]),
            UUID(event["subject"]),
            int(event["sequence"]),
            dict(event["data"]),
            from_text(event["time"]),
            Origin(event["actor"], event.get("requestid", ""), event.get("traceparent", "")),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FactMalformed(f"This is no event of ours: {type(error).__name__}.") from None
