"""The SQL dialects of databases: literals, quoted names and bound values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from airflow_provider_pushmetrics.service.templates.lexer import Escapes, Lexer
from airflow_provider_pushmetrics.service.templates.values import (
    DUCKDB_VALUES,
    MSSQL_VALUES,
    MYSQL_VALUES,
    NATIVE_VALUES,
    NULL,
    ORACLE_VALUES,
    POSTGRESQL_VALUES,
    SQLITE_VALUES,
    Pieces,
    WriteValue,
    find_kind,
)

ANY_TYPE = "*"


class UnknownDialectError(PushMetricsError):
    """The SQL dialect of a database is not known."""


@dataclass(frozen=True)
class Dialect:
    """
    The SQL of one kind of database.

    :param name: Its name in SQLAlchemy.
    :param title: Its name in messages.
    :param lexer: Finds literals, quoted names and comments.
    :param values: Writes each kind of value.
    :param name_quotes: The characters around a quoted name that this service writes.
    :param known_escapes: The letters of backslash escapes, in addition to those of all dialects.
    :param typed_texts: The SQL of a bound text after the name of a type, as in ``date '…'``, by that name or
        ``ANY_TYPE``; ``{type}`` is replaced with the name.
    :param cast_way_out: What error messages suggest for a type that is not in ``typed_texts``.
    :param interval_way_out: What they suggest for an interval.
    :param words: Keywords that a text literal follows, in addition to those of all dialects.
    :param bare_after: Keywords that only a literal may follow.
    :param brackets_after: Keywords after which a value needs brackets.
    :param own_placeholder: What the driver would read as a placeholder in the author's SQL.
    :param transaction_settings: Statements that make the server read SQL by these rules in a transaction.
    """

    name: str
    title: str
    lexer: Lexer
    values: Mapping[str, WriteValue]
    name_quotes: tuple[str, str] = ('"', '"')
    known_escapes: frozenset[str] = frozenset()
    typed_texts: Mapping[str, str] = field(default_factory=dict)
    cast_way_out: str = "CAST('…' AS {type})"
    interval_way_out: str = "{{ … }} * INTERVAL '1 day'"
    words: frozenset[str] = frozenset()
    bare_after: frozenset[str] = frozenset()
    brackets_after: frozenset[str] = frozenset()
    own_placeholder: re.Pattern[str] | None = None
    transaction_settings: tuple[str, ...] = ()

    def quote_identifier(self, name: Any) -> str:
        """
        Quote each part of a name; the parts are separated by dots, or are the items of a list.

        :raises BlockTemplateError: if it is not a name.
        """
        parts = name.split(".") if isinstance(name, str) else name
        if not isinstance(parts, Sequence) or not parts or not all(map(_is_name, parts)):
            raise BlockTemplateError(
                f"identifier needs a name, such as 'orders' or 'sales.orders', not {name!r:.100}."
            )
        return ".".join(map(self._quote_part, parts))

    def _quote_part(self, part: str) -> str:
        opening, closing = self.name_quotes
        if self.lexer.name_escapes.get(opening) == Escapes.BACKSLASH:
            return opening + part.replace("\\", "\\\\").replace(closing, "\\" + closing) + closing
        if closing in part and self.lexer.name_escapes.get(opening) == Escapes.NONE:
            raise BlockTemplateError(f"{self.title} has no names with {closing}: {part!r:.100}.")
        return opening + part.replace(closing, closing * 2) + closing

    def write_value(self, value: Any) -> Pieces:
        """
        Write a value as a placeholder, with a cast if it needs one; null is written as ``NULL``.

        :raises BlockTemplateError: if this database does not accept the value.
        """
        return NULL if value is None else self.values[find_kind(value)](value)


def _is_name(part: Any) -> bool:
    return isinstance(part, str) and bool(part) and "\x00" not in part and is_encodable(part)


def is_encodable(text: str) -> bool:
    """Tell whether a text can be encoded, which a lone surrogate cannot."""
    return text.isascii() or not any("\ud800" <= one <= "\udfff" for one in text)


def find_dialect(name: str) -> Dialect | None:
    """Find a dialect by its name in SQLAlchemy; None if it is not known."""
    return DIALECTS.get(ALIASES.get(name, name))


def get_dialect(name: str) -> Dialect:
    """
    Get a dialect by its name in SQLAlchemy.

    :raises UnknownDialectError: if it is not known; no value can be sent to such a database.
    """
    dialect = find_dialect(name)
    if dialect is None:
        raise UnknownDialectError(f"there is no SQL dialect {name!r}: use one of {', '.join(DIALECTS)}.")
    return dialect


ALIASES: Mapping[str, str] = {"mariadb": "mysql", "postgres": "postgresql"}

_POSTGRESQL_LEXER = Lexer(
    prefixes={"e": Escapes.BACKSLASH, **dict.fromkeys(("n", "b", "x", "u&"), Escapes.DOUBLED)},
    dollar_quotes="tagged",
    has_nested_comments=True,
)

POSTGRESQL = Dialect(
    "postgresql",
    "PostgreSQL",
    _POSTGRESQL_LEXER,
    POSTGRESQL_VALUES,
    known_escapes=frozenset("bfuU"),
    typed_texts={ANY_TYPE: "CAST(CAST({} AS text) AS {type})"},
    own_placeholder=re.compile(r"(?<![\w$])\$\d"),
    transaction_settings=("SET LOCAL standard_conforming_strings = on",),
)

DUCKDB = Dialect(
    "duckdb",
    "DuckDB",
    replace(_POSTGRESQL_LEXER, name_quotes={'"': '"', "`": "`"}),
    DUCKDB_VALUES,
    known_escapes=frozenset("bfuU"),
    typed_texts={ANY_TYPE: "CAST({} AS {type})"},
    brackets_after=frozenset({"interval"}),
    own_placeholder=re.compile(r"\?|(?<![\w$])\$\w"),
)

SQLITE = Dialect(
    "sqlite",
    "SQLite",
    Lexer(
        name_quotes={'"': '"', "`": "`", "[": "]"},
        name_escapes={"[": Escapes.NONE},
        prefixes={"x": Escapes.DOUBLED},
    ),
    SQLITE_VALUES,
    # In double quotes, SQLite reads an unknown name as a text.
    name_quotes=("`", "`"),
    cast_way_out="{type}('…')",
    interval_way_out="date(d, {{ … }} || ' days')",
    own_placeholder=re.compile(r"\?|(?<![\w$:])[:@$#]\w"),
)

_MYSQL_VERSIONED = (
    re.compile(r"/\*M?!"),
    "the SQL has /*! … */, which MySQL runs or skips by its version: write what it is to run.",
)
_SQL_MODES = ("ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "ANSI", "ORACLE", "MSSQL", "DB2", "MAXDB", "POSTGRESQL")
"""The SQL modes that change how MySQL or MariaDB reads quotes, and the modes that include them."""


def _build_mysql_modes() -> str:
    modes = "CONCAT(',', @@SESSION.sql_mode, ',')"
    for mode in _SQL_MODES:
        modes = f"REPLACE({modes}, ',{mode},', ',')"
    return f"SET SESSION sql_mode = TRIM(BOTH ',' FROM {modes})"


MYSQL = Dialect(
    "mysql",
    "MySQL",
    Lexer(
        text_quotes="'\"",
        text_escapes=Escapes.BACKSLASH,
        name_quotes={"`": "`"},
        prefixes={"n": Escapes.BACKSLASH, "b": Escapes.BACKSLASH, "x": Escapes.BACKSLASH},
        line_comments=("--", "#"),
        dash_needs_blank=True,
        refused=(_MYSQL_VERSIONED,),
    ),
    MYSQL_VALUES,
    name_quotes=("`", "`"),
    known_escapes=frozenset("bZ%_"),
    typed_texts={"date": "DATE {}", "time": "TIME {}", "timestamp": "TIMESTAMP {}"},
    words=frozenset({"interval"}),
    bare_after=frozenset({"separator"}),
    transaction_settings=(_build_mysql_modes(),),
)

MSSQL = Dialect(
    "mssql",
    "SQL Server",
    Lexer(
        name_quotes={'"': '"', "[": "]"},
        prefixes={"n": Escapes.DOUBLED},
        has_nested_comments=True,
    ),
    MSSQL_VALUES,
    name_quotes=("[", "]"),
    interval_way_out="DATEADD(day, {{ … }}, d)",
    transaction_settings=("SET QUOTED_IDENTIFIER ON",),
)

ORACLE = Dialect(
    "oracle",
    "Oracle",
    Lexer(
        name_escapes={'"': Escapes.NONE},
        prefixes={"n": Escapes.DOUBLED},
        has_q_quotes=True,
    ),
    ORACLE_VALUES,
    typed_texts={
        "date": "TO_DATE({}, 'YYYY-MM-DD')",
        "timestamp": "TO_TIMESTAMP({}, 'YYYY-MM-DD HH24:MI:SS.FF')",
    },
    interval_way_out="NUMTODSINTERVAL({{ … }}, 'DAY')",
    own_placeholder=re.compile(r'(?<![\w:]):[\w"]'),
)

SNOWFLAKE = Dialect(
    "snowflake",
    "Snowflake",
    Lexer(
        text_escapes=Escapes.BACKSLASH,
        prefixes={"x": Escapes.BACKSLASH},
        dollar_quotes="bare",
        line_comments=("--", "//"),
    ),
    {**NATIVE_VALUES, "list": SQLITE_VALUES["list"]},
    known_escapes=frozenset("bfu"),
    typed_texts=dict.fromkeys(("date", "time", "timestamp"), "CAST({} AS {type})"),
    interval_way_out="DATEADD(day, {{ … }}, d)",
    own_placeholder=re.compile(r"\?"),
)

BIGQUERY = Dialect(
    "bigquery",
    "BigQuery",
    Lexer(
        text_quotes="'\"",
        text_escapes=Escapes.BACKSLASH,
        name_quotes={"`": "`"},
        name_escapes={"`": Escapes.BACKSLASH},
        prefixes={one: Escapes.BACKSLASH for one in ("b", "r", "rb", "br")},
        line_comments=("--", "#"),
        has_triple_quotes=True,
    ),
    NATIVE_VALUES,
    name_quotes=("`", "`"),
    known_escapes=frozenset("bfuU"),
    typed_texts=dict.fromkeys(("date", "time", "datetime", "timestamp", "numeric"), "CAST({} AS {type})"),
    interval_way_out="INTERVAL {{ … }} DAY",
    own_placeholder=re.compile(r"\?|(?<![\w@])@\w"),
)

DIALECTS: Mapping[str, Dialect] = {
    one.name: one for one in (DUCKDB, SQLITE, POSTGRESQL, MYSQL, MSSQL, ORACLE, SNOWFLAKE, BIGQUERY)
}
