"""Tables and texts in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def build_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Build a table; a cell is one line."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(escape_cell(cell) for cell in line)} |\n" for line in lines) + "\n"


def escape_cell(text: str) -> str:
    """Put a text into one line, without the sign that ends a cell."""
    return " ".join(text.split()).replace("|", "\\|")


def write_code(text: str) -> str:
    """Write a text as code in a line; empty if it is."""
    return f"`{text}`" if text else ""


def escape_text(text: str) -> str:
    """Escape what a plain text has by chance and Markdown would read as HTML or emphasis; code stays."""
    parts = re.split(r"(``.*?``|`[^`]*`)", text)
    parts[::2] = [re.sub(r"([<\[*_])", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)
