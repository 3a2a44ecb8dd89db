"""``q`` in Rison or JSON, and what it may ask for."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.api.conventions.listing import ListQuery, parse_list_query


def test_no_query_wants_everything() -> None:
    assert parse_list_query(None) == parse_list_query("") == ListQuery()


def test_rison_of_the_official_client_is_read() -> None:
    query = parse_list_query(
        "(filters:!((col:report,opr:rel_r_nf,value:aB3),(col:created_on,opr:ltd,value:2),"
        "(col:status,opr:eq,value:'it!'s')),page:1,page_size:50)"
    )
    assert query.filters == (
        ("report", "rel_r_nf", "aB3"),
        ("created_on", "ltd", 2),
        ("status", "eq", "it's"),
    )
    assert (query.page, query.page_size) == (1, 50)


def test_json_is_read_too() -> None:
    query = parse_list_query('{"order_column": "id", "order_direction": "desc", "page_size": 5}')
    assert query == ListQuery(order_column="id", is_descending=True, page_size=5)


def test_page_and_size_out_of_range_are_clamped() -> None:
    query = parse_list_query("(page:-1,page_size:0)")
    assert (query.page, query.page_size) == (0, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(", "Not a valid rison/json argument"),
        ("!", "Not a valid rison/json argument"),
        ("'abc!", "Not a valid rison/json argument"),
        ("((a:1):2)", "Not a valid rison/json argument"),
        ("--", "Not a valid rison/json argument"),
        ("!(" * 4000, "Not a valid rison/json argument"),
        ("a" * 10_001, "Not a valid rison/json argument"),
        ("!(1,2)", "Not a valid rison schema"),
        ("(filters:3)", "Not a valid rison schema"),
        ("(filters:!((col:a)))", "Not a valid rison schema: a filter has col, opr and value"),
        ("(page:x)", "Not a valid rison schema: page must be an integer"),
        ("(page:!t)", "Not a valid rison schema"),
        ("(page_size:99999999999999999999)", "Not a valid rison schema"),
        ("(order_column:!(1))", "Not a valid rison schema"),
    ],
    ids=lambda text: text[:20],
)
def test_query_that_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(PushMetricsParameterError, match=message):
        parse_list_query(text)


@given(st.text(alphabet="!()':,-abtfn019. {}[]\"\\", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(PushMetricsParameterError):
        parse_list_query(text)
