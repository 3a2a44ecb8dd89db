"""The page with all example Dags."""

from __future__ import annotations

import ast
from pathlib import Path

DAGS = Path(__file__).resolve().parents[3] / "dags"
ABOUT = "The tests run them, on each supported version of Airflow that has what they need."


def build_examples() -> str:
    """Build the page: each file of ``dags/`` with the first line of its docstring."""
    parts = [f"# Example Dags\n\n{ABOUT}\n"]
    for path in sorted(DAGS.glob("*.py")):
        code = path.read_text("utf-8")
        about = (ast.get_docstring(ast.parse(code)) or "").partition("\n\n")[0]
        parts.append(f"\n## `{path.stem}`\n\n{' '.join(about.split())}\n\n```python\n{code}```\n")
    return "".join(parts)
