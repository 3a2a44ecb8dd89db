from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.models import QueryOutcome, RunOutputs, RunStatus
from airflow_provider_pushmetrics.client.outcomes import (
    NO_API_TOKEN,
    NOT_SAID,
    OUTPUTS_TIMEOUT_SECONDS,
    POLL_SECONDS,
    RunOutcome,
    build_result,
    describe_truncation,
    fetch_outcome,
    refuse_failure,
    wait_until_ready,
)
from airflow_provider_pushmetrics.client.waits import FinishedRun
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsNotFoundError,
    PushMetricsRunFailed,
    PushMetricsUnavailableError,
    PushMetricsUntrustedUrlError,
)
from tests.fakes.scripted import FakeClock, ScriptedDriver, build_answer, run_call

BASE = "https://pushmetrics.io"
URL = f"{BASE}/api/reports/1/run/7"
RUN = FinishedRun("1", 7, URL)
KNOWN = Credentials(BASE, "an-api-token")


def build_outcome(status: str | None, *blocks: dict[str, Any], queries: Any = ()) -> RunOutcome:
    outputs = RunOutputs.model_validate({"status": status, "blocks": blocks, "queries": queries})
    return RunOutcome("1", 7, URL, outputs.status, outputs)


def build_query(**facts: Any) -> dict[str, Any]:
    return {"query_id": 1, "query_name": "q", "query_result": "https://h/q", **facts}


# Asking


def test_the_outputs_of_a_run_say_how_it_ended() -> None:
    outcome = run_call(fetch_outcome(RUN, KNOWN), build_answer(200, {"status": "COMPLETED"}))
    assert (outcome.status, outcome.outputs_url) == (RunStatus.SUCCESS, URL)
    assert outcome.is_clean


def test_the_list_of_runs_is_asked_where_the_outputs_do_not_say() -> None:
    listed = build_answer(200, {"result": {"id": 7, "status": "failed"}})
    outcome = run_call(fetch_outcome(RUN, KNOWN), build_answer(200, {}), listed)
    assert outcome.status is RunStatus.FAILED


@pytest.mark.parametrize("status", [RunStatus.FAILED, None])
def test_a_failed_run_that_never_has_outputs_has_failed(status: RunStatus | None) -> None:
    clock = FakeClock()
    listed = build_answer(200, {"result": {"id": 7, "status": "failed"}})
    looks = [build_answer(202)] * (int(OUTPUTS_TIMEOUT_SECONDS / POLL_SECONDS) + 1)
    driver = ScriptedDriver([*looks, listed], clock)
    credentials = Credentials(BASE, "an-api-token", clock=clock)
    outcome = driver.run(fetch_outcome(FinishedRun("1", 7, URL, status), credentials))
    assert (outcome.status, outcome.queries) == (RunStatus.FAILED, ())
    assert outcome.explain_failure()


def test_a_successful_run_that_has_no_outputs_yet_is_not_called_a_success() -> None:
    clock = FakeClock()
    driver = ScriptedDriver([build_answer(202)], clock)
    driver.repeats_last = True
    credentials = Credentials(BASE, "an-api-token", clock=clock)
    with pytest.raises(PushMetricsUnavailableError):
        driver.run(fetch_outcome(FinishedRun("1", 7, URL, RunStatus.SUCCESS), credentials))


@pytest.mark.parametrize("word", ["running", "meditating"])
def test_a_run_of_which_nobody_says_how_it_ended_is_unknown_and_not_clean(word: str) -> None:
    listed = build_answer(200, {"result": {"id": 7, "status": word}})
    outcome = run_call(fetch_outcome(RUN, KNOWN), build_answer(200, {}), listed)
    assert (outcome.status, outcome.explain_unknown(), outcome.is_clean) == (None, NOT_SAID, False)


def test_without_an_api_token_nothing_is_asked_and_nothing_is_known() -> None:
    outcome = run_call(fetch_outcome(RUN, Credentials(BASE)))
    assert (outcome.status, outcome.explain_unknown(), outcome.is_clean) == (None, NO_API_TOKEN, False)


def test_the_url_of_an_event_that_leads_elsewhere_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(PushMetricsUntrustedUrlError):
        run_call(fetch_outcome(FinishedRun("1", 7, "https://evil.example/run/7"), KNOWN))


def test_outputs_that_take_a_moment_are_waited_for_but_not_for_ever() -> None:
    clock = FakeClock()
    driver = ScriptedDriver([build_answer(202), build_answer(202), build_answer(200, {})], clock)
    assert driver.run(fetch_outcome(FinishedRun("1", None, URL), KNOWN)).outputs is not None
    assert driver.pauses == [1.0, 1.0]

    def look() -> Any:
        return None
        yield

    with pytest.raises(PushMetricsUnavailableError, match="had not ended after 5 s"):
        ScriptedDriver([], clock).run(wait_until_ready(look, timeout_seconds=5, clock=clock))


NOT_FOUND = build_answer(404)


def test_a_proxy_that_answers_in_place_of_pushmetrics_is_an_outage() -> None:
    driver = ScriptedDriver([NOT_FOUND, NOT_FOUND, build_answer(200, {"status": "success"})])
    assert driver.run(fetch_outcome(RUN, KNOWN)).is_clean
    assert len(driver.pauses) == 1
    driver = ScriptedDriver([NOT_FOUND], repeats_last=True)
    with pytest.raises(PushMetricsUnavailableError, match="was answered 404"):
        driver.run(fetch_outcome(RUN, KNOWN))
    assert len(driver.pauses) == 4


def test_outputs_that_pushmetrics_refuses_while_it_answers_others_are_an_error_at_once() -> None:
    listed = build_answer(200, {"result": []})
    with pytest.raises(PushMetricsNotFoundError):
        run_call(fetch_outcome(RUN, KNOWN), NOT_FOUND, listed, NOT_FOUND)


# Judging


@pytest.mark.parametrize("status", ["success", "COMPLETED", None])
def test_a_run_that_ended_well_or_unknown_is_not_refused(status: str | None) -> None:
    refuse_failure(build_outcome(status))


def test_a_failed_run_names_its_block_and_what_it_said() -> None:
    outcome = build_outcome(
        "failed",
        {"name": "origin", "status": "success"},
        {"name": "by_carrier", "status": "failed", "error": "division by zero"},
    )
    with pytest.raises(PushMetricsRunFailed) as caught:
        refuse_failure(outcome)
    assert str(caught.value) == (
        f"run 7 of report '1' ended with status failed at block 'by_carrier': division by zero. See {URL}"
    )
    assert caught.value.run_id == 7


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (build_outcome("cancelled"), r"run 7 of report '1' ended with status cancelled\. See"),
        (build_outcome("failed", {"name": "a", "status": "failed"}), "at block 'a': no message"),
    ],
    ids=["no-block", "no-message"],
)
def test_a_failed_run_without_details_is_a_failure_all_the_same(outcome: RunOutcome, words: str) -> None:
    with pytest.raises(PushMetricsRunFailed, match=words):
        refuse_failure(outcome)


def test_results_that_were_cut_are_named_with_their_limits() -> None:
    cut = build_query(is_truncated=True, row_limit=100)
    outcome = build_outcome("success", queries=[cut, build_query(query_id=2, query_name="whole")])
    assert not outcome.is_clean
    assert describe_truncation(outcome.list_truncated()) == (
        "the results of these queries are incomplete: 'q' (limit: 100 rows). Raise the row limit of the"
        " block, or let the query return fewer rows."
    )


@pytest.mark.parametrize(
    ("flags", "expected"), [([False, False], True), ([False, None], False), ([True], False), ([], True)]
)
def test_results_have_all_rows_only_where_the_server_says_so(
    flags: list[bool | None], expected: bool
) -> None:
    queries = [build_query(is_truncated=flag) for flag in flags]
    assert build_outcome("success", queries=queries).has_all_rows is expected


def test_a_query_without_a_name_and_a_limit_is_named_by_its_number() -> None:
    query = QueryOutcome(query_id=4, query_result="https://h/q", is_truncated=True)
    assert "4 (limit: not said rows)" in describe_truncation((query,))


def test_the_result_is_small_and_has_what_fetching_needs() -> None:
    query = build_query(status="success", row_count=3, is_truncated=False, row_limit=None)
    assert build_result(build_outcome("success", queries=[query | {"rows": [1, 2, 3]}])) == {
        "report_id": "1",
        "run_id": 7,
        "status": "success",
        "outputs_url": URL,
        "queries": [query],
    }
    assert build_result(RunOutcome("1", 7)) == {
        "report_id": "1",
        "run_id": 7,
        "status": None,
        "outputs_url": None,
        "queries": [],
    }
