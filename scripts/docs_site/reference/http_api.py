"""The pages with the service's HTTP API, from its OpenAPI document."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from scripts.docs_site.reference.markdown import build_table, escape_text, write_code
from scripts.write_openapi import build_document

Schema = dict[str, Any]


@cache
def read_document() -> Schema:
    """Build the OpenAPI document once."""
    return build_document()


def write_document() -> str:
    """Write the document itself, as ``/openapi.json`` of a running service gives it."""
    return json.dumps(read_document(), indent=1) + "\n"


def build_operations() -> str:
    """Build the page with the operations, by their tags."""
    document = read_document()
    operations = [
        (method, path, one) for path, item in document["paths"].items() for method, one in item.items()
    ]
    parts = [
        "# HTTP API of the service\n\n",
        "[The OpenAPI document](openapi.json), as `/openapi.json` of a running service gives it."
        " [How to use the API](../service.md#the-api). [Schemas](service-schemas.md).\n\n",
        f"{document['info']['description']}\n\n{describe_errors(operations)}",
    ]
    for tag in document["tags"]:
        parts.append(f"## {tag['name'][0].upper()}{tag['name'][1:]}\n\n{tag['description']}\n\n")
        parts += [
            describe_operation(method, path, one)
            for method, path, one in operations
            if tag["name"] in one["tags"]
        ]
    return "".join(parts)


def describe_errors(operations: list[tuple[str, str, Schema]]) -> str:
    """Describe the errors, which are the same for all operations."""
    errors = {
        status: answer["description"]
        for _, _, one in operations
        for status, answer in one["responses"].items()
        if int(status) >= 400
    }
    return build_table(
        ["status", "meaning"], ([write_code(status), errors[status]] for status in sorted(errors))
    )


def describe_operation(method: str, path: str, operation: Schema) -> str:
    """Describe an operation: what it takes and what it returns."""
    parts = [f"### `{method.upper()} {path}`\n\n{operation.get('description', '')}\n\n"]
    if taken := operation.get("parameters"):
        parts.append(build_table(["parameter", "in", "type", "meaning"], map(describe_parameter, taken)))
    if body := operation.get("requestBody"):
        parts.append(f"Body: {describe_content(body['content'])}.\n\n")
    answers = {status: one for status, one in operation["responses"].items() if int(status) < 400}
    parts += [
        f"Answer {status}: {describe_content(one.get('content', {})) or escape_text(one['description'])}.\n\n"
        for status, one in answers.items()
    ]
    return "".join(parts)


def describe_parameter(parameter: Schema) -> list[str]:
    """Describe a parameter in a row."""
    name = write_code(parameter["name"]) + ("" if parameter.get("required") else " (optional)")
    about = escape_text(parameter.get("description", ""))
    if "content" in parameter:
        (content,) = parameter["content"].values()
        return [name, parameter["in"], "Rison or JSON", f"{about} {describe_list_query(content['schema'])}"]
    return [name, parameter["in"], describe_type(parameter["schema"]), about]


def describe_list_query(schema: Schema) -> str:
    """Describe the filters and the order of a list."""
    fields = schema["properties"]
    filters = fields["filters"]["items"]
    pairs = [
        f"{one['properties']['col']['enum'][0]} {one['properties']['opr']['enum'][0]}"
        for one in filters.get("anyOf", [filters])
    ]
    columns = fields["order_column"]["enum"]
    return f"Filters: {', '.join(map(write_code, pairs))}. Order: {', '.join(map(write_code, columns))}."


def describe_content(content: Schema) -> str:
    """Describe the content of a body or an answer: its schemas and media types."""
    found: dict[str, list[str]] = {}
    for media, one in content.items():
        found.setdefault(describe_type(one.get("schema", {})), []).append(write_code(media))
    return "; ".join(f"{kind or 'any'} as {', '.join(media)}" for kind, media in found.items())


def describe_type(schema: Schema) -> str:
    """Describe a type; a schema with a name is a link."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](service-schemas.md#{find_anchor(name)})"
    kinds = schema.get("anyOf") or schema.get("oneOf")
    if kinds:
        return " or ".join(dict.fromkeys(describe_type(one) for one in kinds))
    if "enum" in schema:
        return " or ".join(write_code(json.dumps(value)) for value in schema["enum"])
    if "const" in schema:
        return write_code(json.dumps(schema["const"]))
    if schema.get("type") == "array":
        return f"array of {describe_type(schema.get('items', {})) or 'any'}"
    kind = schema.get("type", "")
    return f"{kind} ({schema['format']})" if "format" in schema else str(kind)


def find_anchor(name: str) -> str:
    """Find the anchor of a schema's heading."""
    return re.sub(r"[^\w\- ]", "", name.lower())


def build_schemas() -> str:
    """Build the page with the schemas."""
    schemas = read_document()["components"]["schemas"]
    return "# Schemas of the service's HTTP API\n\n[Operations](service-api.md).\n\n" + "".join(
        part for name in sorted(schemas) for part in describe_schema(name, schemas[name])
    )


def describe_schema(name: str, schema: Schema) -> Iterator[str]:
    """Describe a schema: its properties."""
    yield f"## {name}\n\n{schema.get('description', '')}\n\n"
    required = schema.get("required", [])
    rows = [
        [
            write_code(field) + ("" if field in required else " (optional)"),
            describe_type(one),
            escape_text(one.get("description", "")),
        ]
        for field, one in schema.get("properties", {}).items()
    ]
    yield (
        build_table(["property", "type", "meaning"], rows) if rows else f"Type: {describe_type(schema)}.\n\n"
    )
