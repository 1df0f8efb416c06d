"""What the API tells about itself, and that it is true."""

from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import validate

from orderhouse.runtime.tokens import Verifier
from tests.unit import edge_world
from tests.unit.edge_world import FRAMEWORKS, Api


@pytest.fixture(scope="module", params=FRAMEWORKS)
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with edge_world.opened(tmp_path_factory.mktemp("openapi"), request.param) as opened:
        yield opened


@pytest.fixture(scope="module")
def document(api: Api) -> dict[str, Any]:
    document: dict[str, Any] = api("GET", "/openapi.json", role=None).json()
    return document


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [operation for path in document["paths"].values() for operation in path.values()]


def parameters(operation: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {parameter["name"]: parameter for parameter in operation.get("parameters", [])}


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    validate(document)


def test_an_operation_is_called_as_its_endpoint(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for operation in operations(document)]
    assert {"make_thing", "list_things", "get_thing", "change_thing", "liveness", "get_keys"} <= set(names)
    assert len(set(names)) == len(names)


def test_headers_are_documented_where_they_are_read(document: dict[str, Any]) -> None:
    make, change = document["paths"]["/v1/things"]["post"], document["paths"]["/v1/things/{thing_id}"]["patch"]
    assert parameters(make)["Idempotency-Key"]["required"] is True
    assert parameters(change)["Idempotency-Key"]["required"] is False
    assert parameters(change)["If-Match"]["required"] is True
    assert parameters(document["paths"]["/v1/things/{thing_id}"]["get"])["If-None-Match"]["in"] == "header"
    assert set(parameters(document["paths"]["/v1/things"]["get"])) == {"limit", "from"}


def test_nothing_the_edge_gives_is_asked_of_the_caller(document: dict[str, Any]) -> None:
    for operation in operations(document):
        assert not {"once", "caller", "match", "unless", "wanted"} & set(parameters(operation))


def test_who_may_is_documented(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for operation in methods.values():
            closed = path.startswith("/v1/things")
            assert operation["security"] == ([{"bearer": []}] if closed else [])
            assert ("401" in operation["responses"]) is closed
            assert ("403" in operation["responses"]) is closed
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("post", "/v1/things", "201 400 401 403 409 413 414 415 422 431 500 503"),
        ("get", "/v1/things", "200 400 401 403 414 422 431 500 503"),
        ("patch", "/v1/things/{thing_id}", "200 400 401 403 404 409 412 413 414 415 422 428 431 500 503"),
        ("get", "/v1/things/{thing_id}", "200 304 400 401 403 404 414 422 431 500 503"),
        ("get", "/health/liveness", "200 400 414 422 431 500 503"),
    ],
)
def test_every_problem_is_documented(document: dict[str, Any], method: str, path: str, statuses: str) -> None:
    assert sorted(document["paths"][path][method]["responses"]) == statuses.split()


def test_every_problem_has_an_example_of_its_status(document: dict[str, Any]) -> None:
    for operation in operations(document):
        for status, response in operation["responses"].items():
            for media_type, content in response.get("content", {}).items():
                if media_type != "application/problem+json":
                    continue
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
                assert all(example["value"]["status"] == int(status) for example in content["examples"].values())
                assert content["examples"]


def test_fastapi_s_own_validation_errors_are_not_promised(document: dict[str, Any]) -> None:
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_anyone_can_read_the_keys_that_verify_our_tokens(api: Api) -> None:
    keys = api("GET", "/.well-known/jwks.json", role=None).json()
    assert keys == api.keys.jwks()
    assert Verifier(keys).verify(api.token("clerk")).role == "clerk"
