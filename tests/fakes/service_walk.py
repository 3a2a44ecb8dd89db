"""A walk over the whole API of a service with the demo, with the bodies that its own description gives."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

COLLECTION = "/api/v1/"
ORDER = ("CREATE", "POST", "GET", "PUT", "DELETE")


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    body: Any = None

    @property
    def name(self) -> str:
        """Name it as examples are named."""
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
        Operation(method.upper(), path, _build_body(document, described))
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    ]
    return sorted(found, key=lambda operation: operation.rank)


@dataclass
class Walk:
    """
    Asks all that can be asked, once.

    :param known: What the parameters of paths stand for: by collection, by operation (one value, or several
        by their names) or by their own name.
    :param bodies: What is sent instead of the description's examples, by operation.
    :param queries: The query strings, by operation.
    """

    client: httpx.AsyncClient
    known: dict[str, Any]
    bodies: Mapping[str, Any] = field(default_factory=dict)
    queries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)

    async def ask(self, operation: Operation) -> Any:
        """Ask until the answer is there, and give it; it must be a success."""
        body = self.bodies.get(operation.name, operation.body)
        content: dict[str, Any] = {"content": body} if isinstance(body, str) else {"json": body}
        for _ in range(1000):
            answer = await self.client.request(
                operation.method, self._fill(operation), params=self.queries.get(operation.name), **content
            )
            if answer.status_code != 202:
                break
            await asyncio.sleep(0.02)
        assert answer.status_code in {200, 201}, f"{operation.name}: {answer.status_code} {answer.text}"
        is_json = answer.headers["content-type"].startswith("application/json")
        given = answer.json() if is_json else answer.text
        if operation.rank == 0:
            assert isinstance(given, dict)
            self.made[operation.collection] = given["id"]
        return given

    def _fill(self, operation: Operation) -> str:
        path = operation.path
        values = {"reference": self._choose(operation), **self.known}
        own = self.known.get(operation.name)
        if own is not None:
            values.update(own if isinstance(own, dict) else {"run_id": own})
        for name, value in values.items():
            path = path.replace(f"{{{name}}}", str(value))
        assert "{" not in path, path
        return path

    def _choose(self, operation: Operation) -> Any:
        """Choose what to ask about; only what the walk itself made is changed or deleted."""
        own, known = self.made.get(operation.collection), self.known.get(operation.collection)
        if operation.name in self.known:
            return self.known[operation.name]
        if operation.method in {"PUT", "DELETE"}:
            own, known = known, own
        return known or own or 1


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
