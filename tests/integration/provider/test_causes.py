"""A deadline that passes while nobody answers says why nobody did, on the worker and in the triggerer."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout

from airflow_provider_pushmetrics.exceptions import PushMetricsRunTimeout
from airflow_provider_pushmetrics.triggers.pushmetrics import (
    PushMetricsRunTrigger,
    PushMetricsSensorTrigger,
)
from tests.fakes.certificates import make_tls
from tests.fakes.loopback import serve_raw
from tests.fakes.pushmetrics import FakePushMetrics
from tests.fakes.supervisor import FakeTaskInstance
from tests.fakes.triggerer import fire_event
from tests.integration.provider.conftest import Connect
from tests.integration.provider.test_operator import build
from tests.integration.provider.test_sensor import NO_RECEIVER
from tests.integration.provider.test_sensor import build as build_sensor

pytestmark = pytest.mark.usefixtures("quick_worker")

AWAY = "http://127.0.0.1:9"
REFUSED = "could not connect to '127.0.0.1' at port 9: Connection refused"
CONTEXT: Any = {"ti": FakeTaskInstance()}


async def test_a_deferred_run_says_why_it_could_not_be_seen_to_end(connect_whole: Connect) -> None:
    connect_whole(host=AWAY, **NO_RECEIVER)
    trigger = PushMetricsRunTrigger(report_id="1", run_id=7, deadline=time.time() + 0.2)
    event = await fire_event(trigger)
    assert event.payload["status"] == "timeout"
    assert REFUSED in event.payload["message"]
    with pytest.raises(PushMetricsRunTimeout, match=r"the last poll failed.*Connection refused"):
        build().execute_complete(CONTEXT, event.payload)


async def test_a_deferred_sensor_says_why_it_saw_nothing(connect_whole: Connect) -> None:
    connect_whole(receiver_url=f"{AWAY}/pushmetrics")
    trigger = PushMetricsSensorTrigger(event="report.run", deadline=time.time() + 0.2)
    event = await fire_event(trigger)
    with pytest.raises(AirflowSensorTimeout, match=r"the last poll failed.*Connection refused"):
        build_sensor().execute_complete(CONTEXT, event.payload)


def test_a_sensor_that_pokes_says_why_it_saw_nothing(connect_whole: Connect) -> None:
    connect_whole(receiver_url=f"{AWAY}/pushmetrics")
    with pytest.raises(AirflowSensorTimeout, match=r"the last poll failed.*Connection refused"):
        build_sensor(run_id=1, poke_interval=0.01, timeout=0.1).execute(CONTEXT)


def test_a_run_that_is_waited_for_on_the_worker_says_why_it_could_not_be_seen_to_end(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    pushmetrics.outcomes = ["running"]
    connect_whole(password=None)
    pushmetrics.inbox.outages = 1000
    with pytest.raises(PushMetricsRunTimeout, match=r"the last poll failed.*Maintenance"):
        build(timeout=0.02).execute(CONTEXT)


async def test_a_certificate_that_is_not_trusted_is_named_when_the_deadline_passes(
    connect_whole: Connect, tmp_path: Path
) -> None:
    tls, _ = make_tls(tmp_path, "127.0.0.1")
    with serve_raw(b"", tls=tls) as server:
        connect_whole(host=server.url, **NO_RECEIVER)
        trigger = PushMetricsRunTrigger(report_id="1", run_id=7, deadline=time.time() + 0.2)
        event = await fire_event(trigger)
    assert event.payload["status"] == "timeout"
    assert "certificate verify failed" in event.payload["message"].lower()
