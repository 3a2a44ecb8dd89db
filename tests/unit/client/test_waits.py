from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from airflow_provider_pushmetrics.client import waits
from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.feed import Receiver
from airflow_provider_pushmetrics.client.models import RunStatus
from airflow_provider_pushmetrics.client.protocol import Request
from airflow_provider_pushmetrics.client.retry_policy import MAX_PAUSE_SECONDS, RetryPolicy
from airflow_provider_pushmetrics.client.wait_budget import WaitBudget
from airflow_provider_pushmetrics.client.waits import FinishedRun, RunTarget
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsAmbiguousRun,
    PushMetricsAuthError,
    PushMetricsConfigurationError,
    PushMetricsLastLookError,
    PushMetricsNotFoundError,
    PushMetricsUnavailableError,
)
from tests.fakes.scripted import FakeClock, Script, ScriptedDriver, build_answer, read_query

BASE = "https://pushmetrics.io"
RECEIVER = Receiver("https://airflow.example/pushmetrics", "reader-token")
WITH_TOKEN = Credentials(BASE, "opaque-token")
WITHOUT_TOKEN = Credentials(BASE)
ANY_RUN = EventFilter("report.run")
UNAVAILABLE = build_answer(503)


def build_page(*events: dict[str, Any], cursor: int | None = None) -> Any:
    newest = events[-1]["id"] if events else 0
    return build_answer(200, {"events": list(events), "cursor": newest if cursor is None else cursor})


def build_event(event_id: int, run_id: int = 7, report_id: int = 1, **body: Any) -> dict[str, Any]:
    run = {
        "event": "report.run",
        "report_id": report_id,
        "report_notebook_outputs": f"{BASE}/api/reports/{report_id}/run/{run_id}",
        "queries": [],
        **body,
    }
    return {"id": event_id, "source": "demo", "received_at": "2026-01-01T00:00:00+00:00", "body": run}


def build_run(status: str, run_id: int = 7, **fields: Any) -> Any:
    return build_answer(200, {"result": {"id": run_id, "status": status, "report_id": 1, **fields}})


def hold_back(driver: ScriptedDriver, answer: Any) -> Script:
    """Answer as a long poll does: when the time that it may last is over."""

    def wait(request: Request) -> Any:
        driver.clock.advance(float(read_query(request)["wait"]))
        return answer

    return wait


def build_budget(clock: FakeClock, timeout: float | None = 3600.0, **kwargs: Any) -> WaitBudget:
    return WaitBudget(None if timeout is None else clock() + timeout, clock=clock, **kwargs)


@pytest.fixture
def driver() -> ScriptedDriver:
    return ScriptedDriver([])


# Waiting for an event


def wait_for_event(
    driver: ScriptedDriver, timeout: float | None = 3600.0, after: int = 2, **kwargs: Any
) -> Any:
    budget = build_budget(driver.clock, timeout, **kwargs)
    return driver.run(waits.wait_for_event(RECEIVER, ANY_RUN, after=after, budget=budget))


def test_an_event_that_is_already_there_is_found_at_once(driver: ScriptedDriver) -> None:
    driver.script = [build_page(build_event(3))]
    assert wait_for_event(driver).id == 3
    assert driver.pauses == []


def test_a_wait_goes_on_after_what_it_has_seen(driver: ScriptedDriver) -> None:
    driver.script = [hold_back(driver, build_page(cursor=9)), build_page(build_event(12))]
    assert wait_for_event(driver).id == 12
    assert [read_query(request)["after"] for request in driver.requests] == ["2", "9"]
    assert driver.pauses == []


def test_a_deadline_that_passed_is_told_after_a_last_look(driver: ScriptedDriver) -> None:
    driver.script = [hold_back(driver, build_page(cursor=2)), build_page(cursor=2)]
    assert wait_for_event(driver, timeout=20) is None
    assert [read_query(request)["wait"] for request in driver.requests] == ["20", "0"]


def test_a_busy_inbox_does_not_prolong_the_last_look(driver: ScriptedDriver) -> None:
    pages = [build_page(cursor=number) for number in range(3, 30)]
    driver.script = [build_page(*[build_event(number) for number in (3, 4)]), *pages]
    budget = build_budget(driver.clock, 0.0)
    call = waits.wait_for_event(RECEIVER, ANY_RUN, after=2, budget=budget, accepts=lambda _: False)
    assert driver.run(call) is None
    assert [read_query(request)["after"] for request in driver.requests] == ["2", "4"]


def test_a_receiver_that_does_not_hold_answers_back_is_not_asked_without_a_pause(
    driver: ScriptedDriver,
) -> None:
    driver.script = [*[build_page(cursor=2)] * 3, build_page(build_event(3))]
    assert wait_for_event(driver, poll_interval_seconds=5.0).id == 3
    assert driver.pauses == [5.0, 5.0, 5.0]


def test_a_pause_never_goes_beyond_the_deadline(driver: ScriptedDriver) -> None:
    driver.script = [build_page(cursor=2), build_page(cursor=2)]
    assert wait_for_event(driver, timeout=3.0, poll_interval_seconds=5.0) is None
    assert driver.pauses == [3.0]


def test_a_server_that_asks_for_a_long_pause_does_not_end_the_wait(driver: ScriptedDriver) -> None:
    driver.script = [build_answer(503, retry_after="3600"), build_page(build_event(3))]
    assert wait_for_event(driver, timeout=7200.0).id == 3
    assert driver.pauses == [MAX_PAUSE_SECONDS]


def test_failures_are_logged_with_its_count_and_without_tokens(
    driver: ScriptedDriver, caplog: pytest.LogCaptureFixture
) -> None:
    driver.script = [
        *[build_answer(503, {"message": "reader-token"})] * 2,
        build_page(build_event(3)),
    ]
    with caplog.at_level(logging.WARNING):
        wait_for_event(driver)
    assert "failure 1 in a row" in caplog.text
    assert "failure 2 in a row" in caplog.text
    assert "reader-token" not in caplog.text


# Waiting for a run


def wait_for_run(
    driver: ScriptedDriver,
    target: RunTarget,
    credentials: Credentials = WITHOUT_TOKEN,
    receiver: Receiver | None = None,
    timeout: float | None = 3600.0,
    **kwargs: Any,
) -> FinishedRun | None:
    budget = build_budget(driver.clock, timeout, **kwargs)
    return driver.run(waits.wait_for_run(target, credentials=credentials, receiver=receiver, budget=budget))


@pytest.mark.parametrize("status", ["success", "failed", "cancelled", "COMPLETED"])
def test_the_api_tells_that_a_run_is_over(driver: ScriptedDriver, status: str) -> None:
    driver.script = [build_run("running"), build_run(status)]
    finished = wait_for_run(driver, RunTarget("1", 7), WITH_TOKEN, poll_interval_seconds=5.0)
    assert finished == FinishedRun("1", 7, status=RunStatus.parse(status))
    assert driver.pauses == [5.0]


@pytest.mark.parametrize("status", ["running", "success"])
def test_a_run_of_another_report_is_not_taken_for_ours(driver: ScriptedDriver, status: str) -> None:
    driver.script = [build_run(status, report_id=2)]
    with pytest.raises(PushMetricsNotFoundError, match="report 1 has no run 7: that is one of report 2"):
        wait_for_run(driver, RunTarget("1", 7), WITH_TOKEN)


def test_a_status_that_nobody_knows_counts_as_going_on_and_is_logged_once(
    driver: ScriptedDriver, caplog: pytest.LogCaptureFixture
) -> None:
    driver.script = [*[build_run("meditating")] * 3, build_run("success")]
    assert wait_for_run(driver, RunTarget("1", 7), WITH_TOKEN)
    assert caplog.text.count("counts as unfinished") == 1


def test_a_long_wait_says_now_and_then_that_it_goes_on(
    driver: ScriptedDriver, caplog: pytest.LogCaptureFixture
) -> None:
    driver.script = [build_run("pending"), *([build_run("running")] * 40), build_run("success")]
    with caplog.at_level(logging.INFO):
        assert wait_for_run(driver, RunTarget("1", 7), WITH_TOKEN, poll_interval_seconds=5.0)
    assert [record.getMessage() for record in caplog.records] == [
        f"run 7 of report 1 is running after {seconds} s; still waiting" for seconds in (60, 120, 180)
    ]


def test_a_wait_for_an_event_says_that_it_goes_on_too(
    driver: ScriptedDriver, caplog: pytest.LogCaptureFixture
) -> None:
    nothing = hold_back(driver, build_page(cursor=3))
    driver.script = [nothing, nothing, nothing, build_page(build_event(4))]
    with caplog.at_level(logging.INFO):
        assert wait_for_run(driver, RunTarget("1", None, 3), receiver=RECEIVER)
    assert [record.getMessage() for record in caplog.records] == [
        "the run of report 1 has not ended after 60 s; still waiting"
    ]


def test_an_event_tells_that_a_run_is_over(driver: ScriptedDriver) -> None:
    driver.script = [build_page(build_event(3))]
    finished = wait_for_run(driver, RunTarget("1", 7, after_cursor=2), receiver=RECEIVER)
    assert finished == FinishedRun("1", 7, f"{BASE}/api/reports/1/run/7")
    query = read_query(driver.requests[0])
    assert (query["event"], query["report_id"], query["run_id"], query["after"]) == (
        "report.run",
        "1",
        "7",
        "2",
    )


def test_without_a_run_id_the_first_event_of_the_report_after_the_cursor_counts(
    driver: ScriptedDriver,
) -> None:
    driver.script = [build_page(build_event(3, run_id=99))]
    finished = wait_for_run(driver, RunTarget("1", after_cursor=2), receiver=RECEIVER)
    assert finished is not None
    assert finished.run_id == 99
    assert "run_id" not in read_query(driver.requests[0])


def test_a_report_known_by_its_uid_is_matched_by_its_run(driver: ScriptedDriver) -> None:
    driver.script = [build_page(build_event(3))]
    assert wait_for_run(driver, RunTarget("aBc12", 7, after_cursor=2), receiver=RECEIVER)
    query = read_query(driver.requests[0])
    assert "report_id" not in query
    assert query["run_id"] == "7"


def test_a_report_known_by_its_uid_alone_is_not_mixed_up_with_any_other(driver: ScriptedDriver) -> None:
    driver.script = [build_page(build_event(3, report_id=99))]
    with pytest.raises(PushMetricsConfigurationError, match="'aBc12'"):
        wait_for_run(driver, RunTarget("aBc12", after_cursor=2), receiver=RECEIVER)


def test_both_are_asked_and_the_event_wakes(driver: ScriptedDriver) -> None:
    driver.script = [build_run("running"), build_page(build_event(3))]
    finished = wait_for_run(driver, RunTarget("1", 7, after_cursor=2), WITH_TOKEN, RECEIVER)
    assert finished == FinishedRun("1", 7, f"{BASE}/api/reports/1/run/7")
    assert driver.pauses == []


def test_both_are_asked_and_the_api_tells_if_no_webhook_comes(driver: ScriptedDriver) -> None:
    driver.script = [build_run("running"), hold_back(driver, build_page(cursor=2)), build_run("success")]
    finished = wait_for_run(driver, RunTarget("1", 7, after_cursor=2), WITH_TOKEN, RECEIVER)
    assert finished == FinishedRun("1", 7, status=RunStatus.SUCCESS)


@pytest.mark.parametrize(
    "fault", [{"report_id": "one"}, {"report_notebook_outputs": None}, {"event": "report.archived"}]
)
def test_an_event_that_cannot_be_meant_is_skipped(driver: ScriptedDriver, fault: dict[str, Any]) -> None:
    driver.script = [build_page(build_event(3, **fault)), build_page(build_event(4))]
    assert wait_for_run(driver, RunTarget("1", 7, after_cursor=2), receiver=RECEIVER)
    assert [read_query(request)["after"] for request in driver.requests] == ["2", "3"]


@pytest.mark.parametrize("elsewhere", ["https://staging.example", "http://pushmetrics.io", "/"])
def test_the_event_of_another_pushmetrics_is_skipped_and_logged(
    driver: ScriptedDriver, caplog: pytest.LogCaptureFixture, elsewhere: str
) -> None:
    url = f"{elsewhere}/api/reports/1/run/7?pass=t0ken-value"
    theirs = build_event(3, report_notebook_outputs=url)
    driver.script = [build_page(theirs, build_event(4))]
    finished = wait_for_run(driver, RunTarget("1", after_cursor=2), receiver=RECEIVER)
    assert finished == FinishedRun("1", 7, f"{BASE}/api/reports/1/run/7")
    assert "event 3 in the inbox is skipped" in caplog.text
    assert "'trusted_origins'" in caplog.text
    assert "t0ken-value" not in caplog.text


def test_the_event_of_a_trusted_origin_ends_the_wait(driver: ScriptedDriver) -> None:
    url = "https://results.example/api/reports/1/run/7"
    driver.script = [build_page(build_event(3, report_notebook_outputs=url))]
    credentials = Credentials(BASE, trusted_origins=("https://results.example",))
    target = RunTarget("1", after_cursor=2)
    assert wait_for_run(driver, target, credentials, RECEIVER) == FinishedRun("1", 7, url)


def test_an_event_behind_many_of_another_pushmetrics_is_found_by_the_last_look(
    driver: ScriptedDriver,
) -> None:
    theirs = [
        build_event(number, report_notebook_outputs="https://s.example/run/7") for number in range(3, 60)
    ]
    driver.script = [build_page(*theirs, build_event(60))]
    assert wait_for_run(driver, RunTarget("1", after_cursor=2), receiver=RECEIVER, timeout=0.0)


@pytest.mark.parametrize(
    ("target", "credentials"), [(RunTarget("1"), WITH_TOKEN), (RunTarget("1", 7), WITHOUT_TOKEN)]
)
def test_without_any_way_to_tell_the_wait_does_not_begin(
    driver: ScriptedDriver, target: RunTarget, credentials: Credentials
) -> None:
    with pytest.raises(PushMetricsConfigurationError, match="there is no way to wait for the run"):
        wait_for_run(driver, target, credentials)


def test_a_receiver_that_is_away_does_not_end_a_wait_that_the_api_can_end(driver: ScriptedDriver) -> None:
    look = [build_run("running"), UNAVAILABLE]
    driver.script = [*look * 5, build_run("success")]
    failures = RetryPolicy(attempts=2, base_seconds=1.0)
    assert wait_for_run(
        driver, RunTarget("1", 7, after_cursor=2), WITH_TOKEN, RECEIVER, failures=failures, timeout=None
    )


NOT_FOUND, PAGE, REFUSED = build_answer(404), build_answer(200, b"<html>"), build_answer(401)
LIST = build_answer(200, {"result": []})


@pytest.mark.parametrize("page", [NOT_FOUND, PAGE, REFUSED, build_answer(403), build_answer(302)])
def test_a_proxy_that_answers_in_place_of_pushmetrics_ends_no_wait(driver: ScriptedDriver, page: Any) -> None:
    driver.script = [build_run("running"), page, page, page, page, build_run("success")]
    assert wait_for_run(driver, RunTarget("1", 7), WITH_TOKEN)


def test_a_proxy_at_the_first_poll_ends_no_wait(driver: ScriptedDriver) -> None:
    driver.script = [NOT_FOUND, NOT_FOUND, build_run("success")]
    assert wait_for_run(driver, RunTarget("1", 7), WITH_TOKEN)


def test_a_token_that_is_rejected_at_the_first_poll_is_an_error_at_once(driver: ScriptedDriver) -> None:
    driver.script = [REFUSED, REFUSED]
    with pytest.raises(PushMetricsAuthError):
        wait_for_run(driver, RunTarget("1", 7), WITH_TOKEN)


def test_a_run_that_pushmetrics_no_longer_has_is_an_error_at_once(driver: ScriptedDriver) -> None:
    driver.script = [build_run("running"), NOT_FOUND, LIST, NOT_FOUND]
    with pytest.raises(PushMetricsNotFoundError):
        wait_for_run(driver, RunTarget("1", 7), WITH_TOKEN)


@pytest.mark.parametrize("page", [NOT_FOUND, PAGE, REFUSED])
def test_a_proxy_that_answers_in_place_of_the_receiver_ends_no_wait(
    driver: ScriptedDriver, page: Any
) -> None:
    driver.script = [page, build_page(build_event(3))]
    assert wait_for_run(driver, RunTarget("1", 7, after_cursor=2), receiver=RECEIVER)


def test_a_receiver_that_has_never_answered_and_refuses_is_an_error_at_once(driver: ScriptedDriver) -> None:
    driver.script = [REFUSED]
    with pytest.raises(PushMetricsAuthError):
        wait_for_run(driver, RunTarget("1", 7), receiver=RECEIVER)


@pytest.mark.parametrize("page", [NOT_FOUND, PAGE, REFUSED])
def test_a_proxy_that_answers_in_place_of_the_list_of_runs_ends_no_search(
    driver: ScriptedDriver, page: Any
) -> None:
    driver.script = [page, build_runs(6, 5), page, build_runs(6, 5)]
    assert find_new_run(driver).id == 6


# Finding a run that nobody named


def find_new_run(
    driver: ScriptedDriver,
    timeout: float | None = 30.0,
    *,
    after: int | None = 5,
    newest_wins: bool = False,
    **kwargs: Any,
) -> Any:
    budget = build_budget(driver.clock, timeout, poll_interval_seconds=1.0, **kwargs)
    target = RunTarget("1", after_run_id=after)
    return driver.run(
        waits.find_new_run(target, credentials=WITH_TOKEN, newest_wins=newest_wins, budget=budget)
    )


def build_runs(*ids: int) -> Any:
    return build_answer(200, {"result": [{"id": run_id, "status": "pending"} for run_id in ids]})


@pytest.mark.parametrize(("after", "listed", "ours"), [(5, (6, 5, 4), 6), (0, (1,), 1)])
def test_the_only_run_newer_than_before_is_ours(
    driver: ScriptedDriver, after: int, listed: tuple[int, ...], ours: int
) -> None:
    driver.script = [build_runs(*listed)] * 2
    assert find_new_run(driver, after=after).id == ours
    assert driver.pauses == [waits.SETTLE_SECONDS]


def test_a_run_of_others_that_is_listed_first_is_not_taken_for_ours(driver: ScriptedDriver) -> None:
    driver.script = [build_runs(7, 5), build_runs(7, 6, 5)]
    with pytest.raises(PushMetricsAmbiguousRun, match=r"2 runs .*7, 6"):
        find_new_run(driver)


def test_the_second_look_at_the_list_may_come_after_the_time_that_the_first_may_take(
    driver: ScriptedDriver,
) -> None:
    driver.script = [*[build_runs(5)] * 30, build_runs(6, 5), UNAVAILABLE, build_runs(6, 5)]
    assert find_new_run(driver, timeout=30.0).id == 6


@pytest.mark.parametrize(
    "answer", [UNAVAILABLE, build_answer(403), build_answer(404), build_answer(200, {"result": []})]
)
def test_a_second_look_that_fails_leaves_the_run_that_was_there(driver: ScriptedDriver, answer: Any) -> None:
    driver.script, driver.repeats_last = [build_runs(6, 5), answer], True
    assert find_new_run(driver).id == 6


def test_a_run_may_take_a_moment_to_be_listed(driver: ScriptedDriver) -> None:
    driver.script = [build_runs(5), build_runs(5), *[build_runs(6, 5)] * 2]
    assert find_new_run(driver).id == 6
    assert driver.pauses == [1.0, 1.0, waits.SETTLE_SECONDS]


def test_a_run_that_is_never_listed_is_none(driver: ScriptedDriver) -> None:
    driver.script, driver.repeats_last = [build_runs(5)], True
    assert find_new_run(driver, timeout=3.0) is None
    assert driver.clock() == FakeClock().now + 3.0


def test_several_candidates_are_named_and_not_guessed_at(driver: ScriptedDriver) -> None:
    driver.script = [build_runs(8, 6, 5)]
    with pytest.raises(PushMetricsAmbiguousRun, match=r"2 runs .*8, 6.*on_ambiguous='newest'"):
        find_new_run(driver)


def test_the_newest_of_several_is_taken_on_request(driver: ScriptedDriver) -> None:
    driver.script = [build_runs(6, 8, 5)]
    assert find_new_run(driver, newest_wins=True).id == 8


@pytest.mark.parametrize("newest_wins", [False, True])
def test_a_run_is_not_taken_from_a_list_of_several_reports_that_have_only_uids(
    driver: ScriptedDriver, newest_wins: bool
) -> None:
    rows = [{"id": 6, "report_uid": "theirs"}, {"id": 5, "report_uid": "ours"}]
    driver.script = [build_answer(200, {"result": rows})]
    with pytest.raises(
        PushMetricsAmbiguousRun, match=r"2 reports \(ours, theirs\).*Set report_id to its uid"
    ):
        find_new_run(driver, newest_wins=newest_wins)


# Failures


WAITS: dict[str, tuple[Callable[..., Any], Any]] = {
    "event": (wait_for_event, build_page(build_event(3))),
    "run-by-api": (
        partial(wait_for_run, target=RunTarget("1", 7), credentials=WITH_TOKEN),
        build_run("success"),
    ),
    "run-by-event": (
        partial(wait_for_run, target=RunTarget("1", 7), receiver=RECEIVER),
        build_page(build_event(3)),
    ),
    "new-run": (partial(find_new_run, newest_wins=True), build_runs(6, 5)),
}


@pytest.mark.parametrize(("wait", "answer"), WAITS.values(), ids=WAITS)
def test_failures_are_tolerated_up_to_a_number(
    driver: ScriptedDriver, wait: Callable[..., Any], answer: Any
) -> None:
    failures = RetryPolicy(attempts=3)
    driver.script = [UNAVAILABLE, UNAVAILABLE, answer]
    assert wait(driver, failures=failures, timeout=None)
    driver.script, driver.repeats_last = [UNAVAILABLE], True
    with pytest.raises(PushMetricsUnavailableError, match="503"):
        wait(driver, failures=failures, timeout=None)
    assert len(driver.requests) == 3 + 3


@pytest.mark.parametrize("wait", [wait for wait, _ in WAITS.values()], ids=WAITS)
def test_an_outage_at_the_deadline_ends_the_wait_with_its_cause(
    driver: ScriptedDriver, wait: Callable[..., Any]
) -> None:
    driver.script, driver.repeats_last = [UNAVAILABLE], True
    with pytest.raises(PushMetricsLastLookError, match="was answered 503"):
        wait(driver, timeout=5.0)
