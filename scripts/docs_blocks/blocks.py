"""The blocks of code of the pages, and the commands that a page names in its text."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(
    r"(?:^[ ]*<!-- (?P<mark>[^>]*) -->\n)?^(?P<indent>[ ]*)```(?P<language>[^\n]*)\n"
    r"(?P<code>.*?)^(?P=indent)```[ ]*$",
    re.M | re.S,
)
INLINE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Block:
    """
    A block of a page.

    :param page: The page, from the root of the repository.
    :param line: The line of its first line of code.
    :param language: Its language, as the page says.
    :param mark: What a comment in the line before says about it: ``<!-- … -->``.
    :param code: Its text, without indentation.
    """

    page: str
    line: int
    language: str
    mark: str
    code: str

    @property
    def place(self) -> str:
        """Where it is, for a message."""
        return f"{self.page}:{self.line}"


def list_pages() -> list[Path]:
    """List the pages of users and contributors."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def find_blocks(page: str, text: str) -> Iterator[Block]:
    """Find all blocks of a page."""
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start("code")) + 1
        code = textwrap.dedent(found["code"])
        yield Block(page, line, found["language"].strip(), found["mark"] or "", code)


def find_mentions(page: str, text: str) -> Iterator[Block]:
    """Find what a page writes as code inside of its text, each as a block of a line."""
    prose = BLOCK.sub(lambda found: "\n" * found[0].count("\n"), text)
    for found in INLINE.finditer(prose):
        yield Block(page, prose.count("\n", 0, found.start()) + 1, "", "", found[1])
