"""The client that openapi-python-client generates from the OpenAPI document, and a walk with it."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, get_args, get_type_hints

PACKAGE = "generated_client"
SCRIPTS = Path(__file__).parents[2] / "scripts"

COLLECTION = "/api/v1/"
ORDER = ("CREATE", "POST", "GET", "PUT", "DELETE")


def generate_client(document: Mapping[str, Any], folder: Path) -> None:
    """Generate the client as a package in a folder; a warning of the generator is an error."""
    file = folder / "openapi.json"
    file.write_text(json.dumps(document), "utf-8")
    found = subprocess.run(
        [SCRIPTS / "install_client_generator"], check=True, stdout=subprocess.PIPE, text=True
    )
    command = [found.stdout.strip(), "generate", "--path", str(file), "--output-path", str(folder / PACKAGE)]
    options = ["--meta", "none", "--config", str(SCRIPTS / "client_generator.yaml"), "--fail-on-warning"]
    done = subprocess.run([*command, *options], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    module: str
    body: Any = None

    @property
    def name(self) -> str:
        """Its method and path."""
        return f"{self.method} {self.path}"

    @property
    def collection(self) -> str:
        """Name what it is about."""
        return self.path.removeprefix(COLLECTION).partition("/")[0]

    @property
    def rank(self) -> int:
        """Order it: what makes things comes first, and what deletes them last."""
        if self.method == "DELETE" and self.collection == "workspace":
            return len(ORDER)  # with it goes the token that all others are asked with
        is_making = self.method == "POST" and self.path.endswith("/") and "{" not in self.path
        return ORDER.index("CREATE" if is_making else self.method)


def list_operations(document: Mapping[str, Any]) -> list[Operation]:
    """List all that can be asked, in an order in which it can be."""
    found = [
        Operation(method.upper(), path, _name_module(described), _build_body(document, described))
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    ]
    return sorted(found, key=lambda operation: operation.rank)


@dataclass
class Walk:
    """
    Calls every operation once, by the generated client.

    :param client: The generated client.
    :param known: The values of path parameters: by collection, by operation (one value, or several by their
        names) or by their own name.
    :param bodies: The bodies that are sent instead of the document's examples, by operation.
    :param queries: The query parameters, by operation.
    :param clients: The clients of operations that need another one, by operation.
    """

    client: Any
    known: dict[str, Any]
    bodies: Mapping[str, Any] = field(default_factory=dict)
    queries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    clients: Mapping[str, Any] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)

    async def call(self, operation: Operation) -> Any:
        """Call an operation until its result is there, and give the answer; it must be a success."""
        call = import_module(f"{PACKAGE}.api.{operation.module}").asyncio_detailed
        arguments = {
            **self._find_path_values(operation),
            **self.queries.get(operation.name, {}),
            **self._build_body(operation, call),
        }
        for _ in range(6000):
            answer = await call(client=self.clients.get(operation.name, self.client), **arguments)
            if answer.status_code != 202:
                break
            await asyncio.sleep(0.02)
        assert answer.status_code in {200, 201}, f"{operation.name}: {answer.status_code} {answer.content!r}"
        if operation.rank == 0:
            self.made[operation.collection] = json.loads(answer.content)["id"]
        return answer

    def _find_path_values(self, operation: Operation) -> dict[str, Any]:
        values = {"reference": self._choose(operation), **self.known}
        own = self.known.get(operation.name)
        if own is not None:
            values.update(own if isinstance(own, dict) else {"run_id": own})
        return {name: values[name] for name in re.findall(r"\{(\w+)\}", operation.path)}

    def _build_body(self, operation: Operation, call: Any) -> dict[str, Any]:
        body = self.bodies.get(operation.name, operation.body)
        if body is None:
            return {}
        if isinstance(body, str):
            return {"body": import_module(f"{PACKAGE}.types").File(payload=body)}
        hint = get_type_hints(call)["body"]
        model = next(one for one in (*get_args(hint), hint) if hasattr(one, "from_dict"))
        return {"body": model.from_dict(body)}

    def _choose(self, operation: Operation) -> Any:
        """Choose what to ask about; only what the walk itself made is changed or deleted."""
        own, known = self.made.get(operation.collection), self.known.get(operation.collection)
        if operation.name in self.known:
            return self.known[operation.name]
        if operation.method in {"PUT", "DELETE"}:
            own, known = known, own
        return known or own or 1


def _name_module(described: Mapping[str, Any]) -> str:
    return f"{described['tags'][0].replace(' ', '_').lower()}.{described['operationId']}"


def _build_body(document: Mapping[str, Any], described: Mapping[str, Any]) -> Any:
    content = described.get("requestBody", {}).get("content", {})
    if "text/plain" in content:
        return content["text/plain"]["example"]
    schema = content.get("application/json", {}).get("schema", {})
    schema = next((one for one in schema.get("anyOf", ()) if "$ref" in one), schema)
    named = document["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2], {})
    if named.get("examples"):
        return named["examples"][0]
    fields = named.get("properties", {}).items()
    return {name: one["examples"][0] for name, one in fields if one.get("examples")} or None
