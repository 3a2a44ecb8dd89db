"""Strict JSON: without ``NaN`` and ``Infinity``, of limited depth, and only Unicode text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

MAX_DEPTH = 64
"""The maximum depth of a body. Python's parser fails near 1,000, and readers nest it deeper."""


def build_decoder(
    *,
    parse_int: Callable[[str], Any] | None = None,
    parse_float: Callable[[str], Any] | None = None,
) -> json.JSONDecoder:
    """
    Build a decoder that rejects ``NaN``, ``Infinity`` and ``-Infinity`` with a ``ValueError``.

    :param parse_int: Parses an integer; None for ``int``.
    :param parse_float: Parses any other number; None for ``float``.
    """
    return json.JSONDecoder(parse_int=parse_int, parse_float=parse_float, parse_constant=_refuse_constant)


def is_deeper_than(content: Any, limit: int = MAX_DEPTH) -> bool:
    """Return whether lists and objects are nested more than ``limit`` deep."""
    level = [content] if isinstance(content, dict | list) else []
    for _ in range(limit):
        level = [child for node in level for child in _get_children(node) if isinstance(child, dict | list)]
        if not level:
            return False
    return bool(level)


def check_encodable(content: Any) -> None:
    """
    Check that all texts in a content are Unicode; an escape in JSON can be half of a surrogate pair.

    :raises ValueError: if one is not.
    """
    json.dumps(content, ensure_ascii=False).encode("utf-8")


def _get_children(node: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return node.values() if isinstance(node, dict) else node


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
