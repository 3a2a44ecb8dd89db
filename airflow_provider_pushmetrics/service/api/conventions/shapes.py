"""The shapes of answers, as Flask-AppBuilder has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def build_list(count: int, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Build the answer of a list."""
    return {"count": count, "ids": [row["id"] for row in rows], "result": list(rows)}


def build_one(row: dict[str, Any]) -> dict[str, Any]:
    """Build the answer that holds one row."""
    return {"id": row["id"], "result": row}
