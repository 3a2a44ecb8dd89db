"""The calls of the PushMetrics API, each written once, for sync and async alike."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ValidationError

from airflow_provider_pushmetrics.client.credentials import Credentials, name_connection
from airflow_provider_pushmetrics.client.errors import find_message, refuse_failed_result
from airflow_provider_pushmetrics.client.models import Run, RunBlock, RunLogLine, RunOutputs, TriggeredRun
from airflow_provider_pushmetrics.client.protocol import Call, Request, Response
from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT, RetryPolicy
from airflow_provider_pushmetrics.client.retrying import DEFAULT_POLICY, send
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsAuthError,
    PushMetricsError,
    PushMetricsParameterError,
    PushMetricsProtocolError,
)
from airflow_provider_pushmetrics.tracing import TaskOrigin, build_trace_headers

ModelT = TypeVar("ModelT", bound=BaseModel)

JSON_TYPE = "application/json"
TRIGGER_PATH = re.compile(r"/api/v1/report/\{\w+\}/webhook")
NEW_RUNS_LIMIT = 100
LOG_LINES = 1000
"""How many lines of a log are fetched, as in PushMetrics' own client; the server allows 5,000."""

CANCEL_TIMEOUT_SECONDS = 10.0
"""Airflow gives a killed trigger 30 s, and the process of a worker no more than that."""


def trigger_report(
    base_url: str,
    report_id: str,
    trigger_token: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    idempotency_key: str | None = None,
    conn_id: str | None = None,
    origin: TaskOrigin | None = None,
) -> Call[TriggeredRun]:
    """
    Start a run of a report by its webhook trigger.

    The parameters are sent in the JSON body and only the token in the query, because the documentation does
    not say which one wins if both name a parameter. The trace of the current span goes with the call.

    :param origin: The task that starts the run; PushMetrics may show it.
    :raises PushMetricsParameterError: for parameters that cannot be sent.
    :raises PushMetricsDeliveryUnknownError: if there is no response, so the run may have been started.
    :raises PushMetricsApiError: if the server rejects the call.
    """
    path = f"/api/v1/report/{quote_report_id(report_id)}/webhook"
    headers = {"Accept": JSON_TYPE, **build_trace_headers(origin)}
    if idempotency_key:
        headers["Idempotency-Key"] = idempotency_key
    request = Request(
        "POST",
        f"{base_url}{path}?{urlencode({'token': trigger_token})}",
        headers=headers,
        json_body=check_parameters(parameters),
        is_repeatable=False,
        credential=f"the token of report {report_id!r} in the extra 'trigger_tokens' of"
        f" {name_connection(conn_id)}",
        after_403=f"The trigger of report {report_id!r} is disabled: enable the trigger in PushMetrics",
    )
    response = yield from send(request)
    answer = response.parse_object(request)
    if answer.get("success") is not True:
        raise PushMetricsApiError(
            f'{request.describe()} was answered {response.status_code} without "success": true, so no run was'
            f" started: {find_message(request, response)}",
            status_code=response.status_code,
        )
    was_replayed = response.headers.get("idempotency-replayed", "").lower() == "true"
    return parse_answer(TriggeredRun, answer | {"was_replayed": was_replayed}, request)


def honors_idempotency_keys(base_url: str) -> Call[bool]:
    """
    Return whether the server's OpenAPI description declares ``Idempotency-Key`` for its triggers.

    The only other sign is the marked response to a repeated key. False if the server cannot be reached.
    """
    request = build_get(f"{base_url}/openapi.json")
    try:
        description = (yield from send(request, ONE_ATTEMPT)).parse_object(request)
    except PushMetricsError:
        return False
    return any(
        str(parameter.get("name")).lower() == "idempotency-key" and parameter.get("in") == "header"
        for parameter in _list_trigger_parameters(description)
    )


def _list_trigger_parameters(description: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for path, methods in _read_object(description.get("paths")).items():
        parameters = _read_object(_read_object(methods).get("post")).get("parameters")
        if TRIGGER_PATH.fullmatch(path) and isinstance(parameters, list):
            found += [parameter for parameter in parameters if isinstance(parameter, dict)]
    return found


def _read_object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


class CheckedParameters(dict[str, Any]):
    """Parameters that can be sent. Only ``check_parameters`` creates them, so they need no other check."""


def check_parameters(parameters: Mapping[str, Any] | None) -> CheckedParameters:
    """
    Check that parameters can be sent: a JSON object without a parameter called ``token``.

    :raises PushMetricsParameterError: if not.
    """
    if isinstance(parameters, CheckedParameters):
        return parameters
    if parameters is None:
        return CheckedParameters()
    if not isinstance(parameters, Mapping) or not all(isinstance(name, str) for name in parameters):
        raise PushMetricsParameterError(
            f"parameters must be a dictionary with names as keys, not {type(parameters).__name__}."
        )
    if "token" in parameters:
        raise PushMetricsParameterError(
            "a parameter cannot be called 'token': the webhook keeps that name for its own token. Rename the"
            " Parameter block of the report."
        )
    for name, value in parameters.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise PushMetricsParameterError(
                f"parameter {name!r} must be JSON: {error}. Pass dates as text and numbers as int or float,"
                " not NaN."
            ) from error
    return CheckedParameters(parameters)


def fetch_runs(
    credentials: Credentials, report_id: str, policy: RetryPolicy = DEFAULT_POLICY
) -> Call[tuple[Run, ...]]:
    """
    Fetch the newest runs of a report, newest first; whoever may see none gets none.

    A server that does not know the filter answers with every report's runs: what says so is left out.
    """
    rows = yield from fetch_run_page(credentials, 0, NEW_RUNS_LIMIT, policy, report_id)
    ours = (run for run in rows if may_be_of_report(run, str(report_id)))
    return tuple(sorted(ours, key=lambda run: run.id, reverse=True))


def fetch_newest_runs(
    credentials: Credentials, limit: int, policy: RetryPolicy = DEFAULT_POLICY
) -> Call[tuple[Run, ...]]:
    """Fetch the newest runs of all reports; the server may return fewer than requested."""
    return (yield from fetch_run_page(credentials, 0, limit, policy))


def fetch_run_page(
    credentials: Credentials,
    page: int,
    page_size: int,
    policy: RetryPolicy = DEFAULT_POLICY,
    report_id: str | None = None,
) -> Call[tuple[Run, ...]]:
    """
    Fetch one page of the runs, newest first.

    :param report_id: The number or the uid of their report. A server that does not know this filter returns
        the runs of all reports.
    """
    of_report = {} if report_id is None else {"report_uid": report_id}
    query = urlencode({**of_report, "q": f"(page:{page},page_size:{page_size})"})
    request = build_get(f"{credentials.base_url}/api/v1/noteflow_run/?{query}")
    answer = (yield from send_authorized(credentials, request, policy)).parse_object(request)
    return parse_rows(Run, answer, request)


def fetch_run(credentials: Credentials, run_id: int, policy: RetryPolicy = DEFAULT_POLICY) -> Call[Run]:
    request = build_get(f"{credentials.base_url}/api/v1/noteflow_run/{int(run_id)}")
    answer = (yield from send_authorized(credentials, request, policy)).parse_object(request)
    return parse_answer(Run, answer.get("result", answer), request)


def fetch_run_logs(
    credentials: Credentials, run_id: int, *, limit: int = LOG_LINES, policy: RetryPolicy = DEFAULT_POLICY
) -> Call[tuple[RunLogLine, ...]]:
    """Fetch the log of a run, its first lines first."""
    wanted = f"(filters:!((col:noteflow_run_id,opr:frid_eq,value:{int(run_id)})),page_size:{int(limit)})"
    request = build_get(f"{credentials.base_url}/api/v1/noteflow_run_log/?{urlencode({'q': wanted})}")
    answer = (yield from send_authorized(credentials, request, policy)).parse_object(request)
    return parse_rows(RunLogLine, answer, request)


def fetch_run_blocks(
    credentials: Credentials, run_id: int, policy: RetryPolicy = DEFAULT_POLICY
) -> Call[tuple[RunBlock, ...]]:
    """Fetch the status of each block of a run."""
    request = build_get(f"{credentials.base_url}/api/v1/noteflow_run/{int(run_id)}/get_task_results")
    answer = (yield from send_authorized(credentials, request, policy)).parse_object(request)
    return parse_rows(RunBlock, answer, request)


def cancel_run(credentials: Credentials, run_id: int, policy: RetryPolicy = DEFAULT_POLICY) -> Call[bool]:
    """
    Cancel a run; False if it has ended, or if the server cannot cancel runs.

    pushmetrics.io documents no such endpoint; the reference service has one.
    """
    request = Request(
        "POST",
        f"{credentials.base_url}/api/v1/noteflow_run/{int(run_id)}/cancel",
        headers={"Accept": JSON_TYPE},
        timeout_seconds=CANCEL_TIMEOUT_SECONDS,
    )
    try:
        yield from send_authorized(credentials, request, policy)
    except PushMetricsApiError as error:
        if error.status_code not in (404, 405, 409):
            raise
        return False
    return True


def fetch_outputs(
    credentials: Credentials, url: str, policy: RetryPolicy = DEFAULT_POLICY
) -> Call[RunOutputs | None]:
    """
    Fetch the outputs of a report run; None until the run ends.

    A status that this version does not know counts as unfinished, as it does in the list of runs.

    :raises PushMetricsUntrustedUrlError: if the API token must not be sent to the URL's origin.
    """
    request = build_get(url)
    response = yield from send_authorized(credentials, request, policy)
    if response.status_code == 202:
        return None
    outputs = parse_answer(RunOutputs, response.parse_object(request), request)
    return outputs if outputs.status is None or outputs.status.is_finished else None


def fetch_query_result(
    credentials: Credentials, url: str, *, parse_float: Callable[[str], Any] = float
) -> Call[dict[str, Any] | None]:
    """
    Fetch the result of a query as JSON; None until its run ends.

    :param parse_float: Parses the numbers that are not whole.

    :raises PushMetricsRunFailed: if the query failed: its JSON has no rows.
    :raises PushMetricsUntrustedUrlError: if the API token must not be sent to the URL's origin.
    """
    request = build_get(url)
    response = yield from send_authorized(credentials, request)
    if response.status_code == 202:
        return None
    result = response.parse_object(request, parse_float=parse_float)
    refuse_failed_result(request, result)
    return result


def build_outputs_url(base_url: str, report_id: str | int, run_id: int) -> str:
    """Build the documented URL of a report run's outputs."""
    return f"{base_url}/api/reports/{quote_report_id(report_id)}/run/{int(run_id)}"


def send_authorized(
    credentials: Credentials, request: Request, policy: RetryPolicy = DEFAULT_POLICY
) -> Call[Response]:
    """
    Send a request with the API token; if the server rejects the JWT, exchange the token again, once.

    :raises PushMetricsUntrustedUrlError: before anything is sent, if the token must not be sent there.
    """
    credentials.refuse_untrusted(request.url)
    authorized = yield from _add_authorization(credentials, request, policy)
    try:
        return (yield from _send_reading(authorized, policy))
    except PushMetricsAuthError as error:
        if error.status_code != 401 or not credentials.can_renew:
            raise
    credentials.discard_jwt()
    authorized = yield from _add_authorization(credentials, request, policy)
    return (yield from _send_reading(authorized, policy))


def _send_reading(request: Request, policy: RetryPolicy) -> Call[Response]:
    """Send a GET, then a POST if the server has no GET: the documentation mentions both."""
    try:
        return (yield from send(request, policy))
    except PushMetricsApiError as error:
        if error.status_code != 405 or request.method != "GET":
            raise
    return (yield from send(replace(request, method="POST"), policy))


def _add_authorization(credentials: Credentials, request: Request, policy: RetryPolicy) -> Call[Request]:
    authorization = yield from credentials.authorize(policy)
    return replace(request, headers={**request.headers, **authorization}, credential=credentials.token_name)


def quote_report_id(report_id: str | int) -> str:
    """Quote a report's id for a path. Dots are refused: HTTP clients resolve them, quoted or not."""
    text = str(report_id).strip()
    if text in ("", ".", ".."):
        raise PushMetricsParameterError(
            f"report_id is {report_id!r}: it must be a report's id, as in its webhook URL."
        )
    return quote(text, safe="")


def may_be_of_report(run: Run, report_id: str) -> bool:
    """Return whether a run may belong to a report that is known by its number or by its uid."""
    if report_id in (str(run.report_id), run.report_uid):
        return True
    return (run.report_id if report_id.isdigit() else run.report_uid) is None


def parse_rows(model: type[ModelT], answer: Mapping[str, Any], request: Request) -> tuple[ModelT, ...]:
    """
    Read a list that was answered.

    :raises PushMetricsProtocolError: if it has another shape.
    """
    rows = answer.get("result")
    if not isinstance(rows, list):
        raise PushMetricsProtocolError(f"{request.describe()} was answered without a list in 'result'.")
    return tuple(parse_answer(model, row, request) for row in rows)


def build_get(url: str) -> Request:
    """Build a request for JSON."""
    return Request("GET", url, headers={"Accept": JSON_TYPE})


def parse_answer(model: type[ModelT], value: Any, request: Request) -> ModelT:
    """
    Read what was answered.

    :raises PushMetricsProtocolError: if it has another shape.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        fields = ", ".join(sorted({".".join(map(str, fault["loc"])) or "answer" for fault in error.errors()}))
        raise PushMetricsProtocolError(
            f"{request.describe()} returned JSON of an unexpected shape; invalid fields: {fields}."
        ) from None
