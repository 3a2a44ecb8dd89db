"""The page with the errors: their classes, and every message with which the package raises them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import airflow_provider_pushmetrics
from airflow_provider_pushmetrics import exceptions
from airflow_provider_pushmetrics.tasks import failures
from scripts.docs_site.reference.python_api import PACKAGE, write_directive

SOURCES = Path(airflow_provider_pushmetrics.__file__).parent
VALUE = "…"
"""What stands for the values in a message."""

MESSAGES = """## Messages

What each class says, from the code; `…` stands for names and numbers.
[Troubleshooting](../how-to/troubleshooting.md) says what to do.

"""


def build_errors() -> str:
    """Build the page."""
    options = (":members:", ":show-inheritance:", ":exclude-members: rebuild_error")
    classes = write_directive("automodule", f"{PACKAGE}.exceptions", *options)
    sections = (
        f"### {name} says\n\n" + "".join(f"- `` {' '.join(one.split())} ``\n" for one in messages)
        for name, messages in collect_messages().items()
    )
    return f"# Errors\n\n{classes}{MESSAGES}" + "\n".join(sections)


def list_classes() -> list[str]:
    """List the names of all classes of errors, a base before the classes that it has."""
    found = {**vars(exceptions), **vars(failures)}
    return [
        name
        for name, one in found.items()
        if isinstance(one, type) and issubclass(one, exceptions.PushMetricsError)
    ]


def collect_messages() -> dict[str, list[str]]:
    """Collect the messages of each class that has one, in the order of the alphabet."""
    found: dict[str, set[str]] = {name: set() for name in list_classes()}
    for path in SOURCES.rglob("*.py"):
        for name, message in find_messages(ast.parse(path.read_text("utf-8"))):
            if name in found and message.strip(f" .:{VALUE}"):
                found[name].add(message)
    return {name: sorted(messages) for name, messages in found.items() if messages}


def find_messages(module: ast.Module) -> Iterator[tuple[str, str]]:
    """Find the calls of a module whose first argument is a text, or a name to which one was assigned."""
    texts = {
        target.id: read_text(node.value)
        for node in ast.walk(module)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            message = node.args[0]
            text = texts.get(message.id, "") if isinstance(message, ast.Name) else read_text(message)
            yield node.func.id, text


def read_text(node: ast.expr) -> str:
    """Read the text of a constant or of an f-string; empty if it is neither."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else VALUE for part in node.values)
    return ""
