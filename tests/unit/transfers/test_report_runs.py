from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.transfers.report_runs import read_run

OUTPUTS = "https://h/api/reports/1/run/7"
QUERY = {"query_id": 2, "query_name": "q", "query_result": "https://h/q"}
BODY = {"event": "report.run", "report_id": 1, "report_notebook_outputs": OUTPUTS, "queries": []}


@pytest.mark.parametrize(
    "report_run",
    [
        BODY,
        {"id": 3, "source": "demo", "received_at": "2026", "body": BODY},
        {"report_id": "1", "run_id": 7, "outputs_url": OUTPUTS, "queries": [QUERY]},
    ],
    ids=["body", "event", "operator"],
)
def test_a_run_is_named_by_the_url_of_its_outputs(report_run: dict[str, Any]) -> None:
    assert read_run(report_run).outputs_url == OUTPUTS


def test_a_run_that_was_not_waited_for_is_named_by_its_numbers() -> None:
    accepted = {"report_id": "1", "run_id": 7, "status": None, "outputs_url": None, "queries": []}
    assert read_run(accepted).run == ("1", 7)


@pytest.mark.parametrize("wraps", [False, True])
def test_a_query_that_ran_by_itself_names_its_result(wraps: bool) -> None:
    body = {"event": "query.run", "report_id": 1, **QUERY}
    (query,) = read_run({"id": 3, "body": body} if wraps else body).queries
    assert (query.query_id, query.query_name, query.query_result) == (2, "q", "https://h/q")


def test_queries_name_their_results_where_there_is_no_url_of_a_run() -> None:
    assert len(read_run({"queries": [QUERY, QUERY]}).queries) == 2


@pytest.mark.parametrize(
    "report_run",
    [{}, {"id": 3, "body": {"event": "report.created", "report_id": 1}}, {"rows": 3}, {"run_id": 7}],
)
def test_a_dictionary_that_names_no_run_and_no_query_is_refused_with_its_keys(
    report_run: dict[str, Any],
) -> None:
    with pytest.raises(PushMetricsParameterError, match=r"names no run and no query; its keys are"):
        read_run(report_run)


@pytest.mark.parametrize("report_run", ["{'run_id': 7}", ["x"], 7])
def test_what_is_no_dictionary_is_refused_with_the_way_out(report_run: Any) -> None:
    with pytest.raises(PushMetricsParameterError, match=r"not a dictionary.*render_template_as_native_obj"):
        read_run(report_run)


@pytest.mark.parametrize("queries", [[{"query_id": 1}], "abc", 5])
def test_queries_without_results_are_refused(queries: Any) -> None:
    with pytest.raises(PushMetricsParameterError, match="queries without 'query_id' and 'query_result'"):
        read_run({"queries": queries})
