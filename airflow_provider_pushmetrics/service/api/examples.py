"""The examples of answers in the API's description: what the service itself answered, kept in a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

FILE = "examples.json"


def load_examples() -> dict[str, Any]:
    """Load one answer for each operation, by its method and path."""
    examples: dict[str, Any] = json.loads(files(__package__).joinpath(FILE).read_text("utf-8"))
    return examples


def add_examples(document: dict[str, Any]) -> dict[str, Any]:
    """Give each successful answer that is described its example."""
    examples = load_examples()
    for name, content in list_contents(document):
        if name in examples:
            content["example"] = examples[name]
    return document


def list_contents(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """List the contents of successful answers, by method and path; where one has several forms, the first."""
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            for status, answer in described["responses"].items():
                content = answer.get("content") if status.startswith("2") else None
                if content:
                    yield f"{method.upper()} {path}", next(iter(content.values()))
