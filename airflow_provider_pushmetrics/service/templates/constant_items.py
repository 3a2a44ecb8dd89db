"""
Find a bound value where SQL lists columns: in ORDER BY, GROUP BY, PARTITION BY and DISTINCT ON.

A database reads such a value as a constant: it sorts by nothing, and reports no error. Only an item of the
list without any name is found; ``case when a = {{ x }} then …`` has one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from airflow_provider_pushmetrics.service.templates.lexer import MARK, Kind, Token

UNIT = re.compile(r"[A-Za-z_\x80-\U0010ffff][\w$]*|\d[\w.]*|::|\S")

BEFORE_BY = frozenset({"order", "group", "partition", "siblings"})

# fmt: off
ENDS = frozenset(
    {
        "except", "fetch", "for", "group", "groups", "having", "intersect", "into", "limit", "lock", "minus",
        "offset", "option", "order", "partition", "qualify", "range", "rows", "separator", "union", "window",
        "with",
    }
)
"""Words that end a list of columns, unless they begin an item of it."""

KEYWORDS = frozenset(
    {
        "and", "asc", "between", "case", "desc", "distinct", "else", "end", "escape", "false", "ilike", "in",
        "is", "like", "not", "null", "nulls", "or", "then", "true", "when",
    }
)
"""Words of an expression that are no names."""
# fmt: on

# fmt: off
FUNCTIONS = frozenset(
    {
        "abs", "cast", "coalesce", "cube", "ifnull", "lower", "nullif", "rollup", "safe_cast", "sets", "trim",
        "try_cast", "upper",
    }
)
# fmt: on
"""Functions that give the same for the same values; others, such as ``rand({{ seed }})``, may differ."""

TYPE_ENDS = frozenset({"precision", "time", "varying", "with", "without", "zone"})
"""Further words of a type, as in ``double precision``."""

NAMES_NEXT = frozenset({"as", "::", "collate"})
"""What a type or a collation follows."""


class ConstantItemError(BlockTemplateError):
    """A value is where SQL expects a column."""


@dataclass(frozen=True)
class _Unit:
    """A word or a character of SQL, or a token; in lower case."""

    text: str
    kind: Kind | None = None
    has_value: bool = False

    @property
    def is_word(self) -> bool:
        return self.kind is None and (self.text[0].isalpha() or self.text[0] == "_")


@dataclass
class _Item:
    is_empty: bool = True
    has_value: bool = False
    has_name: bool = False


@dataclass
class _Level:
    """
    What is between two brackets.

    :param clause: The list of columns that is being read.
    :param item: The item that is being read.
    :param has_name: Whether an item before it has a name.
    """

    clause: str = ""
    item: _Item = field(default_factory=_Item)
    has_name: bool = False

    def end_item(self) -> None:
        if self.clause and self.item.has_value and not self.item.has_name:
            raise ConstantItemError(
                f"a {{{{ … }}}} after {self.clause.upper()} is a value, not the name of a column, and has no"
                " effect: write {{ name | identifier }}, or remove it."
            )
        self.has_name |= self.item.has_name
        self.item = _Item()


def refuse_constant_items(sql: str, tokens: Sequence[Token], is_value: Callable[[int], bool]) -> None:
    """
    Refuse values in place of columns.

    :param tokens: The tokens of the SQL.
    :param is_value: Tells whether the mark of this number is a value, not a name.
    :raises ConstantItemError: for the first one.
    """
    units = list(_split(sql, tokens, is_value))
    levels = [_Level()]
    for index, unit in enumerate(units):
        before = units[index - 1] if index else _Unit(" ")
        level = levels[-1]
        if unit.text in ("(", "[", "{"):
            is_list = before.text == "on" and index > 1 and units[index - 2].text == "distinct"
            levels.append(_Level("distinct on" if is_list else ""))
        elif unit.text in (")", "]", "}"):
            if len(levels) > 1:
                _close(levels)
        elif unit.text == "by" and before.text in BEFORE_BY:
            level.end_item()
            level.clause = f"{before.text} by"
        elif unit.text == ";" or (
            unit.text in ENDS and not level.item.is_empty and not _is_type(units, index)
        ):
            level.end_item()
            level.clause = ""
        elif unit.text == "," and level.clause:
            level.end_item()
        else:
            _add(level.item, units, index)
    for level in levels:
        level.end_item()


def _split(sql: str, tokens: Sequence[Token], is_value: Callable[[int], bool]) -> Iterator[_Unit]:
    position = 0
    for token in tokens:
        yield from (_Unit(unit.lower()) for unit in UNIT.findall(sql, position, token.start))
        position = token.end
        if token.kind != Kind.COMMENT:
            marks = MARK.findall(sql[token.start : token.end])
            yield _Unit(" ", token.kind, any(is_value(int(mark)) for mark in marks))
    yield from (_Unit(unit.lower()) for unit in UNIT.findall(sql, position))


def _close(levels: list[_Level]) -> None:
    """End a level; its names and values belong to the item around it."""
    level = levels.pop()
    inner = level.item
    level.end_item()
    outer = levels[-1].item
    outer.is_empty = False
    outer.has_value |= inner.has_value
    outer.has_name |= level.has_name


def _add(item: _Item, units: Sequence[_Unit], index: int) -> None:
    unit = units[index]
    item.is_empty = False
    item.has_value |= unit.has_value
    is_mark_of_a_name = unit.kind == Kind.MARK and not unit.has_value
    item.has_name |= is_mark_of_a_name or _is_name(units, index)


def _is_name(units: Sequence[_Unit], index: int) -> bool:
    """Tell whether a unit may be the name of a column, or of a function whose value may differ."""
    unit, before = units[index], units[index - 1].text if index else ""
    if unit.kind == Kind.NAME:
        return before != "collate"
    if not unit.is_word or unit.text in KEYWORDS or unit.text in NAMES_NEXT or _is_type(units, index):
        return False
    if before == "nulls" and unit.text in ("first", "last"):
        return False
    after = units[index + 1] if index + 1 < len(units) else _Unit(" ")
    if after.text == "(":
        return unit.text not in FUNCTIONS
    return after.kind != Kind.TEXT  # the name of a type, as in date '…'


def _is_end(units: Sequence[_Unit], index: int) -> bool:
    return units[index].text in ENDS and not _is_type(units, index)


def _is_type(units: Sequence[_Unit], index: int) -> bool:
    """Tell whether a word is of the name of a type, after ``as`` or ``::``, or of a collation."""
    first = index
    while first and units[first].text in TYPE_ENDS:
        first -= 1
    return any(units[at].text in NAMES_NEXT for at in range(max(first - 1, 0), index)[:2])
