"""The registry: versions, schemas, and what is refused before a reader could take it for something else."""

from typing import Any
from uuid import UUID

import pytest

from orderhouse.assembly.facts import REGISTRY
from orderhouse.kernel.events import Fact, FactData, FactKind, NoData
from orderhouse.runtime.registry import FactMalformed, FactUnknown, Kinds, Registry, schema_of

AGGREGATE = UUID("01997a3e-5d2c-7f4a-8a3f-0c7d4e2b9f10")


class Weight(FactData):
    """How heavy it is."""

    grams: int


WEIGHED = FactKind(
    "ThingWeighed",
    "A thing was weighed.",
    Weight,
    version=3,
    upcasts={1: lambda data: {"kilos": data["weight"]}, 2: lambda data: {"grams": data["kilos"] * 1000}},
)
KINDS = Kinds("things", [WEIGHED, FactKind("ThingLost", "A thing was lost.", NoData)])


def fact(name: str = "ThingWeighed", version: int = 3, **data: object) -> Fact:
    return Fact(1, AGGREGATE, name, version, AGGREGATE, 1, data, 0)


def test_a_fact_of_the_present_version_stays_as_it_is() -> None:
    told = fact(grams=3)
    assert KINDS.current(told) is told


@pytest.mark.parametrize(("version", "data"), [(1, {"weight": 2}), (2, {"kilos": 2}), (3, {"grams": 2000})])
def test_a_fact_of_any_older_version_is_brought_to_the_present_one(version: int, data: dict[str, Any]) -> None:
    current = KINDS.current(fact(version=version, **data))
    assert (current.version, current.data) == (3, {"grams": 2000})


@pytest.mark.parametrize("told", [fact("ThingFound"), fact(version=4, grams=1), fact(version=0, grams=1)])
def test_a_fact_nobody_declared_or_of_a_later_version_is_refused(told: Fact) -> None:
    with pytest.raises(FactUnknown):
        KINDS.current(told)


@pytest.mark.parametrize(
    "data", [{}, {"grams": "3"}, {"grams": True}, {"grams": 3, "colour": "red"}], ids=["none", "text", "bool", "more"]
)
def test_data_that_is_not_of_its_schema_is_refused_with_the_place(data: dict[str, Any]) -> None:
    with pytest.raises(FactMalformed) as refused:
        KINDS.current(fact(**data))
    assert refused.value.detail.startswith("ThingWeighed: ")


def test_what_is_refused_is_never_quoted() -> None:
    with pytest.raises(FactMalformed) as refused:
        KINDS.current(fact(grams="a secret"))
    assert "a secret" not in refused.value.detail


def test_a_version_without_a_way_to_the_present_one_cannot_be_declared() -> None:
    with pytest.raises(ValueError, match="upcasts"):
        FactKind("ThingWeighed", "", Weight, version=3, upcasts={2: dict})


def test_a_name_is_declared_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        Kinds("things", [WEIGHED, FactKind("ThingWeighed", "", NoData)])
    with pytest.raises(ValueError, match="ThingLost"):
        Registry(KINDS, Kinds("others", [FactKind("ThingLost", "", NoData)]))


def test_every_fact_of_the_product_says_what_it_means_and_has_a_closed_schema() -> None:
    for _, kind in REGISTRY:
        schema = schema_of(kind)
        assert kind.meaning.endswith("."), kind.name
        assert schema["additionalProperties"] is False, kind.name
        assert schema["$id"] == f"/schemas/facts/{kind.name}/{kind.version}"
