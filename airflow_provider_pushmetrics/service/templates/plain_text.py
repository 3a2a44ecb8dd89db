"""HTML as readable plain text: the part of a mail for programs that do not show HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TypeAlias

MAX_HTML_DEPTH = 64
"""HTML that is nested deeper is written as its words only."""

MAX_CELL_WIDTH = 200
"""The width to which cells are aligned; a longer one is written whole."""
RULE = "-" * 40

SPACE = re.compile(r"[ \t\r\n\f]+")
VOID_TAGS = frozenset({"br", "col", "hr", "img"})
HIDDEN_TAGS = frozenset({"style", "script", "head", "title"})
HEADINGS = {"h1": "=", "h2": "-"}
PARAGRAPHS = frozenset(
    {"blockquote", "dl", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "ol", "p", "pre", "table", "ul"}
)
"""Elements with an empty line before and after them."""
BLOCKS = PARAGRAPHS | {
    "article", "caption", "center", "dd", "div", "dt", "footer", "header", "li", "section", "tbody", "td",
    "tfoot", "th", "thead", "tr",
}  # fmt: skip


@dataclass
class Node:
    """An element with its children in order, which are elements and texts."""

    tag: str
    attributes: dict[str, str]
    children: list[Child] = field(default_factory=list)


Child: TypeAlias = "Node | str"


def write_plain_text(html: str) -> str:
    """
    Write HTML as text: links with their addresses, lists, tables with aligned columns.

    :param html: Sanitized HTML.
    """
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = _split_lines("".join(reader.words)) if reader.is_too_deep else _write_flow(reader.root.children)
    return "\n".join(line.rstrip() for line in _trim(lines)) + "\n"


def write_table(rows: Sequence[Sequence[str]], is_right: Sequence[bool]) -> list[str]:
    """
    Write rows as lines with aligned columns.

    :param is_right: Which columns are aligned right, as numbers are.
    """
    count = max((len(row) for row in rows), default=0)
    cells = [[*row, *[""] * (count - len(row))] for row in rows]
    widths = [min(max(len(row[column]) for row in cells), MAX_CELL_WIDTH) for column in range(count)]
    sides = [*is_right, *[False] * count]
    return [
        "  ".join(
            cell.rjust(width) if side else cell.ljust(width)
            for cell, width, side in zip(row, widths, sides, strict=False)
        ).rstrip()
        for row in cells
    ]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("", {})
        self.words: list[str] = []
        self.is_too_deep = False
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs})
        self.words.append("\n" if tag in BLOCKS or tag == "br" else "")
        self._open[-1].children.append(node)
        if len(self._open) >= MAX_HTML_DEPTH:
            self.is_too_deep = True
        elif tag not in VOID_TAGS:
            self._open.append(node)

    def handle_endtag(self, tag: str) -> None:
        if any(node.tag == tag for node in self._open[1:]):
            while self._open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        self.words.append("" if self._open[-1].tag in HIDDEN_TAGS else data)
        self._open[-1].children.append(data)


def _write_flow(children: Iterable[Child], *, is_tight: bool = False) -> list[str]:
    """
    Write blocks below each other, and the text between them as lines.

    :param is_tight: Write no empty lines between them.
    """
    lines: list[str] = []
    text = ""
    for child in children:
        if isinstance(child, Node) and child.tag in BLOCKS:
            lines += _split_lines(text)
            text = ""
            block = _write_block(child)
            lines += ["", *block, ""] if child.tag in PARAGRAPHS and not is_tight else block
        else:
            text += _write_inline(child)
    lines += _split_lines(text)
    return _trim(lines)


def _write_block(node: Node) -> list[str]:
    match node.tag:
        case "hr":
            return [RULE]
        case "pre":
            return _collect_text(node).strip("\n").split("\n")
        case "blockquote":
            return [f"> {line}" for line in _write_flow(node.children)]
        case "ul" | "ol":
            return _write_list(node)
        case "table":
            return _write_table_node(node)
    lines = _write_flow(node.children)
    if node.tag in HEADINGS and lines:
        lines.append(HEADINGS[node.tag] * min(max(map(len, lines)), 72))
    return lines


def _write_list(node: Node) -> list[str]:
    lines: list[str] = []
    start = node.attributes.get("start", "")
    number = int(start) if start.isascii() and start.isdigit() and len(start) < 7 else 1
    for item in node.children:
        if isinstance(item, str):
            lines += _split_lines(item)
            continue
        mark = f"{number}. " if node.tag == "ol" else "- "
        number += 1
        first, *others = _write_flow(item.children, is_tight=True) or [""]
        lines += [mark + first, *(" " * len(mark) + line for line in others)]
    return lines


def _write_table_node(node: Node) -> list[str]:
    rows = list(_find_all(node, "tr"))
    cells = [[cell for cell in row.children if isinstance(cell, Node)] for row in rows]
    captions = [line for caption in _find_all(node, "caption") for line in _write_flow(caption.children)]
    is_layout = any(True for row in rows for _ in _find_all(row, "table"))
    if is_layout or max(map(len, cells), default=0) < 2:
        return captions + [line for row in cells for cell in row for line in _write_flow(cell.children)]
    texts = [[" ".join(_write_flow(cell.children)) for cell in row] for row in cells]
    is_right = [cell.attributes.get("align") == "right" for cell in max(cells, key=len)]
    lines = write_table(texts, is_right)
    if cells[0] and all(cell.tag == "th" for cell in cells[0]):
        lines.insert(1, "-" * max(map(len, lines)))
    return captions + lines


def _find_all(node: Node, tag: str) -> Iterator[Node]:
    """Find descendants with a tag, without those in a nested table."""
    for child in node.children:
        if isinstance(child, Node):
            if child.tag == tag:
                yield child
            elif child.tag != "table":
                yield from _find_all(child, tag)


def _write_inline(child: Child) -> str:
    if isinstance(child, str):
        return SPACE.sub(" ", child)
    if child.tag in HIDDEN_TAGS:
        return ""
    if child.tag == "br":
        return "\n"
    if child.tag == "img":
        return f"[{alt}]" if (alt := child.attributes.get("alt", "")) else ""
    text = "".join(map(_write_inline, child.children))
    if child.tag in BLOCKS:
        return f"\n{text}\n"
    address = child.attributes.get("href", "")
    if child.tag == "a" and address and text.strip() not in (address, address.removeprefix("mailto:")):
        return f"{text} ({address})"
    return text


def _collect_text(child: Child) -> str:
    if isinstance(child, str):
        return child
    return "\n" if child.tag == "br" else "".join(map(_collect_text, child.children))


def _split_lines(text: str) -> list[str]:
    """Split at line breaks; spaces between blocks are not a line."""
    if not text.strip():
        return []
    return [SPACE.sub(" ", line).strip() for line in text.strip().split("\n")]


def _trim(lines: list[str]) -> list[str]:
    """Remove empty lines at both ends, and all but one of several."""
    kept: list[str] = []
    for line in lines:
        if line.strip() or (kept and kept[-1].strip()):
            kept.append(line)
    while kept and not kept[-1].strip():
        kept.pop()
    return kept
