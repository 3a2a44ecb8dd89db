from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.receiver.commands import IdRange, build_test_event, parse_range
from airflow_provider_pushmetrics.receiver.endpoints.parsing import parse_webhook


def test_event_and_range_of_events_are_read() -> None:
    assert parse_range("17") == IdRange(17, 17)
    assert parse_range("17-30") == IdRange(17, 30)


@pytest.mark.parametrize("text", ["", "x", "-1", "30-17", "1-2-3", "²"])
def test_range_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(PushMetricsParameterError, match="17-30"):
        parse_range(text)


def test_test_event_is_a_report_run_that_the_receiver_takes() -> None:
    body = build_test_event(datetime(2025, 6, 9, 12, 0, 0, 7, UTC))
    assert json.loads(body)["timestamp"] == "2025-06-09T12:00:00+00:00"
    assert parse_webhook("demo", None, body).run_id == 1
