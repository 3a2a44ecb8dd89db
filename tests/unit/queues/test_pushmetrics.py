from __future__ import annotations

from typing import Any

import pytest
from airflow.exceptions import AirflowProviderDeprecationWarning
from airflow.providers.common.messaging.triggers.msg_queue import MessageQueueTrigger

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.queues.pushmetrics import PushMetricsMessageQueueProvider
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsEventTrigger


def test_the_scheme_leads_to_our_trigger_with_its_arguments() -> None:
    trigger = MessageQueueTrigger(scheme="pushmetrics", report_id=1, consumer="billing")
    expected = PushMetricsEventTrigger(report_id=1, consumer="billing")
    assert trigger.serialize() == expected.serialize()


@pytest.mark.parametrize(
    ("queue", "kwargs"),
    [
        ("pushmetrics://pushmetrics.io/reports/1", {"report_id": 1}),
        ("pushmetrics://pushmetrics.io/reports", {}),
        ("pushmetrics://pm.example/queries/2", {"event": "query.run", "query_id": 2}),
        (
            "pushmetrics://pm.example/reports/1/queries/2",
            {"event": "query.run", "report_id": 1, "query_id": 2},
        ),
    ],
)
def test_a_queues_uri_says_what_is_wanted(queue: str, kwargs: dict[str, Any]) -> None:
    with pytest.warns(AirflowProviderDeprecationWarning):
        trigger = MessageQueueTrigger(queue=queue)
    assert trigger.serialize() == PushMetricsEventTrigger(**kwargs).serialize()


def test_the_event_may_be_named_beside_a_queues_uri() -> None:
    with pytest.warns(AirflowProviderDeprecationWarning):
        trigger = MessageQueueTrigger(queue="pushmetrics://h/reports/1/queries/2", event="query.updated")
    assert trigger.serialize()[1]["event"] == "query.updated"


@pytest.mark.parametrize("queue", ["kafka://x/y", "https://pushmetrics.io/reports/1", ""])
def test_other_queues_are_left_to_others(queue: str) -> None:
    assert not PushMetricsMessageQueueProvider().queue_matches(queue)
    assert not PushMetricsMessageQueueProvider().scheme_matches("kafka")


@pytest.mark.parametrize(
    ("queue", "kwargs", "message"),
    [
        ("pushmetrics://h/reports/kP3x", {}, "report_id in the queue's URI is 'kP3x'"),
        ("pushmetrics://h/reports/1", {"report_id": 2}, "report_id is in the queue"),
        ("pushmetrics://h/nothing", {}, "must look like"),
    ],
)
def test_a_queue_that_cannot_be_meant_is_refused(queue: str, kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(PushMetricsParameterError, match=message):
        PushMetricsMessageQueueProvider().trigger_kwargs(queue, **kwargs)
