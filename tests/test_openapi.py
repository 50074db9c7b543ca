"""The OpenAPI document and the gateway say the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import filestore
from filestore import FileStore
from filestore.gateway import legacy, serve, service, v1
from filestore.gateway.app import Application
from filestore.gateway.http import Headers, Request

SAMPLES = Path(__file__).parent.parent / "sample_datasets"
DOCUMENT: dict[str, Any] = json.loads(resources.files("filestore.gateway").joinpath("openapi.json").read_bytes())
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = {
    f"{method.upper()} {path}": SCHEMA[path][method]
    for path, methods in DOCUMENT["paths"].items()
    for method in methods
}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
REFUSED_EXAMPLES = {
    "POST /internal/datasets/{dataset_name}/datapoints": 400,  # there is no log of inferences
    "GET /internal/object_storage": 404,  # the samples have no attached files
}
"""Operations whose example is refused, with the status."""
FORMS = [
    pytest.param(Headers((("user-agent", "curl"),)), "Datapoint", id="user agent"),
    pytest.param(Headers(), "LegacyDatapoint", id="no user agent"),
    pytest.param(Headers((("accept", "*/*"),)), "LegacyDatapoint", id="client up to 2025.11.4"),
]
"""Headers of a request, and the form in which a legacy GET answers it."""
BOUNDED = settings(
    max_examples=10,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


def resolve(node: dict[str, Any]) -> dict[str, Any]:
    """Return what a node of the document refers to, or the node itself."""
    if "$ref" not in node:
        return node
    _, _, kind, name = node["$ref"].split("/")
    found: dict[str, Any] = DOCUMENT["components"][kind][name]
    return found


def definition(label: str) -> dict[str, Any]:
    """Return what the document says of an operation."""
    method, path = label.split(" ")
    found: dict[str, Any] = DOCUMENT["paths"][path][method.lower()]
    return found


def issues(schema: dict[str, Any], value: object) -> list[str]:
    """Return what is wrong with a value, by a schema of the document."""
    whole = {**schema, "components": DOCUMENT["components"]}  # where `#/components/…` leads
    return [error.message for error in Draft202012Validator(whole).iter_errors(value)]


def component(name: str) -> dict[str, Any]:
    """Return a schema that refers to one of the document's."""
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(name: str) -> dict[str, Any]:
    """Return the schema of a list of what one of the document's schemas describes."""
    return {"type": "array", "items": component(name)}


def example_request(label: str) -> Request:
    """Return the request that the examples of an operation make."""
    method, path = label.split(" ")
    query = ""
    for parameter in map(resolve, definition(label).get("parameters", [])):
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", parameter["example"])
        elif "content" in parameter:
            query = urlencode({parameter["name"]: json.dumps(parameter["content"]["application/json"]["example"])})
    content = definition(label).get("requestBody", {"content": {}})["content"]
    body = json.dumps(content["application/json"]["example"]).encode() if content else b""
    return Request(method, path, query, Headers((("user-agent", "test"),)), body)


def can_be_wrong(label: str) -> bool:
    """Tell whether an operation has anything that a request could get wrong; any text names a dataset or function."""
    names = {resolve(parameter)["name"] for parameter in definition(label).get("parameters", [])}
    return "requestBody" in definition(label) or bool(names - {"dataset_name", "function_name", "function"})


@pytest.fixture
def samples(tmp_path: Path) -> FileStore:
    """The sample datasets and their function config, as a store of the test's own."""
    return FileStore(shutil.copytree(SAMPLES, tmp_path / "samples"), durable=False)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[str]:
    """A gateway over the sample datasets without a function config: an item may name any function."""
    root = shutil.copytree(SAMPLES, tmp_path / "samples", ignore=shutil.ignore_patterns("*.toml"))
    with serve(FileStore(root, durable=False)) as url:
        yield url


def test_document_is_valid() -> None:
    SCHEMA.validate()


def test_document_lists_exactly_the_routes() -> None:
    assert sorted(OPERATIONS) == sorted([*service.ROUTES, *legacy.ROUTES, *v1.ROUTES])


def test_document_has_the_version_of_the_package() -> None:
    assert DOCUMENT["info"]["version"] == filestore.__version__


def test_gateway_hands_out_the_document(samples: FileStore) -> None:
    response = Application(samples)(Request("GET", "/openapi.json"))
    assert (response.status, response.content_type) == (200, "application/json")
    assert json.loads(response.body) == DOCUMENT


@pytest.mark.parametrize("path", DOCUMENT["paths"])
def test_any_other_method_is_refused_with_the_documented_ones(path: str, samples: FileStore) -> None:
    response = Application(samples)(Request("TRACE", path))
    methods = {method.upper() for method in DOCUMENT["paths"][path]}
    assert (response.status, response.body, response.content_type) == (405, b"", None)
    assert set(dict(response.headers)["allow"].split(",")) == methods | ({"HEAD"} if "GET" in methods else set())


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_schema_is_valid_and_its_examples_fit(name: str) -> None:
    schema = DOCUMENT["components"]["schemas"][name]
    Draft202012Validator.check_schema(schema)
    assert [problem for example in schema.get("examples", []) for problem in issues(schema, example)] == []


@pytest.mark.parametrize("label", OPERATIONS)
def test_examples_of_answers_fit(label: str) -> None:
    contents = [
        content
        for response in map(resolve, definition(label)["responses"].values())
        for content in response.get("content", {}).values()
    ]
    assert [problem for content in contents for problem in issues(content["schema"], content["example"])] == []


@pytest.mark.parametrize("label", OPERATIONS)
def test_example_of_a_request_gets_the_documented_answer(label: str, samples: FileStore) -> None:
    response = Application(samples)(example_request(label))
    assert response.status == REFUSED_EXAMPLES.get(label, 200), response.body
    documented = resolve(definition(label)["responses"][str(response.status)]).get("content")
    if documented is None:
        assert (response.body, response.content_type) == (b"", None)
    else:
        assert response.content_type in documented
        assert issues(documented[response.content_type]["schema"], json.loads(response.body)) == []


@pytest.mark.parametrize(("headers", "form"), FORMS)
@pytest.mark.parametrize("dataset_name", ["email_application", "entity_extraction", "support_conversations"])
def test_legacy_get_answers_in_the_documented_form(
    dataset_name: str, headers: Headers, form: str, samples: FileStore
) -> None:
    response = Application(samples)(Request("GET", f"/datasets/{dataset_name}/datapoints", headers=headers))
    listed = json.loads(response.body)
    assert issues(list_of(form), listed) == []
    other = "Datapoint" if form == "LegacyDatapoint" else "LegacyDatapoint"
    assert listed
    assert all(issues(component(other), datapoint) for datapoint in listed)


@pytest.mark.parametrize(
    ("label", "mode"),
    [
        pytest.param(label, mode, id=f"{label} {mode.value}")
        for label in OPERATIONS
        for mode in GenerationMode
        if mode is GenerationMode.POSITIVE or can_be_wrong(label)
    ],
)
def test_gateway_answers_as_documented(label: str, mode: GenerationMode, gateway: str) -> None:
    """Requests made from the document, right and wrong ones, get the answers that it lists, and none above 499."""

    @BOUNDED
    @given(case=OPERATIONS[label].as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(base_url=gateway, checks=CHECKS)

    check()


@pytest.mark.parametrize(("headers", "form"), FORMS)
@pytest.mark.parametrize(
    "label", ["POST /datasets/{dataset_name}/datapoints/bulk", "POST /v1/datasets/{dataset_name}/datapoints"]
)
def test_whatever_was_taken_is_listed_in_the_documented_forms(
    label: str, headers: Headers, form: str, tmp_path: Path
) -> None:
    app = Application(FileStore(tmp_path, durable=False))
    path = label.removeprefix("POST ").replace("{dataset_name}", "d")
    statuses = set()

    @BOUNDED
    @given(case=OPERATIONS[label].as_strategy())
    def check(case: schemathesis.Case[Any]) -> None:
        body: Any = case.body
        for item in body["datapoints"]:
            item["type"] = "json" if "output_schema" in item else "chat"  # without a config, the item decides
        statuses.add(app(Request("POST", path, body=json.dumps(body).encode())).status)
        listed = app(Request("GET", "/datasets/d/datapoints", headers=headers))
        assert issues(list_of(form), json.loads(listed.body)) == []
        found = app(Request("POST", "/v1/datasets/d/list_datapoints", headers=headers, body=b"{}"))
        assert issues(component("Datapoints"), json.loads(found.body)) == []
        app(Request("DELETE", "/datasets/d"))

    check()
    assert 200 in statuses
