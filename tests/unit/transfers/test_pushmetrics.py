from __future__ import annotations

import logging
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.client.models import QueryOutcome
from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.transfers.digest import BackgroundDigest
from airflow_provider_pushmetrics.transfers.pushmetrics import (
    Progress,
    PushMetricsToObjectStorageOperator,
    choose_queries,
    name_files,
)

CONTEXT: Any = {}


def build_query(query_id: int, name: str | None) -> QueryOutcome:
    return QueryOutcome(query_id=query_id, query_name=name, query_result="https://h/x")


@pytest.mark.parametrize("kwargs", [{}, {"report_run": {}, "query_result": "https://h/x"}])
def test_what_is_to_be_saved_must_be_said_once(kwargs: dict[str, Any]) -> None:
    operator = PushMetricsToObjectStorageOperator(task_id="a_task", path="x", **kwargs)
    with pytest.raises(PushMetricsParameterError, match="exactly one of report_run and query_result"):
        operator.execute(CONTEXT)


def test_a_format_that_nobody_knows_is_refused_when_the_dag_is_read() -> None:
    with pytest.raises(
        PushMetricsParameterError,
        match="file_format is 'pdf': it must be one of json, ndjson, csv, arrow, parquet, xlsx",
    ):
        PushMetricsToObjectStorageOperator(task_id="a_task", path="x", file_format="pdf")


@pytest.mark.parametrize(
    ("names", "files"),
    [
        (["by_carrier", "by day"], ["by_carrier", "by day"]),
        (["same", "same", "other"], ["same-1", "same-2", "other"]),
        (["../../escaped", "a/b", "/etc/passwd"], ["%2F..%2Fescaped", "a%2Fb", "%2Fetc%2Fpasswd"]),
        ([None, "", "..", "."], ["query-1", "query-2", "query-3", "query-4"]),
        (["x" * 300], ["x" * 100]),
        (["x", "x", "x-1"], ["x-1-", "x-2", "x-1"]),
        (["x-3", "x", "x", "x-3"], ["x-3-1", "x-2", "x-3", "x-3-4"]),
        (["Sales", "sales"], ["Sales-1", "sales-2"]),
    ],
)
def test_files_are_named_after_queries_inside_of_the_folder(names: list[Any], files: list[str]) -> None:
    queries = [build_query(number, name) for number, name in enumerate(names, 1)]
    assert [name for _, name in name_files(queries)] == files


@given(st.lists(st.sampled_from(["x", "X", "x-1", "x-2", "x-3", "x-1-", "", None])))
def test_no_two_queries_have_the_same_file(names: list[str | None]) -> None:
    files = [
        file.casefold() for _, file in name_files([build_query(n, name) for n, name in enumerate(names, 1)])
    ]
    assert len(set(files)) == len(files)


def test_queries_are_chosen_by_name() -> None:
    queries = [build_query(1, "a"), build_query(2, "b")]
    assert choose_queries(queries, None) == queries
    assert choose_queries(queries, ["b"]) == choose_queries(queries, "b") == queries[1:]


def test_no_names_of_queries_are_an_error_and_not_all_or_none_of_them() -> None:
    with pytest.raises(PushMetricsParameterError, match="queries is empty"):
        choose_queries([build_query(1, "a")], [])


@pytest.mark.parametrize("text", ["", "None", " "])
def test_a_url_whose_template_gave_nothing_is_an_error(text: str) -> None:
    operator = PushMetricsToObjectStorageOperator(task_id="a_task", path="x", query_result=text)
    with pytest.raises(PushMetricsParameterError, match="its template rendered to nothing"):
        operator.execute(CONTEXT)


def test_a_query_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(PushMetricsParameterError, match=r"no query 'c'; it has 'a'"):
        choose_queries([build_query(1, "a")], ["a", "c"])


def test_the_log_tells_how_far_a_file_is(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), BackgroundDigest() as digest:
        Progress("file.csv", digest, told_at=-math.inf).observe(b"x" * 2**20)
    assert "file.csv: 1 MiB so far" in caplog.text
