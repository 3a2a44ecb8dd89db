"""The operator against PushMetrics and the receiver, faked at the wire, waiting here and in a triggerer."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import logging
import time
from datetime import date
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from starlette.responses import JSONResponse, RedirectResponse, Response

from airflow_provider_pushmetrics.exceptions import (
    PushMetricsAmbiguousRun,
    PushMetricsAuthError,
    PushMetricsConfigurationError,
    PushMetricsConflictError,
    PushMetricsNotFoundError,
    PushMetricsParameterError,
    PushMetricsProtocolError,
    PushMetricsRunError,
    PushMetricsRunFailed,
    PushMetricsRunTimeout,
    PushMetricsUntrustedUrlError,
)
from airflow_provider_pushmetrics.links.pushmetrics import PushMetricsRunLink
from airflow_provider_pushmetrics.operators.pushmetrics import PushMetricsTriggerReportOperator
from airflow_provider_pushmetrics.operators.run_starter import MAX_EARLIER_RUNS
from airflow_provider_pushmetrics.triggers.pushmetrics import PushMetricsRunTrigger
from tests.fakes.airflow_versions import capture_logs
from tests.fakes.inbox import READER_TOKEN
from tests.fakes.loopback import LoopbackServer, serve_raw
from tests.fakes.pushmetrics import API_TOKEN, TRIGGER_TOKEN, FakePushMetrics, FakeRun
from tests.fakes.supervisor import FakeTaskInstance
from tests.fakes.triggerer import fire
from tests.integration.provider.conftest import Connect

NO_RECEIVER: dict[str, Any] = {"receiver_url": None, "receiver_token": None}
NO_API_TOKEN: dict[str, Any] = {"password": None}
MODES = [False, True]


pytestmark = pytest.mark.usefixtures("quick_worker")


def build(**kwargs: Any) -> PushMetricsTriggerReportOperator:
    defaults: dict[str, Any] = {"task_id": "a_task", "report_id": 1, "poll_interval": 0.01, "defer_after": 0}
    operator = PushMetricsTriggerReportOperator(**defaults | kwargs)
    operator.appearance_seconds = 0.5
    return operator


def run_task(ti: FakeTaskInstance | None = None, **kwargs: Any) -> Any:
    """Run a task as Airflow does: in a worker, and if it defers, in a triggerer and in another worker."""
    context: Any = {"ti": ti or FakeTaskInstance()}
    try:
        return build(**kwargs).execute(context)
    except TaskDeferred as deferral:
        event = asyncio.run(fire(deferral.trigger))
        return getattr(build(**kwargs), deferral.method_name)(context, event)


def find_links(ti: FakeTaskInstance) -> list[str]:
    return [url for key, url in ti.xcoms.items() if key == PushMetricsRunLink.build_key() and url]


# The outcome of a run, in both modes


@pytest.mark.parametrize("looks", [0, 2])
@pytest.mark.usefixtures("with_or_without_receiver")
def test_a_run_that_ends_well_is_returned(pushmetrics: FakePushMetrics, deferrable: bool, looks: int) -> None:
    pushmetrics.looks = looks
    ti = FakeTaskInstance()
    result = run_task(ti, parameters={"origin": "JFK", "month": 2}, deferrable=deferrable)
    outputs_url = f"{pushmetrics.url}/api/reports/1/run/1"
    assert result == {
        "report_id": "1",
        "run_id": 1,
        "status": "success",
        "outputs_url": outputs_url,
        "queries": [
            {
                "query_id": 1,
                "query_name": "by_carrier",
                "query_result": f"{pushmetrics.url}/api/reports/1/queries/1/reportRun/1",
                "status": "success",
                "row_count": 12,
                "is_truncated": False,
                "row_limit": None,
            }
        ],
    }
    assert pushmetrics.runs[0].parameters == {"origin": "JFK", "month": 2}
    assert find_links(ti) == [outputs_url]


FAILURES = {"failed": r"run 1 .*failed at block 'by_carrier': division by zero", "cancelled": "cancelled"}


@pytest.mark.parametrize("outcome", FAILURES)
@pytest.mark.usefixtures("with_or_without_receiver")
def test_a_run_that_did_not_succeed_names_what_happened(
    pushmetrics: FakePushMetrics, deferrable: bool, outcome: str
) -> None:
    pushmetrics.outcomes = [outcome]
    with pytest.raises(PushMetricsRunFailed, match=FAILURES[outcome]) as caught:
        run_task(deferrable=deferrable)
    assert caught.value.run_id == 1


@pytest.mark.usefixtures("with_or_without_receiver")
def test_a_run_that_does_not_end_in_time_is_a_timeout(pushmetrics: FakePushMetrics, deferrable: bool) -> None:
    pushmetrics.outcomes = ["running"]
    with pytest.raises(
        PushMetricsRunTimeout, match=r"run 1 of report '1' did not end within 0\.1 s"
    ) as caught:
        run_task(deferrable=deferrable, timeout=0.1)
    assert caught.value.run_id == 1
    assert str(caught.value).endswith(f" See {pushmetrics.url}/api/reports/1/run/1")


def test_a_disabled_trigger_is_to_be_enabled(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.is_trigger_active = False
    with pytest.raises(PushMetricsAuthError, match="'1' is disabled: enable the trigger") as caught:
        run_task()
    assert "Check the token" not in str(caught.value)


def test_a_wrong_report_id_names_the_reports_that_have_a_token() -> None:
    with pytest.raises(PushMetricsConfigurationError, match=r"report '11'.* tokens for the reports: '1'\."):
        run_task(report_id=11)


def test_a_parameter_that_is_no_json_is_named(pushmetrics: FakePushMetrics) -> None:
    with pytest.raises(PushMetricsParameterError, match="parameter 'day' must be JSON"):
        run_task(parameters={"month": 1, "day": {date(2026, 1, 31)}})
    assert pushmetrics.triggered == []


def test_the_log_of_a_good_run_ends_with_its_rows_and_its_url(
    pushmetrics: FakePushMetrics, deferrable: bool
) -> None:
    with capture_logs() as logs:
        run_task(deferrable=deferrable)
    last = str(logs[-1])
    assert "by_carrier: 12 rows" in last, logs
    assert f"{pushmetrics.url}/api/reports/1/run/1" in last


def try_task(**kwargs: Any) -> tuple[str, Any, dict[str, Any]]:
    """Run a task and tell everything that a user sees: the result or the error, and the XComs."""
    ti = FakeTaskInstance()
    try:
        return "result", run_task(ti, **kwargs), ti.xcoms
    except Exception as error:
        return type(error).__name__, str(error), ti.xcoms


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes", [{}, NO_RECEIVER, NO_API_TOKEN], ids=["whole", "no-receiver", "no-api-token"]
)
@pytest.mark.parametrize("names_runs", [True, False])
@pytest.mark.parametrize("outcome", ["success", "failed", "cancelled", "running"])
def test_both_modes_end_alike(
    connect_whole: Connect, server: LoopbackServer, outcome: str, names_runs: bool, changes: dict[str, Any]
) -> None:
    connect_whole(**changes)
    told = []
    for deferrable in MODES:
        fake = FakePushMetrics(server.url, outcomes=[outcome], names_runs=names_runs)
        server.app = fake.build_app()
        told.append(try_task(deferrable=deferrable, timeout=0.1))
        assert len(fake.runs) == 1
    assert told[0] == told[1]


# Which run is ours


@pytest.mark.usefixtures("with_or_without_receiver")
def test_a_run_that_nobody_named_is_found_by_the_api(pushmetrics: FakePushMetrics, deferrable: bool) -> None:
    for _ in range(3):
        pushmetrics.start_run()
    pushmetrics.names_runs = False
    assert run_task(deferrable=deferrable)["run_id"] == 4


def test_several_runs_that_could_be_ours_are_not_guessed_at(
    pushmetrics: FakePushMetrics, deferrable: bool
) -> None:
    pushmetrics.names_runs, pushmetrics.bystanders = False, 1
    with pytest.raises(PushMetricsAmbiguousRun, match=r"2 runs .*\(2, 1\)"):
        run_task(deferrable=deferrable)


def test_a_run_of_others_that_is_listed_before_ours_is_not_taken_for_it(
    pushmetrics: FakePushMetrics, deferrable: bool
) -> None:
    pushmetrics.names_runs, pushmetrics.bystanders, pushmetrics.late_lists = False, 1, 1
    with pytest.raises(PushMetricsAmbiguousRun, match=r"2 runs .*\(2, 1\)"):
        run_task(deferrable=deferrable)


def test_the_newest_of_several_runs_is_taken_on_request(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.names_runs, pushmetrics.bystanders = False, 1
    assert run_task(on_ambiguous="newest")["run_id"] == 2


def test_without_an_api_token_the_first_event_to_arrive_is_ours(
    connect_whole: Connect, pushmetrics: FakePushMetrics, deferrable: bool
) -> None:
    pushmetrics.start_run()
    pushmetrics.names_runs = False
    connect_whole(password=None)
    with capture_logs() as logs:
        result = run_task(deferrable=deferrable)
    assert result == {
        "report_id": "1",
        "run_id": 2,
        "status": None,
        "outputs_url": f"{pushmetrics.url}/api/reports/1/run/2",
        "queries": [],
    }
    assert "counts as this task's run" in str(logs)
    assert "its outcome is unknown" in str(logs)


def test_a_report_known_by_its_uid_is_not_waited_for_by_any_reports_event(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    pushmetrics.names_runs = False
    connect_whole(password=None, trigger_tokens={"aBc12": TRIGGER_TOKEN})
    with pytest.raises(PushMetricsConfigurationError, match="cannot be distinguished from those"):
        run_task(report_id="aBc12")


def test_without_an_api_token_and_a_receiver_nothing_can_be_waited_for(
    connect_whole: Connect, deferrable: bool
) -> None:
    connect_whole(password=None, receiver_url=None, receiver_token=None)
    with pytest.raises(PushMetricsConfigurationError, match="there is no way to wait for the run"):
        run_task(deferrable=deferrable)


def run_hidden(pushmetrics: FakePushMetrics, ti: FakeTaskInstance | None = None) -> Any:
    """Run a task whose run is neither named nor listed."""
    pushmetrics.names_runs, pushmetrics.hides_runs = False, True
    operator = build()
    operator.appearance_seconds = 0.0
    context: Any = {"ti": ti or FakeTaskInstance()}
    return operator.execute(context)


def test_a_run_that_is_never_listed_is_found_by_its_event(pushmetrics: FakePushMetrics) -> None:
    with capture_logs() as logs:
        assert run_hidden(pushmetrics)["run_id"] == 1
    assert "the first report.run to arrive counts as this task's run" in str(logs)


def test_a_run_that_is_never_listed_and_never_told_cannot_be_waited_for(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    connect_whole(**NO_RECEIVER)
    with pytest.raises(PushMetricsRunTimeout, match="is not listed after 0 s, and there is no receiver"):
        run_hidden(pushmetrics)


@pytest.mark.slow
def test_a_receiver_that_is_away_at_the_start_is_done_without(connect_whole: Connect) -> None:
    connect_whole(receiver_url="http://127.0.0.1:9/pushmetrics")
    with capture_logs() as logs:
        assert run_task()["status"] == "success"
    assert "The run is started anyway" in str(logs)


PROXY_PAGES: list[list[int]] = [[404] * 2, [403] * 2, [401] * 2, [200] * 2, [302] * 2]
"""For the run and for the list of runs."""


@pytest.mark.parametrize("pages", PROXY_PAGES, ids=lambda pages: str(pages[0]))
def test_a_proxy_that_answers_in_place_of_pushmetrics_ends_no_wait_on_a_worker(
    connect_whole: Connect, pushmetrics: FakePushMetrics, pages: list[int]
) -> None:
    connect_whole(**NO_RECEIVER)
    pushmetrics.looks, pushmetrics.pages_after = 2, {"running": pages}
    assert run_task()["status"] == "success"
    assert len(pushmetrics.runs) == 1


@pytest.mark.parametrize("pages", [[404] * 4, [200] * 4], ids=["404", "page"])
def test_a_proxy_that_answers_in_place_of_the_outputs_fails_no_task(
    connect_whole: Connect, pushmetrics: FakePushMetrics, deferrable: bool, pages: list[int]
) -> None:
    connect_whole(**NO_RECEIVER)
    pushmetrics.pages_after = {"success": pages}
    assert run_task(deferrable=deferrable)["status"] == "success"


def test_a_run_that_is_deleted_while_a_worker_waits_fails_the_task_at_once(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    connect_whole(**NO_RECEIVER)
    pushmetrics.looks, pushmetrics.pages_after = 2, {"running": [404]}

    class Deleting(Response):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            pushmetrics.runs.clear()
            await JSONResponse({"result": []})(scope, receive, send)

    pushmetrics.list_answers = [JSONResponse({"result": []}), Deleting()]
    with pytest.raises(PushMetricsNotFoundError):
        run_task()


# An outcome that nobody can tell


def test_an_outcome_that_must_be_known_is_asked_about_before_the_report_is_run(
    connect_whole: Connect, pushmetrics: FakePushMetrics, deferrable: bool
) -> None:
    connect_whole(password=None)
    with pytest.raises(PushMetricsConfigurationError, match=r"no API token.*The report was not run"):
        run_task(deferrable=deferrable, require_outcome=True)
    assert pushmetrics.runs == []
    assert run_task(require_outcome=True, wait_for_completion=False)["run_id"] == 1


def test_whether_rows_are_missing_is_not_left_open_where_that_is_to_fail(
    connect_whole: Connect, pushmetrics: FakePushMetrics, deferrable: bool
) -> None:
    """Without an API token nobody says it, and the task succeeded with a cut result."""
    connect_whole(password=None)
    with pytest.raises(PushMetricsConfigurationError, match=r"on_truncated is 'fail'.*was not run"):
        run_task(deferrable=deferrable, on_truncated="fail")
    assert pushmetrics.runs == []
    assert run_task(deferrable=deferrable, on_truncated="warn")["status"] is None


def test_a_server_whose_outputs_do_not_say_is_asked_for_the_run(
    pushmetrics: FakePushMetrics, deferrable: bool
) -> None:
    """The body of a run's outputs is documented nowhere; the list of runs has its status."""
    pushmetrics.outputs_say_status = False
    assert run_task(deferrable=deferrable, require_outcome=True)["status"] == "success"
    pushmetrics.outcomes = ["failed"]
    with pytest.raises(PushMetricsRunFailed, match="ended with status failed"):
        run_task(FakeTaskInstance(max_tries=5), deferrable=deferrable)


@pytest.mark.parametrize("require_outcome", [False, True])
def test_a_run_of_which_only_the_event_is_known_may_count_as_a_success_or_not(
    pushmetrics: FakePushMetrics, require_outcome: bool
) -> None:
    """Neither its outputs nor the list of runs tell how it ended."""
    pushmetrics.outputs_say_status, pushmetrics.outcomes = False, ["meditating"]
    run = pushmetrics.start_run()
    event = {"status": "success", "run_id": run.id, "report_id": "1", "outputs_url": None}
    context: Any = {"ti": FakeTaskInstance()}
    operator = build(require_outcome=require_outcome)
    if require_outcome:
        with pytest.raises(PushMetricsRunError, match="its outcome is unknown: PushMetrics does not"):
            operator.execute_complete(context, event)
    else:
        with capture_logs() as logs:
            assert operator.execute_complete(context, event)["status"] is None
        assert "set require_outcome=True to fail instead" in str(logs)


# Not waiting


@pytest.mark.parametrize("changes", [{}, NO_API_TOKEN | NO_RECEIVER], ids=["whole", "trigger-token-only"])
def test_without_waiting_the_task_is_done_when_the_run_is_accepted(
    connect_whole: Connect, pushmetrics: FakePushMetrics, deferrable: bool, changes: dict[str, Any]
) -> None:
    connect_whole(**changes)
    pushmetrics.outcomes = ["running"]
    ti = FakeTaskInstance()
    result = run_task(ti, wait_for_completion=False, deferrable=deferrable)
    assert (result["report_id"], result["run_id"], result["status"]) == ("1", 1, None)
    assert find_links(ti) == [f"{pushmetrics.url}/api/reports/1/run/1"]


def test_without_waiting_nothing_is_asked_but_the_trigger(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    connect_whole(receiver_token="a-token-that-the-receiver-refuses")
    run_task(wait_for_completion=False)
    assert [seen.path for seen in pushmetrics.seen] == ["/api/v1/report/1/webhook"]


def test_without_waiting_a_run_that_nobody_named_stays_unnamed(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.names_runs = False
    ti = FakeTaskInstance()
    assert run_task(ti, wait_for_completion=False)["run_id"] is None
    assert find_links(ti) == []


# Tries, clearing and mapping


def test_a_try_after_a_crash_adopts_the_run_that_was_started(pushmetrics: FakePushMetrics) -> None:
    ti = FakeTaskInstance()
    first = run_task(ti)
    again = run_task(dataclasses.replace(ti, try_number=2))
    assert first == again
    assert len(pushmetrics.runs) == 1
    assert len(set(pushmetrics.keys)) == 1


@pytest.mark.parametrize("marks_replays", [True, False])
def test_a_try_after_a_failed_run_starts_another_one(
    pushmetrics: FakePushMetrics, deferrable: bool, marks_replays: bool
) -> None:
    pushmetrics.outcomes = ["failed", "cancelled", "success"]
    pushmetrics.marks_replays = marks_replays
    for number in (1, 2):
        with pytest.raises(PushMetricsRunFailed, match=f"run {number} "):
            run_task(FakeTaskInstance(try_number=number), deferrable=deferrable)
    assert run_task(FakeTaskInstance(try_number=3), deferrable=deferrable)["run_id"] == 3
    assert len(pushmetrics.runs) == 3
    assert len(set(pushmetrics.keys)) == 3


@pytest.mark.parametrize("marks_replays", [True, False])
def test_an_adopted_run_is_found_though_its_event_came_before_this_try(
    connect_whole: Connect, pushmetrics: FakePushMetrics, deferrable: bool, marks_replays: bool
) -> None:
    pushmetrics.marks_replays = marks_replays
    run_task()
    pushmetrics.start_run("2")
    if marks_replays:  # without the header, it takes the API to know a run that was there before
        connect_whole(password=None)
    assert run_task(FakeTaskInstance(try_number=2), deferrable=deferrable, timeout=5)["run_id"] == 1


def test_a_cleared_task_starts_another_run(pushmetrics: FakePushMetrics) -> None:
    run_task(FakeTaskInstance(max_tries=2))
    assert run_task(FakeTaskInstance(try_number=2, max_tries=3))["run_id"] == 2


def test_a_cleared_task_that_reuses_its_run_goes_on_with_it_unless_it_has_failed(
    pushmetrics: FakePushMetrics, deferrable: bool
) -> None:
    pushmetrics.outcomes = ["success", "failed", "success"]
    wanted: dict[str, Any] = {"on_clear": "reuse", "deferrable": deferrable}
    assert run_task(FakeTaskInstance(max_tries=2), **wanted)["run_id"] == 1
    assert run_task(FakeTaskInstance(try_number=2, max_tries=3), **wanted)["run_id"] == 1
    with pytest.raises(PushMetricsRunFailed):
        run_task(FakeTaskInstance(run_id="another"), **wanted)
    assert run_task(FakeTaskInstance(run_id="another", max_tries=3), **wanted)["run_id"] == 3


def test_each_mapped_task_starts_a_run_of_its_own(pushmetrics: FakePushMetrics) -> None:
    assert [run_task(FakeTaskInstance(map_index=index))["run_id"] for index in range(3)] == [1, 2, 3]


def test_a_server_that_does_not_know_keys_starts_a_run_each_time(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.honors_keys = False
    assert [run_task(FakeTaskInstance(try_number=number))["run_id"] for number in (1, 2)] == [1, 2]


def test_a_server_that_gives_one_failed_run_for_every_key_is_not_asked_for_ever(
    pushmetrics: FakePushMetrics,
) -> None:
    pushmetrics.outcomes = ["failed"]
    pushmetrics.always_replays = pushmetrics.start_run()
    with pytest.raises(PushMetricsRunFailed, match="run 1 "):
        run_task()
    assert len(pushmetrics.triggered) == MAX_EARLIER_RUNS


def test_a_key_used_with_other_parameters_fails_the_task(pushmetrics: FakePushMetrics) -> None:
    run_task(parameters={"day": "1"})
    with pytest.raises(PushMetricsConflictError, match=r"must be the same in every try.*clear the task"):
        run_task(FakeTaskInstance(try_number=2), parameters={"day": "2"})
    assert len(pushmetrics.runs) == 1


# Trust and secrets


def test_a_forged_event_gets_no_token_and_ends_no_wait(
    connect_whole: Connect, pushmetrics: FakePushMetrics, deferrable: bool
) -> None:
    with serve_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as elsewhere:
        connect_whole()
        pushmetrics.looks = 3
        forged = dataclasses.replace(pushmetrics, url=elsewhere.url)
        pushmetrics.inbox.add(forged.build_event(FakeRun(1, "1", {})))
        # The event came before the run: it counts for a run that was there before.
        run_task(wait_for_completion=False)
        ti = FakeTaskInstance(try_number=2)
        assert run_task(ti, deferrable=deferrable)["status"] == "success"
        assert elsewhere.requests == []
    assert find_links(ti) == [f"{pushmetrics.url}/api/reports/1/run/1"]


@pytest.mark.parametrize("names_runs", [True, False], ids=["known", "first-to-arrive"])
def test_the_event_of_another_pushmetrics_on_the_same_receiver_ends_no_wait(
    connect_whole: Connect,
    pushmetrics: FakePushMetrics,
    deferrable: bool,
    names_runs: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    connect_whole(**NO_API_TOKEN)
    pushmetrics.other_sender, pushmetrics.names_runs = "https://staging.example", names_runs
    result = run_task(deferrable=deferrable)
    assert (result["run_id"], result["outputs_url"]) == (1, f"{pushmetrics.url}/api/reports/1/run/1")
    assert caplog.text.count("'https://staging.example/api/reports/1/run/1', are not at") == 1


def test_outputs_that_redirect_elsewhere_get_no_token_there_and_fail_the_task_with_the_reason(
    connect_whole: Connect, pushmetrics: FakePushMetrics, server: LoopbackServer, deferrable: bool
) -> None:
    with serve_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as elsewhere:
        app: Any = server.app
        moved = RedirectResponse(f"{elsewhere.url}/api/reports/1/run/1", 301)

        async def redirect(scope: Any, receive: Any, send: Any) -> None:
            is_outputs = scope["type"] == "http" and scope["path"] == "/api/reports/1/run/1"
            await (moved if is_outputs else app)(scope, receive, send)

        server.app = redirect
        with pytest.raises(PushMetricsProtocolError, match="they would forward the token"):
            run_task(deferrable=deferrable)
        assert elsewhere.requests == []


def test_a_forged_outputs_url_is_not_published_as_the_run_link(pushmetrics: FakePushMetrics) -> None:
    ti = FakeTaskInstance()
    event = {"status": "success", "run_id": 2, "report_id": "1", "outputs_url": "javascript:alert(1)"}
    context: Any = {"ti": ti}
    with pytest.raises(PushMetricsUntrustedUrlError):
        build().execute_complete(context, event)
    assert find_links(ti) == []


@pytest.mark.parametrize("outcome", ["success", "failed"])
def test_no_token_is_in_what_a_task_leaves_behind(
    pushmetrics: FakePushMetrics, deferrable: bool, outcome: str, caplog: pytest.LogCaptureFixture
) -> None:
    pushmetrics.outcomes = [outcome]
    with capture_logs() as logs, caplog.at_level(logging.DEBUG):
        left = try_task(deferrable=deferrable)
    assert "run 1 was started" in str(logs).replace("%d", "1").replace("%s", "1")
    assert len(json.dumps(left)) < 2000
    for secret in (API_TOKEN, TRIGGER_TOKEN, READER_TOKEN):
        assert secret not in json.dumps(left)
        assert secret not in caplog.text + str(logs)


@pytest.mark.parametrize("outcome", ["success", "failed"])
def test_token_in_the_url_of_an_event_is_neither_in_the_link_nor_in_the_log_nor_in_the_error(
    pushmetrics: FakePushMetrics, outcome: str
) -> None:
    pushmetrics.outcomes, pushmetrics.url_query = [outcome], "?key=a-key-of-the-sender"
    ti, said = FakeTaskInstance(), ""
    with capture_logs() as logs:
        try:
            run_hidden(pushmetrics, ti)
        except PushMetricsRunFailed as error:
            said = str(error)
    assert find_links(ti) == [f"{pushmetrics.url}/api/reports/1/run/1"]
    assert "/api/reports/1/run/1" in said + str(logs)
    assert "a-key-of-the-sender" not in said + str(logs)


def test_a_refused_trigger_fails_the_task_without_its_token(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    connect_whole(trigger_tokens={"1": "a-wrong-trigger-token"})
    with pytest.raises(PushMetricsAuthError) as caught:
        run_task()
    assert "a-wrong-trigger-token" not in str(caught.value)
    assert pushmetrics.runs == []


# Deferring


def test_a_deferred_task_leaves_airflows_own_deadline_behind_ours(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.outcomes = ["running"]
    context: Any = {"ti": FakeTaskInstance()}
    with pytest.raises(TaskDeferred) as caught:
        build(deferrable=True, timeout=60).execute(context)
    trigger = caught.value.trigger
    assert isinstance(trigger, PushMetricsRunTrigger)
    assert trigger.deadline == pytest.approx(time.time() + 60, abs=5)
    assert caught.value.timeout.total_seconds() == pytest.approx(360, abs=5)


def test_a_deferred_task_without_a_timeout_has_no_deadline(pushmetrics: FakePushMetrics) -> None:
    pushmetrics.outcomes = ["running"]
    context: Any = {"ti": FakeTaskInstance()}
    with pytest.raises(TaskDeferred) as caught:
        build(deferrable=True, timeout=None, pushmetrics_conn_id="pushmetrics_default").execute(context)
    written = caught.value.trigger.serialize()[1]
    assert (written["deadline"], caught.value.timeout) == (None, None)
    assert (written["report_id"], written["run_id"], written["poll_interval_seconds"]) == ("1", 1, 0.01)
    assert find_links(context["ti"]) == [f"{pushmetrics.url}/api/reports/1/run/1"]
