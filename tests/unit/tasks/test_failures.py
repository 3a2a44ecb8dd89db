from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_pushmetrics.client.models import QueryOutcome
from airflow_provider_pushmetrics.exceptions import PushMetricsTruncatedResultError
from airflow_provider_pushmetrics.tasks.failures import refuse_truncation


def test_a_truncated_result_fails_the_task_without_a_retry() -> None:
    query = QueryOutcome(query_id=4, query_result="https://h/q", is_truncated=True, row_limit=100)
    with pytest.raises(PushMetricsTruncatedResultError, match=r"limit: 100 rows.*not retried") as caught:
        refuse_truncation((query,), 7)
    assert isinstance(caught.value, AirflowFailException)
    assert caught.value.run_id == 7


def test_a_result_of_which_the_server_does_not_say_it_is_refused() -> None:
    query = QueryOutcome(query_id=4, query_name="q", query_result="https://h/q")
    with pytest.raises(
        PushMetricsTruncatedResultError, match="does not say whether the results of 'q' are complete"
    ):
        refuse_truncation((query,))


def test_whole_results_are_not_refused() -> None:
    refuse_truncation((QueryOutcome(query_id=4, query_result="https://h/q", is_truncated=False),))
    refuse_truncation(())
