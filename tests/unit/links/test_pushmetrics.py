from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskInstanceKey

from airflow_provider_pushmetrics.get_provider_info import get_provider_info
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.links.pushmetrics import (
    PushMetricsEventLink,
    PushMetricsReportLink,
    PushMetricsRunLink,
    StoredLink,
    build_event_url,
    build_report_url,
    persist_event_links,
    persist_links,
)
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from airflow_provider_pushmetrics.plugins.pushmetrics import PAGE_PREFIX, URL_PREFIX
from airflow_provider_pushmetrics.sensors.pushmetrics import PushMetricsRunSensor
from tests.fakes.airflow_versions import needs_airflow
from tests.fakes.supervisor import FakeSupervisor, FakeTaskInstance, talk_to

URL = "https://pushmetrics.io/api/reports/1/run/7"
KEY = TaskInstanceKey("a_dag", "a_task", "a_run", 1, -1)
LINKS: tuple[type[Any], ...] = (PushMetricsRunLink, PushMetricsReportLink, PushMetricsEventLink)


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> FakeSupervisor:
    fake = FakeSupervisor()
    talk_to(fake, monkeypatch)
    return fake


def get_link(link: type[Any]) -> Any:
    operator = PushMetricsTriggerReportOperator(task_id="a_task", report_id=1)
    return link().get_link(operator, ti_key=KEY)


@pytest.mark.parametrize("link", LINKS)
def test_a_link_is_empty_before_it_is_known(link: type[Any], supervisor: FakeSupervisor) -> None:
    assert get_link(link) == ""


@pytest.mark.parametrize("link", LINKS)
def test_a_link_is_what_the_task_has_stored(link: type[Any], supervisor: FakeSupervisor) -> None:
    ti = FakeTaskInstance()
    context: Any = {"ti": ti}
    link.persist(context, URL)
    supervisor.xcoms = ti.xcoms
    assert get_link(link) == URL


@needs_airflow("3.0")
@pytest.mark.parametrize("link", LINKS)
def test_a_link_is_stored_where_airflow_looks_for_it_while_the_task_runs(link: type[Any]) -> None:
    assert link.build_key() == link().xcom_key


@needs_airflow("3.0")
def test_a_task_that_begins_stores_each_of_its_links() -> None:
    ti = FakeTaskInstance()
    context: Any = {"ti": ti}
    sensor = PushMetricsRunSensor(task_id="a_task")
    persist_links(context, sensor)
    assert ti.xcoms == dict.fromkeys((link().xcom_key for link in LINKS), "")


def test_a_reports_page_is_in_the_web_interface() -> None:
    assert build_report_url("https://pushmetrics.io", 1) == "https://pushmetrics.io/app/reports/1"
    assert build_report_url("https://pushmetrics.io", "a/b") == "https://pushmetrics.io/app/reports/a%2Fb"


def test_an_events_page_is_beside_the_receiver_in_airflow() -> None:
    base = "https://airflow.example.com/prefix"
    assert build_event_url(base + URL_PREFIX, 17) == f"{base}{PAGE_PREFIX}/#17"


@pytest.mark.parametrize("receiver_url", [None, "https://receiver.example.com", "https://h/other"])
def test_a_receiver_of_its_own_has_no_page(receiver_url: str | None) -> None:
    assert build_event_url(receiver_url, 17) is None


def persist_event(monkeypatch: pytest.MonkeyPatch, run_url: object) -> dict[str, Any]:
    receiver = "https://airflow.example.com/pushmetrics"
    extra = {"receiver_url": receiver, "receiver_token": "a-token-0123456789"}
    connection = {"conn_type": "pushmetrics", "host": "https://pushmetrics.io", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_PUSHMETRICS_DEFAULT", json.dumps(connection))
    ti = FakeTaskInstance()
    context: Any = {"ti": ti}
    body = {"event": "report.run", "report_id": 1, "report_notebook_outputs": run_url}
    persist_event_links(context, {"id": 17, "body": body}, PushMetricsHook())
    return ti.xcoms


def test_a_found_event_its_report_and_its_run_are_linked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    assert persist_event(monkeypatch, URL) == {
        "_link_PushMetricsRunLink": URL,
        "_link_PushMetricsReportLink": "https://pushmetrics.io/app/reports/1",
        "_link_PushMetricsEventLink": "https://airflow.example.com/pushmetrics-events/#17",
    }


@pytest.mark.parametrize("query", ["?token=a-token-0123456789", "?sig=0123456789", "#a-token-0123456789"])
def test_link_to_a_run_leaves_out_what_may_be_a_token_in_the_url_of_an_event(
    query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert persist_event(monkeypatch, URL + query)["_link_PushMetricsRunLink"] == URL


@pytest.mark.parametrize(
    "run_url", ["https://evil.example/api/reports/1/run/7", "javascript:alert(1)", None, 7]
)
def test_nobody_is_led_to_where_the_token_would_not_go(
    run_url: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "_link_PushMetricsRunLink" not in persist_event(monkeypatch, run_url)


def test_the_links_are_named_in_the_metadata_and_on_the_operators() -> None:
    assert get_provider_info()["extra-links"] == [f"{link.__module__}.{link.__name__}" for link in LINKS]
    used = (
        *PushMetricsTriggerReportOperator.operator_extra_links,
        *PushMetricsRunSensor.operator_extra_links,
    )
    assert {type(link) for link in used} == set(LINKS)
    assert all(isinstance(link, StoredLink) for link in used)
