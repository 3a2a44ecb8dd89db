"""What OpenLineage's own provider is told of our tasks, against PushMetrics faked at the wire."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from airflow.providers.common.compat.sdk import DAG
from airflow.providers.openlineage.extractors import OperatorLineage
from airflow.providers.openlineage.extractors.manager import ExtractorManager
from airflow.utils.state import TaskInstanceState
from openlineage.client.serde import Serde
from starlette.responses import Response

from airflow_provider_pushmetrics.hooks.results import FORMATS
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor
from airflow_provider_pushmetrics.transfers.pushmetrics import PushMetricsToObjectStorageOperator
from tests.fakes.inbox import READER_TOKEN
from tests.fakes.pushmetrics import FakePushMetrics
from tests.fakes.supervisor import FakeTaskInstance

pytestmark = pytest.mark.usefixtures("whole_connection")

BODY = b"carrier,flights\nUA,12\n"
Lineage = OperatorLineage[Any, Any]


def run_task(operator: Any, state: TaskInstanceState = TaskInstanceState.SUCCESS) -> Lineage:
    """Execute a task as Airflow does, and extract its lineage as OpenLineage's listener does."""
    ti: Any = FakeTaskInstance()
    with DAG("a_dag") as dag:
        dag.add_task(operator)
    if state is TaskInstanceState.SUCCESS:
        operator.execute({"ti": ti})
    run = SimpleNamespace(run_id="a_run")
    return ExtractorManager().extract_metadata(run, operator, state, ti)


def write(lineage: Lineage) -> str:
    """Write all of it as OpenLineage sends it."""
    parts = [*lineage.inputs, *lineage.outputs, *lineage.run_facets.values(), *lineage.job_facets.values()]
    return json.dumps([Serde.to_dict(part) for part in parts])


def refuse_tokens(lineage: Lineage, pushmetrics: FakePushMetrics) -> None:
    text = write(lineage)
    for token in (pushmetrics.api_token, pushmetrics.trigger_token, READER_TOKEN):
        encoded = base64.b64encode(token.encode()).decode()
        forms = (token, quote(token, safe=""), encoded.rstrip("="), quote(encoded, safe=""))
        assert [form for form in forms if form in text] == []
    assert "token=" not in text


def list_names(datasets: Any) -> list[tuple[str, str]]:
    return [(dataset.namespace, dataset.name) for dataset in datasets]


def find_namespace(pushmetrics: FakePushMetrics) -> str:
    return pushmetrics.url.replace("http://", "pushmetrics://")


@pytest.mark.parametrize(
    ("operator", "names"),
    [
        (lambda: PushMetricsTriggerReportOperator(task_id="a_task", report_id=1), ["reports/1"]),
        (lambda: PushMetricsRunSensor(task_id="a_task", report_id=1), ["reports/1"]),
        (
            lambda: PushMetricsRunSensor(task_id="a_task", event="query.run", report_id=1, query_id=2),
            ["reports/1/queries/2"],
        ),
        (lambda: PushMetricsRunSensor(task_id="a_task"), []),
    ],
    ids=["operator", "sensor", "query-sensor", "sensor-of-any"],
)
def test_a_task_that_starts_names_what_it_will_read(
    pushmetrics: FakePushMetrics, operator: Any, names: list[str]
) -> None:
    lineage = run_task(operator(), TaskInstanceState.RUNNING)
    assert [name for _, name in list_names(lineage.inputs)] == names
    assert lineage.outputs == []
    refuse_tokens(lineage, pushmetrics)


def test_a_report_goes_in_and_the_results_of_its_queries_come_out(pushmetrics: FakePushMetrics) -> None:
    lineage = run_task(PushMetricsTriggerReportOperator(task_id="a_task", report_id=1, poll_interval=0.05))
    namespace = find_namespace(pushmetrics)
    assert list_names(lineage.inputs) == [(namespace, "reports/1")]
    assert list_names(lineage.outputs) == [(namespace, "reports/1/queries/1")]
    assert lineage.outputs[0].outputFacets["outputStatistics"].rowCount == 12
    facet: Any = lineage.run_facets["externalQuery"]
    assert (facet.externalQueryId, facet.source) == ("1", pushmetrics.url)
    refuse_tokens(lineage, pushmetrics)


def test_a_report_that_was_not_run_still_goes_in(pushmetrics: FakePushMetrics) -> None:
    operator = PushMetricsTriggerReportOperator(task_id="a_task", report_id=1)
    lineage = run_task(operator, TaskInstanceState.FAILED)
    assert list_names(lineage.inputs) == [(find_namespace(pushmetrics), "reports/1")]
    assert (lineage.outputs, lineage.run_facets) == ([], {})


def test_a_run_that_a_sensor_found_goes_in(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.start_run()
    lineage = run_task(PushMetricsRunSensor(task_id="a_task", report_id=1, after=0))
    assert list_names(lineage.inputs) == [(find_namespace(pushmetrics), "reports/1")]
    facet: Any = lineage.run_facets["externalQuery"]
    assert facet.externalQueryId == "1"
    refuse_tokens(lineage, pushmetrics)


def test_a_sensor_that_found_nothing_says_nothing() -> None:
    lineage = run_task(PushMetricsRunSensor(task_id="a_task", report_id=1), TaskInstanceState.FAILED)
    assert (lineage.inputs, lineage.outputs, lineage.run_facets) == ([], [], {})


def test_results_go_in_and_files_come_out(pushmetrics: FakePushMetrics, tmp_path: Path) -> None:
    pushmetrics.results[FORMATS["csv"]] = Response(BODY)
    event = pushmetrics.build_event(pushmetrics.start_run())
    lineage = run_task(
        PushMetricsToObjectStorageOperator(
            task_id="a_task", report_run=event, path=str(tmp_path), file_format="csv"
        )
    )
    assert list_names(lineage.inputs) == [(find_namespace(pushmetrics), "reports/1/queries/1")]
    assert list_names(lineage.outputs) == [("file", str(tmp_path / "by_carrier.csv"))]
    statistics = lineage.outputs[0].outputFacets["outputStatistics"]
    assert (statistics.rowCount, statistics.size) == (12, len(BODY))
    facet: Any = lineage.run_facets["externalQuery"]
    assert facet.externalQueryId == "1"
    refuse_tokens(lineage, pushmetrics)
