"""The parts of the OpenAPI document that belong to no single route: the title, the tags, the credentials."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_provider_pushmetrics.service.api.conventions.access import SCHEME
from airflow_provider_pushmetrics.service.reports.parameters import TOKEN

Document = dict[str, Any]

TITLE = "PushMetrics"
SUMMARY = "Reports, their runs and results, and the events about them"
DESCRIPTION = """\
The HTTP API of the PushMetrics reference service.

**Ids.** A row has an integer `id` and a short text `uid`. Paths take either.

**Lists** answer `{"count", "ids", "result"}`. They take `q`, in Rison or in JSON: filters, order and page.

**Errors** answer `{"message"}` with one sentence.

**Credentials.** Send an API token, or the JWT that it was exchanged for, as `Authorization: Bearer …`.
It is bound to one workspace, and has the role that its user has there. A *Guest* reads. A *User* also
creates, changes and runs reports. An *Admin* also decides about users, databases and workspaces. The
description of an operation names the role that it needs, unless every role is enough.
"""
LICENSE = {"name": "Apache License 2.0", "identifier": "Apache-2.0"}
CONTACT = {
    "name": "The maintainers of airflow-provider-pushmetrics",
    "url": "https://pypi.org/project/airflow-provider-pushmetrics/",
}

TAGS = {
    "health": "Whether the service runs and can serve requests.",
    "trigger": "Runs of reports that a call of a secret URL starts.",
    "result": "The results of runs, at the URLs that events carry.",
    "security": "The exchange of an API token for a JWT.",
    "user": "The users of the workspace, their roles and their API tokens.",
    "role": "The roles of users.",
    "workspace": "The workspace that the credential is bound to.",
    "access token": "The API tokens of the caller.",
    "report": "Reports and notebooks.",
    "report as YAML": "Reports as YAML documents.",
    "run": "The runs of reports and their logs.",
    "block": "The blocks of reports: parameters, SQL queries, texts, charts and messages.",
    "database": "The databases that SQL blocks query, and the tables in them.",
    "schedule": "The schedules of reports and queries.",
    "webhook trigger": "The secret URLs that start runs of reports.",
    "webhook subscription": "The URLs that events are sent to.",
    "webhook delivery": "The events that were sent or will be, with every attempt.",
    "message": "The messages by mail and Slack.",
    "notification": "The mail server and the connection to Slack, and messages that test them.",
}


TRIGGER_SCHEME = "TriggerToken"
NO_CREDENTIAL: Document = {"security": []}
TRIGGER_CREDENTIAL: Document = {"security": [{TRIGGER_SCHEME: []}]}
TOKEN_CREDENTIAL: Document = {"security": [{SCHEME: []}]}
"""The credentials of operations that read them by themselves, for ``openapi_extra``."""

SCHEMES: Document = {
    TRIGGER_SCHEME: {
        "type": "apiKey",
        "in": "query",
        "name": TOKEN,
        "description": "The token of the trigger. It allows to start runs of one report, and nothing else.",
    }
}


def complete(document: Document) -> Document:
    """Drop titles that only repeat names, and describe the role that an operation requires."""
    document["components"]["securitySchemes"] |= SCHEMES
    for schema in document["components"]["schemas"].values():
        _drop_titles(schema)
    for operation in list_operations(document):
        for parameter in operation.get("parameters", ()):
            parameter.get("schema", {}).pop("title", None)
        _name_role(operation)
    return document


def list_operations(document: Document) -> Iterator[Document]:
    for methods in document["paths"].values():
        yield from methods.values()


def _drop_titles(schema: Document) -> None:
    schema.pop("title", None)
    for field in schema.get("properties", {}).values():
        field.pop("title", None)


def _name_role(operation: Document) -> None:
    """Move the role from the requirement, where linters only accept scopes of OAuth, to the description."""
    for requirement in operation.get("security", ()):
        if requirement.get(SCHEME):
            operation["description"] += f"\n\nNeeds the role *{requirement[SCHEME][0]}*."
            requirement[SCHEME] = []
