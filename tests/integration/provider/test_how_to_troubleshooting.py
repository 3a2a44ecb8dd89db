"""Each message that docs/how-to/troubleshooting.md explains is one that the package writes."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from airflow_provider_pushmetrics import exceptions
from airflow_provider_pushmetrics.tasks import failures

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "how-to" / "troubleshooting.md"
FOREIGN = {
    "certificate verify failed",  # OpenSSL's
    "Unable to connect to proxy",  # urllib3's
    "finished with state success, but the task instance's state attribute is running",  # Airflow's
}


def list_messages() -> list[str]:
    """List the messages in the first cells of the page's tables; a quoted ``…`` separates their parts."""
    cells = re.findall(r"^\| (`.*?) \| ", PAGE.read_text("utf-8"), re.M)
    texts = [text for cell in cells for text in re.findall(r"`([^`]+)`", cell) if " " in text]
    return [part for text in texts for part in text.split("'…'")]


def list_texts() -> list[str]:
    """List the texts of the package's code, each with ``…`` for the values in it."""
    found = []
    for path in (ROOT / "airflow_provider_pushmetrics").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
            elif isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
                found.append("".join(map(str, parts)))
    return found


TEXTS = list_texts()
BASES = {"PushMetricsError", "NotificationError"}
"""Classes that are raised only by their subclasses."""


def test_the_page_explains_every_class_of_error_and_no_other() -> None:
    found = [*vars(exceptions).values(), *vars(failures).values()]
    classes = {
        one.__name__
        for one in found
        if isinstance(one, type) and issubclass(one, exceptions.PushMetricsError)
    }
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", PAGE.read_text("utf-8"), re.M)
    explained = {name for cell in rows for name in re.findall(r"`(\w+)`", cell)}
    assert explained == classes - BASES


def test_the_page_has_messages() -> None:
    assert len(list_messages()) > 25


@pytest.mark.parametrize("message", list_messages())
def test_each_message_is_one_of_the_package(message: str) -> None:
    assert message in FOREIGN or any(message in text for text in TEXTS)
