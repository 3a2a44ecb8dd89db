"""The OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from airflow_provider_pushmetrics.service.app import create_app
from airflow_provider_pushmetrics.service.settings import ServiceSettings

Document = dict[str, Any]


@cache
def build_document() -> Document:
    """Build the document; nothing is started for it."""
    return create_app(ServiceSettings(Path("unused"))).openapi()


def list_operations() -> Iterator[tuple[str, Document]]:
    for path, methods in build_document()["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def find_schemas(operation: Document) -> Iterator[Document]:
    """Find the schemas of the JSON that an operation takes and answers."""
    for described in (operation.get("requestBody", {}), *operation["responses"].values()):
        schema = described.get("content", {}).get("application/json", {}).get("schema")
        if schema is not None:
            yield schema


def compose(schema: Document) -> Any:
    """Compose an example as viewers of OpenAPI do: from the examples of the fields."""
    if "$ref" in schema:
        return compose(build_document()["components"]["schemas"][schema["$ref"].rpartition("/")[2]])
    if "examples" in schema:
        return schema["examples"][0]
    if "anyOf" in schema:
        return compose(schema["anyOf"][0])
    if schema.get("type") == "array":
        return [compose(schema["items"])]
    if "properties" in schema:
        required = schema.get("required", [])
        fields = schema["properties"].items()
        return {name: compose(field) for name, field in fields if name in required or is_shown(field)}
    return schema["default"] if "default" in schema else schema["enum"][0]


def is_shown(field: Document) -> bool:
    return "examples" in field or "$ref" in field


def test_examples_of_all_fields_fit_their_schemas() -> None:
    for name, operation in list_operations():
        for schema in find_schemas(operation):
            try:
                whole = {**schema, "components": build_document()["components"]}
                jsonschema.Draft202012Validator(whole).validate(compose(schema))
            except (jsonschema.ValidationError, KeyError) as error:
                pytest.fail(f"{name}: {schema}: {error!r}")


def test_operation_ids_are_different_names() -> None:
    ids = [operation["operationId"] for _, operation in list_operations()]
    assert len(ids) > 100
    assert len(set(ids)) == len(ids)
    assert all(name.isidentifier() and name.islower() for name in ids), ids
    assert {"list_reports", "trigger_report", "get_run", "exchange_token"} <= set(ids)


def test_every_operation_answers_by_a_named_schema() -> None:
    untyped = [
        name
        for name, operation in list_operations()
        for status, answer in operation["responses"].items()
        if status.startswith("2")
        for media_type, content in answer["content"].items()
        if media_type == "application/json" and "$ref" not in content["schema"]
    ]
    assert untyped == []


def test_every_parameter_and_field_of_an_answer_has_a_type() -> None:
    schemas = build_document()["components"]["schemas"]
    untyped = [
        f"{name}.{field}"
        for name, schema in schemas.items()
        for field, described in schema.get("properties", {}).items()
        if not {"type", "$ref", "anyOf", "allOf", "enum", "const"} & described.keys()
    ]
    # Of the requests for triggers, which take a list, an object or its JSON text.
    assert {name.partition(".")[2] for name in untyped} <= {"details", "recipients", "slack_recipients"}


def test_every_tag_is_described_and_used() -> None:
    described = {tag["name"] for tag in build_document()["tags"]}
    used = {tag for _, operation in list_operations() for tag in operation["tags"]}
    assert described == used


def test_description_of_an_operation_names_the_role_that_it_needs() -> None:
    operations = dict(list_operations())
    assert operations["POST /api/v1/report/"]["description"].endswith("Needs the role *User*.")
    assert operations["POST /api/v1/database/"]["description"].endswith("Needs the role *Admin*.")
    assert "Needs the role" not in operations["GET /api/v1/report/"]["description"]


def test_lists_describe_their_filters_as_json() -> None:
    parameter = dict(list_operations())["GET /api/v1/report/"]["parameters"][0]
    schema = parameter["content"]["application/json"]["schema"]
    jsonschema.validate({"filters": [{"col": "name", "opr": "ct", "value": "sales"}], "page": 2}, schema)
    for wrong in ({"filters": [{"col": "name", "opr": "gt", "value": 1}]}, {"order_column": "uid"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)
