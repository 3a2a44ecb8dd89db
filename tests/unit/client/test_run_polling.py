from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.models import FeedEvent
from airflow_provider_pushmetrics.client.run_polling import (
    OUTPUTS_SECONDS,
    REFUSAL_SECONDS,
    UNLISTED_PER_POLL,
    RunPoll,
    RunSnapshot,
    fetch_snapshot,
)
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsAuthError,
    PushMetricsConfigurationError,
    PushMetricsNotFoundError,
    PushMetricsParameterError,
    PushMetricsRunError,
)
from tests.fakes.scripted import FakeClock, ScriptedDriver, build_answer, run_call

BASE = "https://pushmetrics.io"
CREDENTIALS = Credentials(BASE, "opaque-token")
ANY = EventFilter("report.run")
OF_REPORT = EventFilter("report.run", report_id=1)


def build_list(*runs: tuple[int, str], report_id: int = 1) -> Any:
    rows = [{"id": number, "status": status, "report_id": report_id} for number, status in runs]
    return build_answer(200, {"count": len(rows), "result": rows})


def build_outputs(report_id: int = 1) -> Any:
    query = {"query_id": 3, "query_name": "alias", "query_result": f"{BASE}/q", "row_count": 5}
    return build_answer(
        200, {"report_id": report_id, "report_name": "Delays", "status": "success", "queries": [query]}
    )


NOT_FOUND = build_answer(404, {})

END = build_list()
"""The page after the last one."""


# What there was when the wait began


def test_runs_that_go_on_when_the_wait_begins_are_remembered() -> None:
    runs = build_list((9, "running"), (8, "success"), (7, "pending"))
    assert run_call(fetch_snapshot(CREDENTIALS, OF_REPORT), runs, END) == RunSnapshot(9, (9, 7))


def test_before_a_first_run_there_is_none() -> None:
    assert run_call(fetch_snapshot(CREDENTIALS, ANY), build_list()) == RunSnapshot(0, ())


def test_a_run_that_is_known_needs_no_memory() -> None:
    assert run_call(fetch_snapshot(CREDENTIALS, EventFilter("report.run", run_id=7))) == RunSnapshot()


# Looking


def test_a_run_is_told_as_its_event_would_tell_it() -> None:
    found = run_call(
        RunPoll(OF_REPORT, RunSnapshot(8)).poll(CREDENTIALS), build_list((9, "success")), END, build_outputs()
    )
    assert found == FeedEvent(
        id=9,
        source="api",
        body={
            "event": "report.run",
            "report_id": 1,
            "report_name": "Delays",
            "report_notebook_outputs": f"{BASE}/api/reports/1/run/9",
            "queries": [{"query_id": 3, "query_name": "alias", "query_result": f"{BASE}/q"}],
        },
    )


@pytest.mark.parametrize("status", ["success", "failed", "cancelled"])
def test_whatever_way_a_run_ended_it_is_told_as_events_do(status: str) -> None:
    assert run_call(
        RunPoll(OF_REPORT, RunSnapshot()).poll(CREDENTIALS), build_list((9, status)), END, build_outputs()
    )


@pytest.mark.parametrize(
    ("runs", "found"),
    [
        ([(8, "success"), (7, "running")], None),  # had ended before
        ([(9, "running"), (8, "success"), (7, "running")], None),
        ([(8, "success"), (7, "success")], 7),  # was unfinished
        (
            [(10, "success"), (9, "failed"), (8, "success"), (7, "running")],
            9,
        ),  # the first that ended
    ],
)
def test_only_a_run_that_ended_after_the_wait_began_counts(runs: list[Any], found: int | None) -> None:
    poll = RunPoll(OF_REPORT, RunSnapshot(8, (7,)))
    answers = [build_list(*runs), build_outputs()] if found else [build_list(*runs)]
    event = run_call(poll.poll(CREDENTIALS), *answers)
    assert (event.id if event else None) == found


def test_a_run_that_is_not_wanted_is_looked_at_once() -> None:
    asked = []

    def accepts(event: FeedEvent) -> bool:
        asked.append(event.id)
        return event.id == 10

    poll = RunPoll(OF_REPORT, RunSnapshot(), accepts)
    assert run_call(poll.poll(CREDENTIALS), build_list((9, "success")), END, build_outputs()) is None
    listed = build_list((10, "success"), (9, "success"))
    found = run_call(poll.poll(CREDENTIALS), listed, build_outputs())
    assert (found.id if found else None, asked) == (10, [9, 10])


def test_a_run_that_is_gone_does_not_end_the_wait_for_another() -> None:
    poll = RunPoll(OF_REPORT, RunSnapshot(8))
    listed = build_list((10, "success"), (9, "success"), (8, "success"))
    found = run_call(poll.poll(CREDENTIALS), listed, NOT_FOUND, build_outputs())
    assert found is not None
    assert found.id == 10


def test_a_run_is_given_up_with_a_warning_only_after_ten_minutes_without_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = FakeClock()
    poll = RunPoll(OF_REPORT, RunSnapshot(8), clock=clock)
    listed, asked_at = build_list((9, "success"), (8, "success")), list[float]()
    began = clock()
    for _ in range(300):
        driver = ScriptedDriver([listed, NOT_FOUND])
        assert driver.run(poll.poll(CREDENTIALS)) is None
        asked_at += [clock() - began] * (len(driver.requests) - 1)
        clock.advance(5.0)
    assert asked_at == [0, 5, 10, 20, 40, 80, 160, 320, 640]
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "Run 9 is given up, and the wait continues for another one"
    ]


def test_a_run_is_not_given_up_for_refusals_with_an_answer_between_them() -> None:
    clock = FakeClock()
    poll = RunPoll(OF_REPORT, RunSnapshot(8), clock=clock)
    listed = build_list((9, "success"), (8, "success"))
    for answer in (NOT_FOUND, build_answer(202), NOT_FOUND):
        assert run_call(poll.poll(CREDENTIALS), listed, answer) is None
        clock.advance(2000.0)
    found = run_call(poll.poll(CREDENTIALS), listed, build_outputs())
    assert (found.id if found else None) == 9


@pytest.mark.parametrize("run_id", [None, 9])
def test_an_event_waits_for_the_outputs_of_its_run(run_id: int | None) -> None:
    poll = RunPoll(EventFilter("report.run", report_id=1, run_id=run_id), RunSnapshot(8))
    listed = build_list((9, "success"), (8, "success")) if run_id is None else build_run(9, "success")
    assert run_call(poll.poll(CREDENTIALS), listed, build_answer(202)) is None
    found = run_call(poll.poll(CREDENTIALS), listed, build_outputs())
    assert found is not None
    assert [query["query_id"] for query in found.body["queries"]] == [3]


@pytest.mark.parametrize("run_id", [None, 9])
def test_a_failed_run_without_outputs_is_an_event_without_queries(run_id: int | None) -> None:
    clock = FakeClock()
    poll = RunPoll(EventFilter("report.run", report_id=1, run_id=run_id), RunSnapshot(8), clock=clock)
    listed = build_list((9, "failed"), (8, "success")) if run_id is None else build_run(9, "failed")
    for seconds in (0.0, OUTPUTS_SECONDS - 1):
        clock.advance(seconds)
        assert run_call(poll.poll(CREDENTIALS), listed, build_answer(202)) is None
    clock.advance(1)
    found = run_call(poll.poll(CREDENTIALS), listed, build_answer(202))
    assert found is not None
    assert (found.id, found.body["report_id"], found.body["queries"]) == (9, 1, [])


@pytest.mark.parametrize("run_id", [None, 9])
def test_a_successful_run_whose_outputs_never_come_is_given_up(
    run_id: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    """A wait for this run ends with the error, and any other continues."""
    clock = FakeClock()
    poll = RunPoll(EventFilter("report.run", report_id=1, run_id=run_id), RunSnapshot(8), clock=clock)
    listed = build_list((9, "success"), (8, "success")) if run_id is None else build_run(9, "success")
    for seconds in (0.0, REFUSAL_SECONDS - 1):
        clock.advance(seconds)
        assert run_call(poll.poll(CREDENTIALS), listed, build_answer(202)) is None
    clock.advance(1)
    message = "run 9 ended with status success, and its outputs are not available after 600 s"
    if run_id is not None:
        with pytest.raises(PushMetricsRunError, match=message):
            run_call(poll.poll(CREDENTIALS), listed, build_answer(202))
        return
    assert run_call(poll.poll(CREDENTIALS), listed, build_answer(202)) is None
    assert f"Run 9 is given up, and the wait continues for another one: {message}" in caplog.text
    listed = build_list((10, "success"), (9, "success"), (8, "success"))
    found = run_call(poll.poll(CREDENTIALS), listed, build_outputs())
    assert found is not None
    assert found.id == 10


# Runs whose report is not listed by its number


def build_uids(*runs: tuple[int, str]) -> Any:
    rows = [{"id": number, "status": "success", "report_uid": uid} for number, uid in runs]
    return build_answer(200, {"count": len(rows), "result": rows})


def build_report(number: int) -> Any:
    return build_answer(200, {"result": {"id": number, "uid": "any"}})


def test_a_run_of_another_report_that_is_listed_by_its_uid_is_not_taken() -> None:
    poll = RunPoll(OF_REPORT, RunSnapshot(8))
    listed = build_uids((10, "ours"), (9, "theirs"), (8, "theirs"))
    unnamed = build_answer(200, {"status": "success"})
    driver = ScriptedDriver([listed, build_report(2), unnamed, build_report(1), unnamed])
    found = driver.run(poll.poll(CREDENTIALS))
    assert found is not None
    assert (found.id, found.body["report_id"]) == (10, 1)
    assert driver.paths[1:] == [
        "GET /api/v1/report/theirs",
        "GET /api/reports/2/run/9",
        "GET /api/v1/report/ours",
        "GET /api/reports/1/run/10",
    ]


def test_a_report_is_looked_up_once_for_all_its_runs() -> None:
    poll = RunPoll(ANY, RunSnapshot(8), accepts=lambda event: event.id == 10)
    listed = build_uids((10, "ours"), (9, "ours"), (8, "ours"))
    unnamed = build_answer(200, {"status": "success"})
    found = run_call(poll.poll(CREDENTIALS), listed, build_report(4), unnamed, unnamed)
    assert found is not None
    assert found.body["report_id"] == 4


def test_a_run_without_any_name_of_its_report_is_an_error_with_the_way_out() -> None:
    poll = RunPoll(EventFilter("report.run", run_id=9))
    run = build_answer(200, {"result": {"id": 9, "status": "success"}})
    with pytest.raises(PushMetricsParameterError, match="does not say of which report run 9 is"):
        run_call(poll.poll(CREDENTIALS), run)


def test_a_run_whose_outputs_a_proxy_did_not_find_once_is_found_by_the_next_poll() -> None:
    poll = RunPoll(OF_REPORT, RunSnapshot(8))
    listed = build_list((9, "success"), (8, "success"))
    assert run_call(poll.poll(CREDENTIALS), listed, NOT_FOUND) is None
    found = run_call(poll.poll(CREDENTIALS), listed, build_outputs())
    assert (found.id if found else None) == 9


# More runs than one list has


def build_run(number: int, status: str) -> Any:
    return build_answer(200, {"result": {"id": number, "status": status, "report_id": 1}})


def test_all_pages_are_read_as_far_as_the_last_list() -> None:
    poll = RunPoll(OF_REPORT, RunSnapshot(5))
    first, second = build_list((9, "running"), (8, "running")), build_list((7, "success"), (5, "success"))
    driver = ScriptedDriver([first, second, build_outputs()])
    found = driver.run(poll.poll(CREDENTIALS))
    assert (found.id if found else None) == 7
    assert "page%3A1%2Cpage_size%3A2" in driver.requests[1].url


def test_an_unfinished_run_that_is_no_longer_in_the_list_is_requested_by_itself() -> None:
    poll = RunPoll(OF_REPORT, RunSnapshot(5, (3,)))
    first = build_list((6, "running"), (5, "success"))
    assert run_call(poll.poll(CREDENTIALS), first, build_run(3, "running")) is None
    second = build_list((8, "running"), (6, "running"))
    found = run_call(poll.poll(CREDENTIALS), second, build_run(3, "success"), build_outputs())
    assert (found.id if found else None) == 3
    third = build_list((9, "running"), (8, "running"))
    answers = [third, NOT_FOUND, build_run(6, "failed"), build_outputs()]
    found = run_call(poll.poll(CREDENTIALS), *answers)
    assert (found.id if found else None) == 6


def test_unfinished_runs_outside_of_the_list_take_turns() -> None:
    open_ids = tuple(range(1, UNLISTED_PER_POLL + 11))
    poll = RunPoll(OF_REPORT, RunSnapshot(100, open_ids))
    listed, asked = build_list((100, "success")), list[str]()
    for _ in range(2):
        driver = ScriptedDriver([listed, *(build_run(1, "running") for _ in range(UNLISTED_PER_POLL))])
        assert driver.run(poll.poll(CREDENTIALS)) is None
        asked += [path.rpartition("/")[2] for path in driver.paths[1:]]
    assert len(asked) == 2 * UNLISTED_PER_POLL
    assert {int(number) for number in asked} == set(open_ids)


def test_a_run_is_not_forgotten_when_a_poll_fails_after_the_list() -> None:
    poll = RunPoll(OF_REPORT, RunSnapshot(8))
    listed = build_list((9, "success"), (8, "success"))
    with pytest.raises(PushMetricsAuthError):
        run_call(poll.poll(CREDENTIALS), listed, build_answer(401, {}))
    found = run_call(poll.poll(CREDENTIALS), listed, build_outputs())
    assert (found.id if found else None) == 9


def test_a_run_that_is_asked_for_and_gone_is_an_error() -> None:
    poll = RunPoll(EventFilter("report.run", report_id=1, run_id=7))
    run = build_answer(200, {"result": {"id": 7, "status": "success", "report_id": 1}})
    with pytest.raises(PushMetricsNotFoundError):
        run_call(poll.poll(CREDENTIALS), run, build_answer(404, {}))


def test_where_nobody_saw_which_runs_there_were_no_old_one_is_taken() -> None:
    with pytest.raises(PushMetricsParameterError, match="it is not known which runs existed"):
        run_call(RunPoll(OF_REPORT).poll(CREDENTIALS))


def test_a_run_of_another_report_than_the_wanted_one_is_not_taken() -> None:
    poll = RunPoll(EventFilter("report.run", report_id=1, run_id=7))
    run = build_answer(200, {"result": {"id": 7, "status": "success", "report_id": 2}})
    assert run_call(poll.poll(CREDENTIALS), run, build_outputs(2)) is None


@pytest.mark.parametrize(("status", "is_there"), [(200, True), (202, False)])
def test_a_query_has_run_when_its_result_is_there(status: int, is_there: bool) -> None:
    poll = RunPoll(EventFilter("query.run", 1, 3, 2))
    driver = ScriptedDriver([build_answer(status, {"status": "running"})])
    found = driver.run(poll.poll(CREDENTIALS))
    assert driver.paths == ["GET /api/reports/1/queries/3/run/2"]
    assert driver.requests[0].is_streamed  # the result may be large, and is not read
    url = f"{BASE}/api/reports/1/queries/3/run/2"
    body = {"event": "query.run", "query_id": 3, "report_id": 1, "query_result": url}
    assert found == (FeedEvent(id=2, source="api", body=body) if is_there else None)


# What cannot be asked


@pytest.mark.parametrize("missing", ["report_id", "query_id", "run_id"])
def test_a_query_that_is_not_known_by_its_numbers_cannot_be_waited_for(missing: str) -> None:
    numbers: dict[str, Any] = {"report_id": 1, "query_id": 3, "run_id": 2}
    del numbers[missing]
    with pytest.raises(PushMetricsParameterError, match="the API has no list of them"):
        RunPoll(EventFilter("query.run", **numbers)).check_can_poll(CREDENTIALS)


def test_without_an_api_token_nobody_can_be_asked() -> None:
    with pytest.raises(PushMetricsConfigurationError, match="neither a receiver nor an API token"):
        RunPoll(ANY).check_can_poll(Credentials(BASE))
