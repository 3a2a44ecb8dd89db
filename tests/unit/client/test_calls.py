from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from airflow_provider_pushmetrics.client import calls
from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.models import RunStatus
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsAuthError,
    PushMetricsConflictError,
    PushMetricsDeliveryUnknownError,
    PushMetricsNotFoundError,
    PushMetricsParameterError,
    PushMetricsProtocolError,
    PushMetricsUntrustedUrlError,
)
from tests.fakes.scripted import BROKE_OFF, FakeClock, ScriptedDriver, build_answer, read_query, run_call

BASE = "https://pushmetrics.io"
TOKEN = "t+k/n=="
OUTPUTS_URL = f"{BASE}/api/reports/1/run/7"
PAT = "pmpat_" + "a" * 43


def build_credentials(token: str = "opaque-token") -> Credentials:
    return Credentials(BASE, token, clock=FakeClock())


def trigger(*script: Any, report_id: str = "1", **kwargs: Any) -> ScriptedDriver:
    driver = ScriptedDriver(list(script) or [build_answer(200, {"success": True, "run_id": 7})])
    driver.run(calls.trigger_report(BASE, report_id, TOKEN, **kwargs))
    return driver


# The trigger


def test_the_trigger_is_posted_with_the_token_alone_in_the_query() -> None:
    request = trigger(parameters={"origin": "JFK", "month": 2}).requests[0]
    assert (request.method, request.is_repeatable) == ("POST", False)
    assert request.url.startswith(f"{BASE}/api/v1/report/1/webhook?")
    assert read_query(request) == {"token": TOKEN}
    assert request.json_body == {"origin": "JFK", "month": 2}


def test_the_trigger_sends_no_authorization() -> None:
    assert set(trigger().last_headers) == {"Accept"}


def test_the_idempotency_key_is_a_header() -> None:
    assert trigger(idempotency_key="key-1").last_headers["Idempotency-Key"] == "key-1"


def describe(path: Any, name: str = "Idempotency-Key", place: str = "header") -> dict[str, Any]:
    return {"paths": {path: {"post": {"parameters": [{"name": name, "in": place}, "odd"]}}}}


TRIGGER_ROUTE = "/api/v1/report/{reference}/webhook"


@pytest.mark.parametrize(
    ("answer", "honors"),
    [
        (build_answer(200, describe(TRIGGER_ROUTE)), True),
        (build_answer(200, describe(TRIGGER_ROUTE, "idempotency-key")), True),
        (build_answer(200, describe(TRIGGER_ROUTE, place="query")), False),
        (build_answer(200, describe(TRIGGER_ROUTE, "X-Other")), False),
        (build_answer(200, describe("/api/v1/payments")), False),
        (build_answer(200, {"paths": {TRIGGER_ROUTE: {"post": []}}}), False),
        (build_answer(200, {"paths": {TRIGGER_ROUTE: {"post": {"parameters": None}}}}), False),
        (build_answer(200, {"paths": {TRIGGER_ROUTE: 7}}), False),
        (build_answer(200, {"paths": []}), False),
        (build_answer(200, b"<html>Sign in</html>", content_type="text/html"), False),
        (build_answer(404, {"message": "Not found"}), False),
        (build_answer(302, location="/login"), False),
        (BROKE_OFF, False),
    ],
)
def test_only_a_server_that_says_so_is_known_to_honor_keys(answer: Any, honors: bool) -> None:
    driver = ScriptedDriver([answer])
    assert driver.run(calls.honors_idempotency_keys(BASE)) is honors
    assert set(driver.last_headers) == {"Accept"}


def test_no_parameters_are_an_empty_object() -> None:
    assert trigger().requests[0].json_body == {}


def test_a_report_id_is_quoted_into_the_path() -> None:
    assert trigger(report_id="a/b?c#d e").paths == ["POST /api/v1/report/a%2Fb%3Fc%23d%20e/webhook"]


@pytest.mark.parametrize("report_id", [".", "..", "", " "])
def test_a_report_id_that_would_lead_to_another_path_is_refused(report_id: str) -> None:
    with pytest.raises(PushMetricsParameterError, match="report_id"):
        trigger(report_id=report_id)
    with pytest.raises(PushMetricsParameterError, match="report_id"):
        calls.build_outputs_url(BASE, report_id, 7)


@pytest.mark.parametrize(
    ("headers", "was_replayed"),
    [({}, False), ({"idempotency_replayed": "true"}, True), ({"idempotency_replayed": "false"}, False)],
)
def test_the_run_and_whether_it_was_replayed_are_returned(headers: Any, was_replayed: bool) -> None:
    answer = build_answer(200, {"success": True, "run_id": 7, "was_replayed": "nonsense"}, **headers)
    run = run_call(calls.trigger_report(BASE, "1", TOKEN), answer)
    assert (run.run_id, run.was_replayed) == (7, was_replayed)


def test_an_answer_without_a_run_id_is_a_success_too() -> None:
    run = run_call(calls.trigger_report(BASE, "1", TOKEN), build_answer(200, {"success": True}))
    assert run.run_id is None


@pytest.mark.parametrize("body", [{}, {"success": False}, {"success": "true"}, {"success": 1}])
def test_an_answer_that_does_not_say_success_is_an_error(body: dict[str, Any]) -> None:
    with pytest.raises(PushMetricsApiError, match='without "success": true, so no run was started'):
        trigger(build_answer(200, body))


def test_the_servers_reason_is_in_the_error_without_the_token() -> None:
    answer = build_answer(200, {"success": False, "message": f"{TOKEN} has expired"})
    with pytest.raises(PushMetricsApiError, match=r"\*\*\* has expired") as caught:
        trigger(answer)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (
            build_answer(200, b"<html>Sign in</html>", content_type="text/html"),
            PushMetricsProtocolError,
            "instead of a JSON object",
        ),
        (
            build_answer(301, location="https://pushmetrics.io/app"),
            PushMetricsProtocolError,
            "redirects are not followed",
        ),
        (BROKE_OFF, PushMetricsDeliveryUnknownError, "may have arrived"),
        (build_answer(409, {"message": "key used before"}), PushMetricsConflictError, "key used before"),
    ],
    ids=["page", "redirect", "no-answer", "key-of-other-parameters"],
)
def test_any_other_answer_to_the_trigger_is_an_error(answer: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        trigger(answer)


def test_a_refused_trigger_names_the_request_without_its_token() -> None:
    with pytest.raises(PushMetricsAuthError, match=r"webhook\?token=\*\*\* was answered 401") as caught:
        trigger(build_answer(401, {"message": "Not authorized"}))
    assert TOKEN not in str(caught.value)
    assert "t%2Bk%2Fn" not in str(caught.value)


# Parameters


def test_parameters_keep_their_json_types() -> None:
    parameters = {"a": None, "b": [1, 2.5], "c": {"d": True}, "e": "x'; DROP TABLE flights; --"}
    assert calls.check_parameters(parameters) == parameters


def test_parameters_are_copied() -> None:
    parameters = {"a": 1}
    assert calls.check_parameters(parameters) is not parameters


def build_self_containing() -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    parameters["self"] = parameters
    return parameters


@pytest.mark.parametrize(
    "parameters",
    [
        ["a"],
        "a=1",
        {1: 2},
        {"token": "x"},
        {"when": date(2026, 1, 1)},
        {"n": float("nan")},
        {"n": float("inf")},
        {"set": {1}},
        build_self_containing(),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_parameters_that_cannot_be_sent_are_refused_before_the_call(parameters: Any) -> None:
    with pytest.raises(PushMetricsParameterError):
        run_call(calls.trigger_report(BASE, "1", TOKEN, parameters))


# Runs


def test_the_runs_of_a_report_are_asked_for_and_sorted_newest_first() -> None:
    rows = [{"id": 3, "status": "success"}, {"id": 9, "status": "RUNNING"}, {"id": 5}]
    driver = ScriptedDriver([build_answer(200, {"result": rows})])
    runs = driver.run(calls.fetch_runs(build_credentials(), "aBc12"))
    assert [run.id for run in runs] == [9, 5, 3]
    assert runs[0].status is RunStatus.RUNNING
    query = read_query(driver.requests[0])
    assert query == {"report_uid": "aBc12", "q": f"(page:0,page_size:{calls.NEW_RUNS_LIMIT})"}
    assert driver.last_headers["Authorization"] == "Bearer opaque-token"


@pytest.mark.parametrize("report_id", ["1", "aBc12"])
def test_runs_that_say_they_are_of_another_report_are_left_out(report_id: str) -> None:
    rows = [
        {"id": 1, "report_id": 1, "report_uid": "aBc12"},
        {"id": 2, "report_id": 2, "report_uid": "xYz98"},
        {"id": 3},
    ]
    runs = run_call(calls.fetch_runs(build_credentials(), report_id), build_answer(200, {"result": rows}))
    assert [run.id for run in runs] == [3, 1]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"result": None},
        {"result": {}},
        {"result": [1]},
        {"result": [{"uid": "x"}]},
        {"result": [{"id": 2**63}]},
    ],
)
def test_a_list_of_runs_of_another_shape_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(PushMetricsProtocolError):
        run_call(calls.fetch_runs(build_credentials(), "1"), build_answer(200, body))


@pytest.mark.parametrize("wrap", [lambda row: {"result": row}, lambda row: row])
def test_one_run_is_read_wrapped_or_bare(wrap: Any) -> None:
    driver = ScriptedDriver([build_answer(200, wrap({"id": 7, "status": "success"}))])
    run = driver.run(calls.fetch_run(build_credentials(), 7))
    assert (run.id, run.status) == (7, RunStatus.SUCCESS)
    assert driver.paths == ["GET /api/v1/noteflow_run/7"]


def test_an_unknown_run_is_not_found() -> None:
    with pytest.raises(PushMetricsNotFoundError):
        run_call(calls.fetch_run(build_credentials(), 7), build_answer(404))


# Outputs and results


def test_outputs_are_fetched_with_the_token() -> None:
    body = {"run_id": 7, "status": "failed", "blocks": [{"name": "a", "status": "failed"}], "new_field": 1}
    driver = ScriptedDriver([build_answer(200, body)])
    outputs = driver.run(calls.fetch_outputs(build_credentials(), OUTPUTS_URL))
    assert outputs is not None
    assert outputs.status is RunStatus.FAILED
    assert driver.last_headers["Authorization"] == "Bearer opaque-token"


@pytest.mark.parametrize("status", ["running", "pending", "meditating"])
def test_outputs_with_a_status_that_is_no_end_are_not_there_yet(status: str) -> None:
    answer = build_answer(200, {"run_id": 7, "status": status})
    assert run_call(calls.fetch_outputs(build_credentials(), OUTPUTS_URL), answer) is None


def test_outputs_that_say_nothing_of_an_end_are_there() -> None:
    outputs = run_call(calls.fetch_outputs(build_credentials(), OUTPUTS_URL), build_answer(200, {}))
    assert outputs is not None


@pytest.mark.parametrize("fetch", [calls.fetch_outputs, calls.fetch_query_result])
def test_nothing_is_there_while_the_run_goes_on(fetch: Any) -> None:
    assert run_call(fetch(build_credentials(), OUTPUTS_URL), build_answer(202, {"status": "running"})) is None


@pytest.mark.parametrize("fetch", [calls.fetch_outputs, calls.fetch_query_result])
def test_no_request_is_sent_to_an_origin_that_is_not_trusted(fetch: Any) -> None:
    with pytest.raises(PushMetricsUntrustedUrlError):
        run_call(fetch(build_credentials(), "https://evil.example/api/reports/1/run/7"))


def test_no_exchange_is_made_for_a_url_that_is_not_trusted() -> None:
    with pytest.raises(PushMetricsUntrustedUrlError):
        run_call(calls.fetch_outputs(build_credentials(PAT), "https://evil.example/"))


def test_outputs_of_another_shape_name_the_fields_at_fault_and_no_values() -> None:
    body = {"run_id": "pmpat_secret", "queries": [{"query_id": "x"}]}
    with pytest.raises(PushMetricsProtocolError, match=r"queries\.0\.query_id, .*run_id") as caught:
        run_call(calls.fetch_outputs(build_credentials(), OUTPUTS_URL), build_answer(200, body))
    assert "pmpat_secret" not in str(caught.value)


def test_a_server_without_get_is_asked_by_post() -> None:
    driver = ScriptedDriver([build_answer(405), build_answer(200, {"data": []})])
    driver.run(calls.fetch_query_result(build_credentials(), OUTPUTS_URL))
    assert driver.paths == ["GET /api/reports/1/run/7", "POST /api/reports/1/run/7"]
    first, second = driver.requests
    assert first.headers == second.headers
    assert second.json_body is None


@pytest.mark.parametrize("status", [400, 403, 404, 501])
def test_only_405_is_asked_again_by_post(status: int) -> None:
    driver = ScriptedDriver([build_answer(status)], repeats_last=True)
    with pytest.raises(PushMetricsApiError):
        driver.run(calls.fetch_query_result(build_credentials(), OUTPUTS_URL))
    assert {request.method for request in driver.requests} == {"GET"}


def test_405_to_both_is_final() -> None:
    with pytest.raises(PushMetricsApiError) as caught:
        run_call(calls.fetch_outputs(build_credentials(), OUTPUTS_URL), build_answer(405), build_answer(405))
    assert caught.value.status_code == 405


# A refused Bearer


def build_exchange(jwt: str) -> Any:
    return build_answer(200, {"access_token": jwt, "expires_in": 900})


def test_a_refused_jwt_is_exchanged_anew_once_and_the_request_sent_again() -> None:
    driver = ScriptedDriver(
        [
            build_exchange("jwt.one"),
            build_answer(401),
            build_exchange("jwt.two"),
            build_answer(200, {"id": 7}),
        ]
    )
    assert driver.run(calls.fetch_run(build_credentials(PAT), 7)).id == 7
    assert [request.headers["Authorization"] for request in driver.requests] == [
        f"Bearer {PAT}",
        "Bearer jwt.one",
        f"Bearer {PAT}",
        "Bearer jwt.two",
    ]


def test_a_second_refusal_is_final() -> None:
    script = [build_exchange("jwt.one"), build_answer(401), build_exchange("jwt.two"), build_answer(401)]
    with pytest.raises(PushMetricsAuthError):
        run_call(calls.fetch_run(build_credentials(PAT), 7), *script)


@pytest.mark.parametrize("status", [402, 403])
def test_a_jwt_that_may_not_is_not_exchanged_anew(status: int) -> None:
    with pytest.raises(PushMetricsAuthError):
        run_call(calls.fetch_run(build_credentials(PAT), 7), build_exchange("jwt.one"), build_answer(status))


def test_a_url_of_outputs_is_built_as_documented() -> None:
    assert calls.build_outputs_url(BASE, 1, 7) == OUTPUTS_URL
    assert calls.build_outputs_url(BASE, "a/b", 7) == f"{BASE}/api/reports/a%2Fb/run/7"


# Cancelling


def test_a_run_is_cancelled_by_a_post_with_the_token() -> None:
    driver = ScriptedDriver([build_answer(200, {"result": {"id": 7}})])
    assert driver.run(calls.cancel_run(build_credentials(), 7)) is True
    assert driver.paths == ["POST /api/v1/noteflow_run/7/cancel"]
    assert driver.last_headers["Authorization"] == "Bearer opaque-token"


@pytest.mark.parametrize("status", [404, 405, 409])
def test_a_run_that_has_ended_or_a_server_that_cannot_cancel_is_no_error(status: int) -> None:
    assert run_call(calls.cancel_run(build_credentials(), 7), build_answer(status)) is False


def test_whoever_may_not_cancel_is_told() -> None:
    with pytest.raises(PushMetricsAuthError):
        run_call(calls.cancel_run(build_credentials(), 7), build_answer(403))


# Runs of all reports


def test_the_newest_runs_of_all_reports_are_one_list() -> None:
    rows = [{"id": 8, "status": "running", "report_id": 2}, {"id": 7, "status": "success", "report_id": 1}]
    driver = ScriptedDriver([build_answer(200, {"count": 2, "result": rows})])
    runs = driver.run(calls.fetch_newest_runs(build_credentials(), 50))
    assert [(run.id, run.status) for run in runs] == [(8, RunStatus.RUNNING), (7, RunStatus.SUCCESS)]
    assert read_query(driver.requests[0]) == {"q": "(page:0,page_size:50)"}
