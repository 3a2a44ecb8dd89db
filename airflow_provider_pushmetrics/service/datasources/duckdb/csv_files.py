"""
The types of the columns of a CSV file: those in which each of its values stays what it is.

DuckDB guesses types, and its guesses change values: one fraction in a column rounds its long integers,
``01/02/2024`` becomes the first of February or the second of January, ``1E5`` is a number. A guess is taken
here if the texts of the whole column are written as values of that type, and nothing is lost; else numbers
become decimals if they fit, and all other columns are text. ``""`` is the empty text in a column of text, and
null in others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from airflow_provider_pushmetrics.service.datasources.columns.base import quote, quote_text

TEXT = "VARCHAR"
DOUBLE = "DOUBLE"
NUMBERS = ("BIGINT", "HUGEINT", DOUBLE)
EXACT_DIGITS = 15
"""A double holds every decimal number of so many digits."""

MAX_DECIMAL_DIGITS = 38

_WHOLE = r"(0|[1-9]\d*)"
_PLAIN = rf"-?({_WHOLE}(\.\d*)?|\.\d+)"
_SCIENTIFIC = rf"-?({_WHOLE}\.\d*|\.\d+)[eE][+-]?\d+|-?[1-9]\d*[eE][+-]\d+"
"""An exponent without a point needs its sign: ``1E5`` may be the name of something."""

_DATE = r"\d{4}[-/]\d{1,2}[-/]\d{1,2}"
_TIME = r"([01]?\d|2[0-3]):\d{2}(:\d{2}(\.\d{1,6})?)?"

PATTERNS = {
    "BIGINT": rf"-?{_WHOLE}",
    "HUGEINT": rf"-?{_WHOLE}",
    "BOOLEAN": "(?i:true|false)",
    "DATE": _DATE,
    "TIME": rf"{_TIME}|24:00(:00)?",
    "TIMESTAMP": f"{_DATE}([ T]{_TIME})?",
    "TIMESTAMP WITH TIME ZONE": rf"{_DATE}[ T]{_TIME}(Z|[+-]\d{{2}}(:?\d{{2}})?)",
    DOUBLE: f"{_PLAIN}|{_SCIENTIFIC}|NaN|nan|-?Infinity|-?inf",
}
"""How texts are written that a type holds without loss, and that every reader reads as that type."""


@dataclass(frozen=True)
class CsvColumn:
    """
    A column of a file.

    :param type: Its type in DuckDB.
    """

    name: str
    type: str

    def write(self) -> str:
        """Write its value; the file is read as text."""
        if self.type == TEXT:
            return quote(self.name)
        return f"CAST({self.write_text()} AS {self.type}) AS {quote(self.name)}"

    def write_text(self) -> str:
        """Write its text, or null for none, for a column that is not text."""
        return f"nullif(trim({quote(self.name)}), '')"


def write_csv_query(connection: duckdb.DuckDBPyConnection, path: Path) -> str:
    """
    Write the query that reads a CSV file, after reading all of it.

    :raises duckdb.Error: if it cannot be read.
    """
    reader, guessed = _detect(connection, path)
    columns = _find_types(connection, reader, guessed)
    return f"SELECT {', '.join(column.write() for column in columns)} FROM {reader}"  # noqa: S608 (all are quoted)


def _detect(connection: duckdb.DuckDBPyConnection, path: Path) -> tuple[str, list[CsvColumn]]:
    """Let DuckDB find how the file is written, from all of its rows; write how it is read as text."""
    facts = "Delimiter, Quote, Escape, Comment, NewLineDelimiter, SkipRows, HasHeader, Columns"
    file = quote_text(str(path))
    found = connection.execute(f"SELECT {facts} FROM sniff_csv({file}, sample_size = -1)").fetchone()  # noqa: S608 (it is quoted)
    assert found is not None
    *texts, skipped, has_header, columns = found
    names = ("delim", "quote", "escape", "comment", "new_line")
    options = {
        name: quote_text("" if text == "(empty)" else text) for name, text in zip(names, texts, strict=True)
    }
    guessed = [CsvColumn(column["name"], column["type"]) for column in columns]
    types = ", ".join(f"{quote_text(column.name)}: '{TEXT}'" for column in guessed)
    options |= {
        "skip": str(skipped),
        "header": str(has_header).lower(),
        "columns": f"{{{types}}}",
        "auto_detect": "false",
        "allow_quoted_nulls": "false",
    }
    written = ", ".join(f"{name} = {value}" for name, value in options.items())
    return f"read_csv({file}, {written})", guessed


def _find_types(
    connection: duckdb.DuckDBPyConnection, reader: str, guessed: Sequence[CsvColumn]
) -> list[CsvColumn]:
    checked = [column for column in guessed if column.type in PATTERNS]
    facts = [fact for column in checked for fact in _write_facts(column)]
    found = iter(connection.execute(f"SELECT {', '.join(facts) or 'NULL'} FROM {reader}").fetchone() or ())  # noqa: S608 (all are quoted)
    columns = []
    for column in guessed:
        type_ = TEXT
        if column in checked:
            is_kept, are_plain, whole, scale = (next(found) for _ in range(4))
            type_ = column.type if is_kept in (True, None) else _find_decimal(are_plain, whole, scale)
        columns.append(CsvColumn(column.name, type_))
    return columns


def _write_facts(column: CsvColumn) -> tuple[str, str, str, str]:
    """
    Write what decides the type of a column.

    Whether its type holds all values, whether all are plain numbers, and their most digits before and after
    the point.
    """
    text = column.write_text()
    kept = f"regexp_full_match({text}, {quote_text(PATTERNS[column.type])})"
    if column.type not in NUMBERS:
        return f"bool_and({kept})", "false", "0", "0"
    if column.type == DOUBLE:
        kept = f"({kept} AND {_write_is_exact(text)})"
    return (
        f"bool_and({kept})",
        f"bool_and(regexp_full_match({text}, {quote_text(_PLAIN)}))",
        f"max(length(ltrim(split_part({text}, '.', 1), '-')))",
        f"max(length(split_part({text}, '.', 2)))",
    )


def _write_is_exact(text: str) -> str:
    """Write whether a double holds a number: it has few digits, or those that DuckDB writes for it."""
    number = f"TRY_CAST({text} AS DOUBLE)"
    digits = rf"length(ltrim(regexp_replace(regexp_replace({text}, '[eE].*', ''), '\D', '', 'g'), '0'))"
    is_same = f"replace(lower({text}), '+', '') = replace(CAST({number} AS VARCHAR), '+', '')"
    is_in_range = f"isfinite({number}) AND ({number} <> 0 OR {digits} = 0)"
    has_no_digit = rf"NOT regexp_matches({text}, '\d')"
    return f"({has_no_digit} OR ({is_in_range} AND ({digits} <= {EXACT_DIGITS} OR {is_same})))"


def _find_decimal(are_plain: bool | None, whole: int | None, scale: int | None) -> str:
    is_short = (whole or 0) + (scale or 0) <= MAX_DECIMAL_DIGITS
    return f"DECIMAL({MAX_DECIMAL_DIGITS}, {scale or 0})" if are_plain and is_short else TEXT
