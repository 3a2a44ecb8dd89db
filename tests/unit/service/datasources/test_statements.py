"""Questions about the text of SQL."""

from __future__ import annotations

import pytest

from airflow_provider_pushmetrics.service.datasources.statements import find_first_word, strip_end
from airflow_provider_pushmetrics.service.templates.binding import BoundSql


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("select 1", "SELECT"),
        ("  -- x\n /* y */ ((select 1))", "SELECT"),
        ("/*! kill 1 */", ""),
        ("/*M! kill 1 */ select 1", ""),
        ("", ""),
        ("1", ""),
        ("/* a */ 1 /* b */ select 1", ""),
        # Exponential time would never end, quadratic time would be hours.
        ("/**/" * 100_000 + "1", ""),
        ("--\n" * 100_000 + "1", ""),
        (" " * 1_000_000 + "1", ""),
        (" " * 1_000_000 + "select 1", "SELECT"),
    ],
    ids=range(11),
)
def test_first_word_is_found_behind_blanks_comments_and_brackets(sql: str, word: str) -> None:
    assert find_first_word(BoundSql((sql,), ())) == word


@pytest.mark.parametrize(
    ("sql", "stripped"),
    [
        ("select 1;", "select 1"),
        ("select 1 ; ; -- end;", "select 1 "),
        ("select ';'", "select ';'"),
        ("select 1; select 2", "select 1; select 2"),
        ("select 'never closed;", "select 'never closed;"),
    ],
)
def test_only_a_semicolon_at_the_end_is_taken_away(sql: str, stripped: str) -> None:
    assert strip_end(BoundSql((sql,), ()), "postgres").parts == (stripped,)


def test_semicolon_behind_a_value_is_taken_away() -> None:
    assert strip_end(BoundSql(("select ", " as v;"), (1,)), "postgres").parts == ("select ", " as v")
