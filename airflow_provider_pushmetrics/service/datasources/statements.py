"""Checks of the text of a statement before it is sent to a database."""

from __future__ import annotations

import re

import sqlglot
from sqlglot.errors import SqlglotError

from airflow_provider_pushmetrics.service.templates.binding import BoundSql

INTRODUCTION = re.compile(r"(?>\s|--[^\n]*\n|/\*(?![!M]).*?\*/)*+\(*+\s*+([a-z]+)", re.IGNORECASE | re.DOTALL)
"""Blanks, comments that MariaDB does not execute, and brackets before the first word."""

SEMICOLON = "SEMICOLON"
"""Its name in sqlglot; the module of the enumeration differs between versions."""


def find_first_word(sql: BoundSql) -> str:
    """Find the first word of a statement, in capitals; empty if there is none."""
    found = INTRODUCTION.match(sql.parts[0])
    return found.group(1).upper() if found else ""


def strip_end(sql: BoundSql, dialect: str) -> BoundSql:
    """
    Remove a trailing semicolon, with everything after it.

    SQL that cannot be parsed is unchanged: the database reports the error.

    :param dialect: The dialect's name in sqlglot.
    """
    last = sql.parts[-1]  # values are between tokens, so this part begins with one
    if ";" not in last:
        return sql
    try:
        tokens = sqlglot.tokenize(last, read=dialect)
    except SqlglotError:
        return sql
    end = len(last)
    while tokens and tokens[-1].token_type.name == SEMICOLON:
        end = tokens.pop().start
    return BoundSql((*sql.parts[:-1], last[:end]), sql.values)
