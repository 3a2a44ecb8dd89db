from __future__ import annotations

import json
import os

import pytest
import requests

from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.exceptions import PushMetricsTestingError
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.testing import PushMetricsKit
from airflow_provider_pushmetrics.testing.isolation import find_under_way, wait_until_quiet
from airflow_provider_pushmetrics.testing.servers import RunningReceiver, RunningService
from tests.fakes.service_process import find_free_port

pytest_plugins = ["airflow_provider_pushmetrics.testing.fixtures"]


def test_report_runs(pushmetrics: PushMetricsKit) -> None:
    report = pushmetrics.add_report(
        queries={"q": "SELECT {{ n }} AS v"}, parameters={"n": {"type": "integer", "default": 1}}
    )
    outputs = pushmetrics.run_report(report, n=3)
    assert outputs["status"] == "success"
    assert [run["id"] for run in pushmetrics.list_runs(report)] == [outputs["run_id"]]


async def test_proxy_of_the_environment_is_not_used(
    pushmetrics: PushMetricsKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{find_free_port()}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    report = pushmetrics.add_report(queries={"q": "SELECT 1"})
    started = PushMetricsHook().trigger_report(report.id)
    assert started.run_id is not None
    pushmetrics.wait_for_run(report, started.run_id)
    assert report.id in [listed.id for listed in PushMetricsHook().fetch_reports()]
    async with PushMetricsAsyncClient.open("pushmetrics_default") as client:
        assert (await client.fetch_report(report.id)).id == report.id
    event_id = pushmetrics.send_event("report.run", report_id=report.id)
    found = PushMetricsHook().fetch_events(EventFilter(), after=event_id - 1)
    assert event_id in [event.id for event in found.events]


def test_parameter_may_be_called_report(pushmetrics: PushMetricsKit) -> None:
    report = pushmetrics.add_report(
        queries={"q": "SELECT {{ report }} AS v"}, parameters={"report": {"type": "integer"}}
    )
    assert pushmetrics.run_report(report, report=3)["status"] == "success"


def test_refusal_is_an_error_with_the_message_of_the_service(pushmetrics: PushMetricsKit) -> None:
    with pytest.raises(PushMetricsTestingError, match=r"was answered with 422: .*nonsense"):
        pushmetrics.add_report(queries={"q": "SELECT {{ 1 | nonsense }}"})


def test_event_gets_an_id_of_the_inbox(pushmetrics: PushMetricsKit) -> None:
    first = pushmetrics.send_event("report.run", report_id=1)
    assert pushmetrics.send_event("report.run", report_id=1) == first + 1


def test_report_gets_the_id_that_would_be_the_next_one(pushmetrics: PushMetricsKit) -> None:
    first = pushmetrics.add_report(queries={"q": "SELECT 1"})
    wanted, query_id = first.id + 1, first.query_ids["q"] + 1
    report = pushmetrics.add_report(queries={"q": "SELECT 1"}, report_id=wanted, query_ids={"q": query_id})
    assert (report.id, report.query_ids["q"]) == (wanted, query_id)
    assert pushmetrics.run_report(report)["status"] == "success"


def test_ids_that_dags_name_are_given_to_no_other_report(pushmetrics: PushMetricsKit) -> None:
    other = pushmetrics.add_report(queries={"q": "SELECT 1"})
    assert min(other.id, other.query_ids["q"]) > 1_000_000
    queries = {"a": "SELECT 1 AS v", "b": "SELECT 2 AS v"}
    report = pushmetrics.add_report(queries=queries, report_id=3, query_ids={"a": 2, "b": 3})
    assert (report.id, report.query_ids) == (3, {"a": 2, "b": 3})
    assert pushmetrics.run_report(other)["status"] == "success"


def test_events_and_consumers_of_a_test_are_gone_after_it(
    pushmetrics_service: RunningService, pushmetrics_receiver: RunningReceiver
) -> None:
    kit = PushMetricsKit(pushmetrics_service, pushmetrics_receiver, lambda name, value: None)
    event_id = kit.send_event("report.run", report_id=7)
    report = kit.add_report(queries={"q": "SELECT count(*) FROM range(300000000)"})
    consumer = f"{pushmetrics_receiver.url}/consumers/daily"
    headers = {"Authorization": f"Bearer {pushmetrics_receiver.reader_token}"}
    requests.put(consumer, json={"position": event_id}, headers=headers, timeout=240).raise_for_status()
    kit.request("POST", f"/api/v1/report/{report.id}/run/noteflow", {"parameters": {}})
    kit.close()
    later = requests.get(f"{pushmetrics_receiver.url}/events?after=0", headers=headers, timeout=240).json()
    assert later["events"] == []
    assert later["cursor"] > event_id
    assert requests.get(consumer, headers=headers, timeout=240).json()["position"] == 0


def test_run_that_does_not_end_after_its_test_is_an_error(
    pushmetrics: PushMetricsKit, pushmetrics_service: RunningService
) -> None:
    report = pushmetrics.add_report(queries={"q": "SELECT count(*) FROM range(100000000000)"})
    run_path = f"/api/v1/report/{report.id}/run/noteflow"
    run_id = pushmetrics.request("POST", run_path, {"parameters": {}})["result"]["run_id"]
    with pytest.raises(PushMetricsTestingError, match=f"run {run_id} of report {report.id} did not end"):
        wait_until_quiet(pushmetrics_service.database, timeout_seconds=0.1)
    pushmetrics.request("POST", f"/api/v1/noteflow_run/{run_id}/cancel")


def test_run_that_does_not_end_fails_its_own_test_only(
    pushmetrics_service: RunningService, pushmetrics_receiver: RunningReceiver
) -> None:
    kit = PushMetricsKit(pushmetrics_service, pushmetrics_receiver, lambda name, value: None)
    report = kit.add_report(queries={"q": "SELECT count(*) FROM range(100000000000)"})
    (block,) = kit.request("GET", f"/api/v1/report/{report.id}")["result"]["blocks"]
    kit.send_event("report.run", report_id=7)
    kit.request("POST", f"/api/v1/report/{report.id}/run/noteflow", {"parameters": {}})
    kit.request("POST", f"/api/v1/block/{block['uid']}/run", {"parameters": {}})
    with pytest.raises(PushMetricsTestingError, match=f"of report {report.id} did not end"):
        kit.close(timeout_seconds=0.1)
    assert find_under_way(pushmetrics_service.database) is None
    headers = {"Authorization": f"Bearer {pushmetrics_receiver.reader_token}"}
    later = requests.get(f"{pushmetrics_receiver.url}/events?after=0", headers=headers, timeout=240).json()
    assert later["events"] == []


def test_query_id_of_no_query_is_refused(pushmetrics: PushMetricsKit) -> None:
    with pytest.raises(PushMetricsTestingError, match=r"query_ids names \['z'\]"):
        pushmetrics.add_report(queries={"q": "SELECT 1"}, query_ids={"z": 3})
    with pytest.raises(PushMetricsTestingError, match="query_ids gives two queries the same id"):
        pushmetrics.add_report(queries={"a": "SELECT 1", "b": "SELECT 1"}, query_ids={"a": 3, "b": 3})


def test_report_gets_the_ids_that_a_dag_names(pushmetrics: PushMetricsKit) -> None:
    for number in (1, 2):
        report = pushmetrics.add_report(
            f"Sales {number}", queries={"q": f"SELECT {number} AS v"}, report_id=4711, query_ids={"q": 99}
        )
        outputs = pushmetrics.run_report(report)
        assert [query["query_id"] for query in outputs["queries"]] == [99]
        assert pushmetrics.request("GET", "/api/v1/report/4711")["result"]["name"] == f"Sales {number}"


def test_query_id_of_another_report_is_refused(pushmetrics: PushMetricsKit) -> None:
    taken = pushmetrics.add_report(queries={"q": "SELECT 1"})
    with pytest.raises(PushMetricsTestingError, match="is in use by another report"):
        pushmetrics.add_report(queries={"q": "SELECT 1"}, query_ids={"q": taken.query_ids["q"]})


def test_run_of_a_report_reaches_the_receiver(pushmetrics: PushMetricsKit) -> None:
    report = pushmetrics.add_report(queries={"q": "SELECT 1 AS v"})
    before = pushmetrics.send_event("marker")
    pushmetrics.run_report(report)
    headers = {"Authorization": f"Bearer {pushmetrics.receiver.reader_token}"}
    answer = requests.get(
        f"{pushmetrics.receiver.url}/events",
        params={"after": str(before), "event": "report.run", "report_id": str(report.id), "wait": "30"},
        headers=headers,
        timeout=240,
    )
    (event,) = answer.json()["events"]
    assert event["body"]["report_id"] == report.id


def test_connection_has_the_trigger_token_of_each_report(pushmetrics: PushMetricsKit) -> None:
    report = pushmetrics.add_report()
    connection = json.loads(os.environ["AIRFLOW_CONN_PUSHMETRICS_DEFAULT"])
    assert connection["extra"]["trigger_tokens"] == {str(report.id): report.trigger_token}
    assert report.trigger_token not in repr(report)
