from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.event_ids import (
    MAX_ID,
    EventIds,
    ResultIds,
    find_query_run_id,
    find_report_run_id,
    find_result_ids,
    read_event_ids,
    read_id,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, 5),
        (0, 0),
        (MAX_ID, MAX_ID),
        ("12", 12),
        ("0012", 12),
        ("9" * 18, 10**18 - 1),
        # The triggers took these before, and no receiver had an event for them.
        (-1, None),
        (MAX_ID + 1, None),
        (2**70, None),
        # Neither took these.
        ("9" * 19, None),
        ("", None),
        (" 12", None),
        ("12\n", None),
        ("-1", None),
        ("\u0663", None),
        (True, None),
        (5.0, None),
        (None, None),
        ([5], None),
    ],
)
def test_an_id_is_a_whole_number_that_the_inbox_can_hold(value: Any, expected: int | None) -> None:
    assert read_id(value) == expected


@pytest.mark.parametrize(
    "url",
    [
        # ``urlsplit``, by which the triggers read before, refuses this host,
        "http://[nonsense]/api/reports/1/run/4",
        "http://[::1/api/reports/1/run/4",
    ],
)
def test_a_run_is_known_by_the_path_whatever_the_host(url: str) -> None:
    assert find_report_run_id(url) == 4


@pytest.mark.parametrize(
    "url",
    [
        # and drops these characters.
        "https://h/api/reports/1/run/4\n",
        "https://h/api/reports/1/run/\t4",
        # A URL that long is in no event of PushMetrics, and is not searched.
        "https://h/" + "a" * 8192 + "/api/reports/1/run/4",
    ],
)
def test_a_run_is_not_read_out_of_a_url_that_is_none(url: str) -> None:
    assert find_report_run_id(url) is None


@pytest.mark.parametrize(
    ("url", "run_id"),
    [
        ("https://pushmetrics.io/api/reports/1/run/42", 42),
        ("https://pushmetrics.io/api/reports/1/run/42/", 42),
        ("https://pushmetrics.io/api/reports/1/run/42?format=csv#top", 42),
        ("https://pushmetrics.io/base/api/reports/aBc12/run/42", 42),
        ("https://pushmetrics.io/api/reports/1/queries/3/reportRun/42", 42),
        ("/api/reports/1/run/42", 42),
        ("https://pushmetrics.io/api/reports/1/run/0042", 42),
        ("https://pushmetrics.io/api/reports/1/run/999999999999999999", 999_999_999_999_999_999),
    ],
)
def test_a_report_run_id_is_found(url: str, run_id: int) -> None:
    assert find_report_run_id(url) == run_id
    assert find_query_run_id(url) is None


def test_report_runs_and_query_runs_are_not_mixed_up() -> None:
    url = "https://pushmetrics.io/api/reports/1/queries/3/run/9"
    assert find_query_run_id(url) == 9
    assert find_report_run_id(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "not a url",
        "http://[::1",
        "https://pushmetrics.io/api/reports/1/run/",
        "https://pushmetrics.io/api/reports/1/run/-4",
        "https://pushmetrics.io/api/reports/1/run/4x",
        "https://pushmetrics.io/api/reports/1/run/٤",
        "https://pushmetrics.io/api/reports/1/run/" + "9" * 19,
        "https://pushmetrics.io/api/reports/1/run/" + "9" * 100_000,
        "https://pushmetrics.io/?next=/api/reports/1/run/4",
        "https://pushmetrics.io/#/api/reports/1/run/4",
        "https://pushmetrics.io/api/reports/1/run/4/extra",
        "https://pushmetrics.io/api/reports//run/4",
        "https://pushmetrics.io/api/reports/1/run/4%0a",
    ],
)
def test_a_url_of_another_shape_has_no_run_id(url: str) -> None:
    assert find_report_run_id(url) is None
    assert find_query_run_id(url) is None


@given(st.text(st.characters(), max_size=80))
def test_no_text_makes_the_search_for_a_run_id_fail(text: str) -> None:
    for url in (text, f"https://host/api/reports/1/run/{text}", f"https://{text}/api/reports/1/run/1"):
        assert find_report_run_id(url) is None or isinstance(find_report_run_id(url), int)
        assert find_query_run_id(url) is None or isinstance(find_query_run_id(url), int)


@pytest.mark.parametrize(
    ("url", "ids"),
    [
        ("https://h/api/reports/1/queries/5/reportRun/7", ResultIds("1", "5", "7")),
        ("https://h/base/api/reports/aBc12/queries/5/run/9/?format=csv", ResultIds("aBc12", "5", "9")),
        ("https://h/api/reports/1/run/7", None),
        ("https://h/api/reports/1/queries/5/run/x", None),
        ("", None),
    ],
)
def test_the_url_of_a_result_names_report_query_and_run(url: str, ids: ResultIds | None) -> None:
    assert find_result_ids(url) == ids


OUTPUTS = "https://h/api/reports/1/run/7"
RESULT = "https://h/api/reports/1/queries/5/run/9"


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ({"report_id": 1, "report_notebook_outputs": OUTPUTS}, EventIds(1, None, 7)),
        ({"report_id": "1", "query_id": 5, "query_result": RESULT}, EventIds(1, 5, 9)),
        ({"report_notebook_outputs": OUTPUTS, "query_result": RESULT}, EventIds(None, None, 7)),
        ({"report_notebook_outputs": "", "query_result": RESULT}, EventIds(None, None, None)),
        ({"report_notebook_outputs": None, "query_result": RESULT}, EventIds(None, None, 9)),
        ({"report_notebook_outputs": RESULT, "query_result": OUTPUTS}, EventIds(None, None, None)),
        ({}, EventIds(None, None, None)),
    ],
)
def test_the_run_is_the_reports_where_an_event_names_outputs(body: dict[str, Any], ids: EventIds) -> None:
    assert read_event_ids(body) == ids
