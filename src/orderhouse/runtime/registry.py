"""The registry of facts: every kind, its version and the schema of its data.

What was told as an older version is brought to the present one before anybody reads it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from orderhouse.kernel.errors import Invalid
from orderhouse.kernel.events import Fact, FactKind


class FactUnknown(Invalid):
    """No fact of that name, or of so new a version, is known here."""

    code = "fact_unknown"


class FactMalformed(Invalid):
    """The data of this fact is not what its schema says."""

    code = "fact_malformed"


class Kinds:
    """The kinds of facts one context tells."""

    def __init__(self, context: str, kinds: Iterable[FactKind]) -> None:
        """Know `kinds`, each name once."""
        self.context = context
        self._kinds: dict[str, FactKind] = {}
        for kind in kinds:
            if self._kinds.setdefault(kind.name, kind) is not kind:
                raise ValueError(f"{context} declares {kind.name} twice")

    def __iter__(self) -> Iterator[FactKind]:
        """Go through the kinds, as they were declared."""
        return iter(self._kinds.values())

    def kind(self, name: str) -> FactKind:
        """Return a kind by its name; FactUnknown."""
        kind = self._kinds.get(name)
        if kind is None:
            raise FactUnknown(name)
        return kind

    def current(self, fact: Fact) -> Fact:
        """Return `fact` in its present version; FactUnknown, or FactMalformed when its data is not of its schema."""
        present = self.upcast(fact)
        self.check(self.kind(fact.name), present.data)
        return present

    def upcast(self, fact: Fact) -> Fact:
        """Return `fact` in its present version, its data unseen; FactUnknown when nobody here knows that version."""
        kind = self.kind(fact.name)
        if fact.version == kind.version:
            return fact
        if not 1 <= fact.version < kind.version:
            raise FactUnknown(f"{fact.name} of version {fact.version}")
        data = fact.data
        for version in range(fact.version, kind.version):
            data = kind.upcasts[version](data)
        return fact._replace(data=data, version=kind.version)

    def all_current(self, facts: Sequence[Fact]) -> list[Fact]:
        """Return each of `facts` in its present version."""
        return [self.current(fact) for fact in facts]

    def check(self, kind: FactKind, data: Mapping[str, Any]) -> None:
        """See that `data` is what the present version of `kind` says; FactMalformed."""
        try:
            kind.data.model_validate(data)
        except ValidationError as error:
            told = error.errors(include_url=False, include_input=False, include_context=False)[0]
            raise FactMalformed(f"{kind.name}: {'.'.join(map(str, told['loc'])) or 'data'}: {told['msg']}") from None


class Registry:
    """Every kind of fact there is, by context."""

    def __init__(self, *contexts: Kinds) -> None:
        """Know the kinds of `contexts`; ValueError when two of them tell facts of one name."""
        self._contexts = {kinds.context: kinds for kinds in contexts}
        names = [kind.name for kinds in contexts for kind in kinds]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"told by two contexts: {', '.join(sorted(twice))}")

    @property
    def contexts(self) -> tuple[str, ...]:
        """Who tells facts."""
        return tuple(self._contexts)

    def of(self, context: str) -> Kinds:
        """Return what `context` tells; FactUnknown when it tells nothing."""
        if context not in self._contexts:
            raise FactUnknown(context)
        return self._contexts[context]

    def __iter__(self) -> Iterator[tuple[str, FactKind]]:
        """Go through all kinds, each with its context."""
        return ((kinds.context, kind) for kinds in self._contexts.values() for kind in kinds)

    def kind(self, name: str, version: str) -> FactKind | None:
        """Return a kind by its name and present version, or None."""
        return next((kind for _, kind in self if (kind.name, str(kind.version)) == (name, version)), None)


def schema_of(kind: FactKind) -> dict[str, Any]:
    """Return the JSON schema of a kind's present data."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_PATH.format(kind.name, kind.version),
        **kind.data.model_json_schema(),
        "title": kind.name,
        "description": kind.meaning,
    }


SCHEMA_PATH = "/schemas/facts/{}/{}"
