"""What ``docs/receiver.md`` says of the calls, as an OpenAPI description to hold the receiver to."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

ID: Schema = {"type": "integer", "minimum": 1}
POSITION: Schema = {"type": "integer", "minimum": 0}
MOMENT: Schema = {"type": "string", "format": "date-time"}


def build_object(**properties: Schema) -> Schema:
    """Build the schema of an object that has all of these and nothing else."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


EVENT: Schema = {
    "type": "object",
    "properties": {
        "id": ID,
        "source": {"type": "string"},
        "received_at": MOMENT,
        "replay_of": ID,
        "body": {"type": "object", "required": ["event"]},
    },
    "required": ["id", "source", "received_at", "body"],
    "additionalProperties": False,
}
ERROR = build_object(message={"type": "string", "minLength": 1})
RECORDED = build_object(id=ID, outcome={"enum": ["accepted", "duplicate"]})
REPLAYED = build_object(id=ID, outcome={"enum": ["accepted"]}, replay_of=ID)
CONSUMER = build_object(
    name={"type": "string"},
    position=POSITION,
    updated_at={"type": ["string", "null"]},
    taken_by={"type": ["string", "null"]},
    missed={"type": "integer", "minimum": 0},
)
REJECTION = build_object(
    rejected_at=MOMENT,
    source={"type": "string"},
    client={"type": "string"},
    status={"type": "integer"},
    outcome={"type": "string"},
    reason={"type": "string"},
)
STATUS = build_object(status={"type": "string"})
WEBHOOK: Schema = {"type": "object", "properties": {"event": {"type": "string"}}, "required": ["event"]}


def build_parameter(name: str, schema: Schema, where: str = "query") -> Schema:
    return {"name": name, "in": where, "required": where == "path", "schema": schema}


FILTERS = [
    build_parameter("after", POSITION),
    build_parameter("limit", {"type": "integer", "minimum": 1, "maximum": 1000}),
    build_parameter("event", {"type": "string"}),
    build_parameter("source", {"type": "string"}),
    *(build_parameter(name, POSITION) for name in ("report_id", "query_id", "run_id")),
]
EVENT_ID = build_parameter("id", ID, "path")
NAME = build_parameter("name", {"type": "string", "minLength": 1}, "path")
SOURCE = build_parameter("source", {"enum": ["demo", "elsewhere"]}, "path")


def build_operation(
    answers: dict[int, Schema],
    *refusals: int,
    parameters: list[Schema] | None = None,
    body: Schema | None = None,
) -> Schema:
    """Build one operation; each of its answers is JSON."""
    schemas = answers | dict.fromkeys(refusals, ERROR)
    responses = {
        str(status): {"description": "…", "content": {"application/json": {"schema": schema}}}
        for status, schema in schemas.items()
    }
    operation: Schema = {"responses": responses, "parameters": parameters or []}
    if body:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation


METRICS = build_operation({}, 401, 503)
METRICS["responses"]["200"] = {"description": "…", "content": {"text/plain": {"schema": {"type": "string"}}}}

PATHS: Schema = {
    "/webhooks/{source}": {
        "post": build_operation(
            {202: RECORDED, 200: RECORDED},
            *(400, 401, 408, 413, 415, 429, 503),
            parameters=[SOURCE, build_parameter("token", {"type": "string"})],
            body=WEBHOOK,
        )
    },
    "/events": {
        "get": build_operation(
            {200: build_object(events={"type": "array", "items": EVENT}, cursor=POSITION)},
            *(400, 401, 503),
            parameters=[*FILTERS, build_parameter("wait", {"enum": [0]})],
        )
    },
    "/events/{id}": {"get": build_operation({200: EVENT}, 400, 401, 404, 503, parameters=[EVENT_ID])},
    "/events/{id}/replay": {
        "post": build_operation({201: REPLAYED}, 400, 401, 404, 503, parameters=[EVENT_ID])
    },
    "/events/replay": {
        "post": build_operation(
            {201: build_object(ids={"type": "array", "items": ID}, cursor=POSITION)},
            *(400, 401, 503),
            parameters=[*FILTERS, build_parameter("through", POSITION)],
        )
    },
    "/cursor": {"get": build_operation({200: build_object(cursor=POSITION)}, 401, 503)},
    "/consumers/{name}": {
        "get": build_operation({200: CONSUMER}, 400, 401, 404, 503, parameters=[NAME]),
        "put": build_operation(
            {200: CONSUMER},
            *(400, 401, 404, 408, 409, 413, 503),
            parameters=[NAME],
            body=build_object(position=POSITION),
        ),
    },
    "/rejections": {
        "get": build_operation(
            {200: build_object(rejections={"type": "array", "items": REJECTION})}, 400, 401, 503
        )
    },
    "/metrics": {"get": METRICS},
    "/health/live": {"get": build_operation({200: STATUS})},
    "/health/ready": {"get": build_operation({200: STATUS}, 503)},
}
DESCRIPTION: Schema = {"openapi": "3.1.0", "info": {"title": "The receiver", "version": "1"}, "paths": PATHS}
