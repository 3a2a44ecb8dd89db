"""The notifier against PushMetrics faked at the wire, called as Airflow calls it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from airflow_provider_pushmetrics.exceptions import (
    PushMetricsAuthError,
    PushMetricsConfigurationError,
    PushMetricsError,
)
from airflow_provider_pushmetrics.notifications.pushmetrics import PushMetricsNotifier
from tests.fakes.airflow_storage import frame_failure
from tests.fakes.airflow_versions import needs_airflow
from tests.fakes.pushmetrics import FakePushMetrics
from tests.integration.provider.conftest import Connect


@pytest.fixture(autouse=True)
def trigger_token_only(connect_whole: Connect) -> None:
    connect_whole(password=None, receiver_url=None, receiver_token=None)


def build_context() -> Any:
    return {"dag": None, "what": "failed"}


def build(**kwargs: Any) -> PushMetricsNotifier:
    return PushMetricsNotifier(report_id=1, parameters={"state": "{{ what }}", "n": 2}, **kwargs)


async def wait_for(notifier: PushMetricsNotifier) -> None:
    notifier.context = build_context()
    await notifier


def test_a_callback_starts_a_run(pushmetrics: FakePushMetrics) -> None:
    build()(build_context())
    assert [run.parameters for run in pushmetrics.runs] == [{"state": "failed", "n": 2}]


@needs_airflow("3.1")
async def test_a_callback_in_the_triggerer_starts_a_run(pushmetrics: FakePushMetrics) -> None:
    await wait_for(build())
    assert [run.parameters for run in pushmetrics.runs] == [{"state": "failed", "n": 2}]
    assert pushmetrics.triggered[0].query == {"token": pushmetrics.trigger_token}


@needs_airflow("3.1")
async def test_a_deadline_whose_callback_is_repeated_starts_one_run(pushmetrics: FakePushMetrics) -> None:
    number, other = uuid4(), uuid4()
    for known in (number, str(number), other):  # from Airflow 3.4 on it is a text
        notifier = build()
        notifier.context = build_context() | {"deadline": {"id": known}}
        await notifier
    build()(build_context() | {"deadline": {"id": str(number)}})
    assert len(pushmetrics.runs) == 2
    first, repeated, another, in_worker = pushmetrics.keys
    assert first == repeated == in_worker != another
    assert str(number) not in str(first)


def test_other_callbacks_start_a_run_each(pushmetrics: FakePushMetrics) -> None:
    unknown: tuple[object, ...] = (None, {}, "late")
    for deadline in unknown:
        build()(build_context() | {"deadline": deadline})
    assert (len(pushmetrics.runs), pushmetrics.keys) == (3, [None] * 3)


@needs_airflow("3.1")
async def test_an_error_in_the_triggerer_can_be_sent_to_airflows_supervisor() -> None:
    with pytest.raises(PushMetricsError) as caught:
        await wait_for(build(pushmetrics_conn_id="none\ud800"))
    frame_failure(caught.value)


@needs_airflow("3.1")  # older versions write it to the log themselves
def test_a_refusal_is_raised_for_airflow_to_log(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.trigger_token = "another"
    with pytest.raises(PushMetricsAuthError):
        build()(build_context())


@needs_airflow("3.1")
async def test_a_report_without_a_trigger_token_is_an_error_that_says_so() -> None:
    with pytest.raises(PushMetricsConfigurationError, match="no trigger token for report '2'"):
        await wait_for(PushMetricsNotifier(report_id=2))
