"""Checks of the text of a statement before it is sent to a database."""

from __future__ import annotations

import re

import sqlglot
from sqlglot.errors import SqlglotError

from airflow_provider_pushmetrics.service.templates.binding import BoundSql

INTRODUCTION = re.compile(r"(?:\s|--[^\n]*\n|/\*(?![!M]).*?\*/)*\(*\s*([a-z]+)", re.IGNORECASE | re.DOTALL)
"""Blanks, comments that MariaDB does not execute, and brackets before the first word."""

SEMICOLON = "SEMICOLON"
"""What sqlglot calls it; the module of the enumeration is not the same in all its versions."""


def find_first_word(sql: BoundSql) -> str:
    """Find the word by which a statement begins, in capitals; an empty text if there is none."""
    found = INTRODUCTION.match(sql.parts[0])
    return found.group(1).upper() if found else ""


def strip_end(sql: BoundSql, dialect: str) -> BoundSql:
    """
    Take the semicolon away by which a statement ends, with what follows it.

    What cannot be read stays as it is: the database says what is wrong with it.

    :param dialect: Its name for sqlglot.
    """
    last = sql.parts[-1]  # values stand between tokens, so that this part begins with one
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
