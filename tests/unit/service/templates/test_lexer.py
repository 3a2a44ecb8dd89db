"""That SQL is read by each database's own rules, and that nothing is sent where these leave a doubt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot.dialects import Dialect as SqlglotDialect
from sqlglot.errors import TokenError

from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from airflow_provider_pushmetrics.service.templates.dialects import DIALECTS, get_dialect
from airflow_provider_pushmetrics.service.templates.lexer import Kind


def read(dialect: str, sql: str) -> list[tuple[str, str]]:
    """Read the tokens of SQL: their kind and how they are written."""
    return [
        (token.kind.value, sql[token.start : token.end]) for token in get_dialect(dialect).lexer.scan(sql)
    ]


ALL = tuple(DIALECTS)
TAKES_BACKSLASHES = ("mysql", "snowflake", "bigquery")
NESTS_COMMENTS = ("duckdb", "postgresql", "mssql")


@pytest.mark.parametrize("dialect", ALL)
@pytest.mark.parametrize(
    ("sql", "tokens"),
    [
        ("select 'a', b", [("text", "'a'")]),
        ("select 'it''s' , 'b'", [("text", "'it''s'"), ("text", "'b'")]),
        ("select 1 -- it's\n, 'a'", [("comment", "-- it's"), ("text", "'a'")]),
        ("select /* it's */ 'a'", [("comment", "/* it's */"), ("text", "'a'")]),
        ("select '-- a' , '/* b'", [("text", "'-- a'"), ("text", "'/* b'")]),
        ("select 1 -- 'a", [("comment", "-- 'a")]),
        ("select ''", [("text", "''")]),
    ],
)
def test_what_all_databases_read_alike(dialect: str, sql: str, tokens: list[tuple[str, str]]) -> None:
    if dialect == "bigquery" and "''" in sql:
        return  # which has texts in three quotes, and none with doubled ones
    assert read(dialect, sql) == tokens


@pytest.mark.parametrize("dialect", NESTS_COMMENTS)
def test_comment_in_a_comment_is_closed_by_itself(dialect: str) -> None:
    sql = "/* a /* b */ 'c' */ 'd'"
    assert read(dialect, sql) == [("comment", "/* a /* b */ 'c' */"), ("text", "'d'")]
    with pytest.raises(BlockTemplateError, match=r"unclosed /\*"):
        read(dialect, "/* a /* b */ 'c'")


@pytest.mark.parametrize("dialect", sorted(set(ALL) - set(NESTS_COMMENTS)))
def test_comment_in_a_comment_closes_both_in_other_databases(dialect: str) -> None:
    assert read(dialect, "/* a /* b */ 'c'") == [("comment", "/* a /* b */"), ("text", "'c'")]
    assert read(dialect, "/*/*/ 'c'") == [("comment", "/*/*/"), ("text", "'c'")]


@pytest.mark.parametrize("dialect", TAKES_BACKSLASHES)
def test_backslash_keeps_a_quote_in_its_text(dialect: str) -> None:
    assert read(dialect, r"'a\'b' , 'c'") == [("text", r"'a\'b'"), ("text", "'c'")]
    assert read(dialect, r"'a\\' , 'c'") == [("text", r"'a\\'"), ("text", "'c'")]


@pytest.mark.parametrize("dialect", sorted(set(ALL) - set(TAKES_BACKSLASHES)))
def test_backslash_is_a_character_in_other_databases(dialect: str) -> None:
    assert read(dialect, r"'a\' , 'c'") == [("text", r"'a\'"), ("text", "'c'")]


@pytest.mark.parametrize(
    ("dialect", "sql", "tokens"),
    [
        ("postgresql", r"E'a\'b' , e'c\\'", [("text", r"E'a\'b'"), ("text", r"e'c\\'")]),
        ("duckdb", r"E'a\'b'", [("text", r"E'a\'b'")]),
        ("postgresql", r"nameE'a\'", [("text", r"'a\'")]),
        ("postgresql", "$$ it's $$ , 'a'", [("text", "$$ it's $$"), ("text", "'a'")]),
        ("postgresql", "$t$ $$ $x$ ' $t$", [("text", "$t$ $$ $x$ ' $t$")]),
        ("duckdb", "$t$ ' $t$", [("text", "$t$ ' $t$")]),
        ("postgresql", "a$b$c , 'x' , a$b$", [("text", "'x'")]),
        ("snowflake", "$$ it's $$ // it's\n", [("text", "$$ it's $$"), ("comment", "// it's")]),
        ("postgresql", "U&'a' , u&'b'", [("text", "U&'a'"), ("text", "u&'b'")]),
        ("mysql", "'a' # it's\n", [("text", "'a'"), ("comment", "# it's")]),
        ("bigquery", "'a' # it's\n", [("text", "'a'"), ("comment", "# it's")]),
        ("postgresql", "data #> 'a'", [("text", "'a'")]),
        ("mysql", "5--1 , --'a'", [("text", "'a'")]),
        (
            "mysql",
            "5 -- 'a'\n--\t'b'\n--",
            [("comment", "-- 'a'"), ("comment", "--\t'b'"), ("comment", "--")],
        ),
        ("postgresql", "5--'a'", [("comment", "--'a'")]),
        ("mysql", "\"it's\" , `it's`", [("text", '"it\'s"'), ("quoted name", "`it's`")]),
        ("postgresql", '"it\'s" , "a""b"', [("quoted name", '"it\'s"'), ("quoted name", '"a""b"')]),
        ("postgresql", "a[1:'2']", [("text", "'2'")]),
        (
            "sqlite",
            "[it's] , `it's` , \"it's\"",
            [("quoted name", "[it's]"), ("quoted name", "`it's`"), ("quoted name", '"it\'s"')],
        ),
        ("mssql", "[it's a]]b] , N'a'", [("quoted name", "[it's a]]b]"), ("text", "N'a'")]),
        (
            "oracle",
            "q'[it's]' , nq'{it's}' , Q'!a'b!'",
            [("text", "q'[it's]'"), ("text", "nq'{it's}'"), ("text", "Q'!a'b!'")],
        ),
        (
            "bigquery",
            r"`a\`b` , r'\'' , '''it's''' , 'a'",
            [("quoted name", r"`a\`b`"), ("text", r"r'\''"), ("text", "'''it's'''"), ("text", "'a'")],
        ),
    ],
)
def test_what_one_database_reads_in_its_own_way(
    dialect: str, sql: str, tokens: list[tuple[str, str]]
) -> None:
    assert read(dialect, sql) == tokens


@pytest.mark.parametrize("dialect", ALL)
@pytest.mark.parametrize("sql", ["select 'a", "select 'a''", "select /* a", "select \x00", 'select "a'])
def test_sql_that_leaves_something_open_is_refused(dialect: str, sql: str) -> None:
    if sql.endswith('"a') and '"' not in {
        *get_dialect(dialect).lexer.name_quotes,
        *get_dialect(dialect).lexer.text_quotes,
    }:
        return
    with pytest.raises(BlockTemplateError, match=r"unclosed|NUL"):
        read(dialect, sql)


@pytest.mark.parametrize(
    ("dialect", "sql", "way_out"),
    [
        ("mysql", "select /*!50000 1 */", "write what it is to run"),
        ("mysql", "select /*M!100000 1 */", "write what it is to run"),
        ("postgresql", "select 1E'a'", "put a space before the quote"),
        ("duckdb", "select \u00a0E'a'", "put a space before the quote"),
        ("postgresql", "select 1$$a$$", "put a space before the dollar"),
    ],
)
def test_sql_that_is_read_in_two_ways_is_refused(dialect: str, sql: str, way_out: str) -> None:
    with pytest.raises(BlockTemplateError, match=way_out):
        read(dialect, sql)


SQLGLOT_NAMES = {"postgresql": "postgres", "mssql": "tsql"}
SQLGLOT_TEXTS = ["STRING", "NATIONAL_STRING", "BYTE_STRING", "RAW_STRING", "HEREDOC_STRING"]
SQLGLOT_TEXTS += ["NATIONAL_RAW_STRING"]
SQLGLOT_KINDS = {**dict.fromkeys(SQLGLOT_TEXTS, Kind.TEXT), "IDENTIFIER": Kind.NAME}
PARTS = ["'", "''", '"', "`", "\\", "a", " ", "b ", "\n"]
PARTS += ["-- ", "/* ", " */", "# ", "$$", "$t$", " E'", " N'", ","]


@pytest.mark.parametrize("dialect", ["postgresql", "mysql", "sqlite", "duckdb", "mssql", "snowflake"])
@given(st.lists(st.sampled_from(PARTS), max_size=12).map("".join))
def test_sqlglot_reads_the_same_literals_and_names(dialect: str, sql: str) -> None:
    if dialect == "duckdb":
        sql = sql.replace("`", "")  # which quote names since DuckDB 2
    try:
        ours = read(dialect, sql)
    except BlockTemplateError:
        return  # refusing is never wrong
    try:
        theirs = SqlglotDialect.get_or_raise(SQLGLOT_NAMES.get(dialect, dialect)).tokenize(sql)
    except TokenError:
        return
    kinds = [(SQLGLOT_KINDS.get(token.token_type.name), sql[token.start : token.end + 1]) for token in theirs]
    # SQLite and Snowflake have no N'…', which sqlglot knows in every dialect.
    assert [(kind, text.lstrip("NE")) for kind, text in ours if kind != Kind.COMMENT] == [
        (kind.value, text.lstrip("NE")) for kind, text in kinds if kind is not None
    ]
