"""
What other programs depend on: it changes on purpose only, together with ``public_contract.json``.

With ``UPDATE_CONTRACT=1`` this test writes the file again. The file's diff is what users must adapt.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from airflow_provider_pushmetrics.cli import build_app
from airflow_provider_pushmetrics.get_provider_info import get_provider_info
from airflow_provider_pushmetrics.receiver.app import create_app as create_receiver
from airflow_provider_pushmetrics.receiver.inbox.tables import metadata as receiver_metadata
from airflow_provider_pushmetrics.receiver.settings import ReceiverSettings, SourceSettings
from airflow_provider_pushmetrics.service.app import create_app as create_service
from airflow_provider_pushmetrics.service.models.base import Base
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from tests.fakes.airflow_versions import needs_airflow

PACKAGE = "airflow_provider_pushmetrics"
CLASSES = ("hooks", "operators", "sensors", "triggers", "links", "transfers", "notifications", "queues")
MODULES = (
    *(f"{kind}.pushmetrics" for kind in (*CLASSES, "plugins", "assets")),
    "hooks.async_client",
    "assets.uris",
    "events",
    "exceptions",
)
SOURCES = (SourceSettings("demo", token="0123456789abcdef"),)
CONTRACT = Path(__file__).with_name("public_contract.json")

pytestmark = needs_airflow("3.3")


def list_names(module: str) -> list[str]:
    """List the public classes and functions that a module defines, with the parameters that they take."""
    found = importlib.import_module(f"{PACKAGE}.{module}")
    return sorted(
        f"{name}({', '.join(list_parameters(value))})"
        for name, value in vars(found).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == found.__name__
        if inspect.isclass(value) or inspect.isfunction(value)
    )


def list_parameters(value: Any) -> list[str]:
    """List the names of the parameters of a function or class."""
    try:
        return list(inspect.signature(value).parameters)
    except ValueError:  # a class of the interpreter's own
        return []


def describe_imports() -> dict[str, list[str]]:
    return {module: list_names(module) for module in MODULES}


def describe_metadata() -> dict[str, Any]:
    """Describe the metadata, without its prose."""
    info = get_provider_info()
    options = info.pop("config")["pushmetrics"]["options"]
    fields = ("type", "default", "sensitive", "version_added")
    described = {name: {field: option.get(field) for field in fields} for name, option in options.items()}
    connection = info.pop("connection-types")[0]
    return {
        "options": described,
        "connection_fields": sorted(connection["conn-fields"]),
        "connection_type": connection["connection-type"],
        **{key: value for key, value in info.items() if key not in {"description", "integrations"}},
    }


def describe_tables() -> dict[str, dict[str, list[str]]]:
    parts = {"receiver": receiver_metadata, "service": Base.metadata}
    return {
        part: {name: [column.name for column in table.columns] for name, table in metadata.tables.items()}
        for part, metadata in parts.items()
    }


def describe_http(folder: Path) -> dict[str, list[str]]:
    """Describe the routes, by the service's OpenAPI document and the receiver's own list."""
    service = create_service(ServiceSettings(folder)).openapi()["paths"]
    receiver = create_receiver(
        ReceiverSettings(f"sqlite:///{folder}/inbox.db", SOURCES, "reader-token")
    ).routes
    return {
        "service": sorted(f"{method.upper()} {path}" for path, found in service.items() for method in found),
        "receiver": sorted(_describe_route(route) for route in receiver),
    }


def _describe_route(route: Any) -> str:
    return f"{' '.join(sorted(getattr(route, 'methods', ()) or ()))} {route.path}".strip()


def describe_commands() -> dict[str, list[str]]:
    """Describe each command with its options and environment variables."""
    return dict(_walk(get_command(build_app()), "pushmetrics"))


def _walk(command: Any, name: str) -> Iterator[tuple[str, list[str]]]:
    yield (
        name,
        sorted(
            " ".join([*parameter.opts, *parameter.secondary_opts, *_list_variables(parameter)])
            for parameter in command.params
            if parameter.name != "help"
        ),
    )
    for child, found in getattr(command, "commands", {}).items():
        yield from _walk(found, f"{name} {child}")


def _list_variables(parameter: Any) -> list[str]:
    variables = parameter.envvar or []
    return [variables] if isinstance(variables, str) else list(variables)


PARTS: dict[str, Callable[[Path], Any]] = {
    "imports": lambda _: describe_imports(),
    "metadata": lambda _: describe_metadata(),
    "tables": lambda _: describe_tables(),
    "http": describe_http,
    "commands": lambda _: describe_commands(),
}


@pytest.mark.parametrize("part", PARTS)
def test_what_others_depend_on_is_as_it_was(part: str, tmp_path: Path) -> None:
    described = json.loads(json.dumps(PARTS[part](tmp_path)))
    if "UPDATE_CONTRACT" in os.environ:
        known = json.loads(CONTRACT.read_text("utf-8")) if CONTRACT.exists() else {}
        CONTRACT.write_text(json.dumps({**known, part: described}, indent=1, sort_keys=True) + "\n", "utf-8")
    assert described == json.loads(CONTRACT.read_text("utf-8"))[part]
