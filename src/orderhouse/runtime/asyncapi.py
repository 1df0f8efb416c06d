"""The AsyncAPI 3 document: which context tells which facts, in which shape, and who reads them."""

from collections.abc import Collection, Mapping
from typing import Any

from orderhouse.kernel.events import FactKind
from orderhouse.runtime import cloudevents
from orderhouse.runtime.registry import Registry, schema_of

Reads = Mapping[str, Mapping[str, Collection[str]]]
"""By reader: whose facts, and which of them."""


def document(registry: Registry, reads: Reads, *, version: str) -> dict[str, Any]:
    """Return the document of everything in `registry`."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Orderhouse facts",
            "version": version,
            "description": "What happened, told in the transaction that made it happen: at least once, in order of "
            "each aggregate, as CloudEvents 1.0. A log is read at /v1/facts/CONTEXT.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": cloudevents.MEDIA_TYPE,
        "channels": {context: _channel(registry, context) for context in registry.contexts},
        "operations": {**_told(registry), **_read(reads)},
        "components": {
            "messages": {kind.name: _message(context, kind) for context, kind in registry},
            "schemas": {kind.name: _schema(kind) for _, kind in registry},
        },
    }


def _channel(registry: Registry, context: str) -> dict[str, Any]:
    return {
        "address": f"orderhouse.{context}.facts",
        "description": f"The log of {context}: all its facts, by position.",
        "messages": {kind.name: {"$ref": f"#/components/messages/{kind.name}"} for kind in registry.of(context)},
    }


def _told(registry: Registry) -> dict[str, Any]:
    return {
        f"{context}Tells": {
            "action": "send",
            "summary": f"{context.capitalize()} tells what happened.",
            "channel": {"$ref": f"#/channels/{context}"},
            "messages": [{"$ref": f"#/channels/{context}/messages/{kind.name}"} for kind in registry.of(context)],
        }
        for context in registry.contexts
    }


def _read(reads: Reads) -> dict[str, Any]:
    return {
        f"{reader}ReadsOf{context.capitalize()}": {
            "action": "receive",
            "summary": f"{reader.capitalize()} follows the facts of {context}.",
            "channel": {"$ref": f"#/channels/{context}"},
            "messages": [{"$ref": f"#/channels/{context}/messages/{name}"} for name in names],
        }
        for reader, sources in reads.items()
        for context, names in sources.items()
    }


def _message(context: str, kind: FactKind) -> dict[str, Any]:
    payload = {
        name: {**attribute}
        for name, attribute in cloudevents.ATTRIBUTES.items()
        if name not in ("source", "type", "dataschema", "data")
    }
    return {
        "name": cloudevents.type_of(context, kind.name, kind.version),
        "title": kind.name,
        "summary": kind.meaning,
        "contentType": cloudevents.MEDIA_TYPE,
        "payload": {
            "type": "object",
            "required": cloudevents.REQUIRED,
            "properties": {
                **payload,
                "source": {"const": f"/orderhouse/{context}"},
                "type": {"const": cloudevents.type_of(context, kind.name, kind.version)},
                "dataschema": {"const": schema_of(kind)["$id"]},
                "data": {"$ref": f"#/components/schemas/{kind.name}"},
            },
        },
    }


def _schema(kind: FactKind) -> dict[str, Any]:
    # Within the document a schema is known by its place in it.
    return {name: value for name, value in schema_of(kind).items() if name not in ("$schema", "$id")}
