"""The files that the Dags save."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow_provider_pushmetrics.exceptions import DemoError


def find_files(folder: Path) -> set[Path]:
    """Find every file below a folder."""
    return {path for path in folder.rglob("*") if path.is_file()}


def find_result(files: set[Path], query_name: str) -> Path:
    """
    Find the file with the result of a query.

    :raises DemoError: if there is none among these.
    """
    for path in sorted(files):
        if path.stem == query_name:
            return path
    names = ", ".join(sorted(path.name for path in files)) or "none"
    raise DemoError(f"the Dag saved no result of query {query_name!r}; the files that it saved: {names}.")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """
    Read the rows of a result saved as JSON or as NDJSON.

    :raises DemoError: if the file holds something else.
    """
    text = path.read_text(encoding="utf-8")
    try:
        if path.suffix == ".json":
            content = json.loads(text)
            rows = content["data"] if isinstance(content, dict) else content
        else:
            rows = [json.loads(line) for line in text.splitlines()]
    except (ValueError, KeyError) as error:
        raise DemoError(f"{str(path)!r} has no rows as JSON: {error}.") from error
    return list(rows)
