"""What a statsd server hears of the provider, at the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics import stats_utils
from starlette.responses import Response

from airflow_provider_pushmetrics import metrics
from airflow_provider_pushmetrics.exceptions import PushMetricsRunFailed
from airflow_provider_pushmetrics.hooks.results import FORMATS
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor
from airflow_provider_pushmetrics.transfers.pushmetrics import PushMetricsToObjectStorageOperator
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsRunTrigger
from tests.fakes.pushmetrics import FakePushMetrics
from tests.fakes.statsd import FakeStatsd
from tests.fakes.supervisor import FakeTaskInstance

pytestmark = pytest.mark.usefixtures("whole_connection")

DOCS = Path(__file__).parents[3] / "docs" / "provider.md"


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeStatsd]:
    fake = FakeStatsd()
    settings = {"statsd_on": True, "statsd_host": "127.0.0.1", "statsd_port": fake.port}
    for name, value in (settings | {"statsd_influxdb_enabled": True}).items():
        monkeypatch.setenv(f"AIRFLOW__METRICS__{name.upper()}", str(value))
    logger = stats_utils.get_stats_factory()()
    stats.initialize(factory=lambda: logger, export_legacy_names=False)
    yield fake
    monkeypatch.setenv("AIRFLOW__METRICS__STATSD_ON", "False")
    stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)
    logger.statsd.close()
    fake.close()


def execute(operator: Any) -> Any:
    return operator.execute({"ti": FakeTaskInstance()})


def test_a_run_its_wait_and_its_end_are_counted(statsd: FakeStatsd) -> None:
    execute(PushMetricsTriggerReportOperator(task_id="a_task", report_id=1, poll_interval=0.05))
    assert statsd.read() == [
        "pushmetrics.runs_triggered:1|c",
        "pushmetrics.wait,event=report.run|ms",
        "pushmetrics.runs_finished,status=success:1|c",
    ]


def test_a_run_that_failed_is_counted_as_failed(statsd: FakeStatsd, pushmetrics: FakePushMetrics) -> None:
    pushmetrics.outcomes = ["failed"]
    with pytest.raises(PushMetricsRunFailed):
        execute(PushMetricsTriggerReportOperator(task_id="a_task", report_id=1, poll_interval=0.05))
    assert "pushmetrics.runs_finished,status=failed:1|c" in statsd.read()


def test_a_wait_in_the_triggerer_is_timed(statsd: FakeStatsd, pushmetrics: FakePushMetrics) -> None:
    run = pushmetrics.start_run()

    async def wait() -> Any:
        trigger = PushMetricsRunTrigger(report_id="1", run_id=run.id, after_cursor=0)
        return [event async for event in trigger.run()]

    assert len(asyncio.run(wait())) == 1
    assert statsd.read() == ["pushmetrics.wait,event=report.run|ms"]


def test_a_sensor_that_looks_again_and_again_is_not_timed(
    statsd: FakeStatsd, pushmetrics: FakePushMetrics
) -> None:
    pushmetrics.start_run()
    execute(PushMetricsRunSensor(task_id="a_task", report_id=1, after=0))
    assert statsd.read() == []


def test_a_file_is_counted_with_its_bytes_and_timed(
    statsd: FakeStatsd, pushmetrics: FakePushMetrics, tmp_path: Path
) -> None:
    pushmetrics.results[FORMATS["csv"]] = Response(b"12345")
    url = pushmetrics.build_result_url(pushmetrics.start_run())
    path = str(tmp_path / "a.csv")
    execute(PushMetricsToObjectStorageOperator(task_id="a_task", query_result=url, path=path))
    assert statsd.read() == [
        "pushmetrics.transfer|ms",
        "pushmetrics.transferred_files:1|c",
        "pushmetrics.transferred_bytes:5|c",
    ]


def test_events_without_a_run_are_a_gauge(statsd: FakeStatsd) -> None:
    metrics.gauge_events_without_run(2)
    assert statsd.read() == ["pushmetrics.events_without_run:2|g"]


def test_every_metric_is_documented() -> None:
    names = [value for name, value in vars(metrics).items() if name.isupper()]
    assert len(names) == 7
    assert [name for name in names if f"`{name}`" not in DOCS.read_text("utf-8")] == []
