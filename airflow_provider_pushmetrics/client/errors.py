"""Turn an HTTP response into a typed error, with the server's message and without secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow_provider_pushmetrics.client.models import RunStatus
from airflow_provider_pushmetrics.client.protocol import Request, Response
from airflow_provider_pushmetrics.client.retry_policy import RETRYABLE_STATUS_CODES
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsAuthError,
    PushMetricsConflictError,
    PushMetricsNotFoundError,
    PushMetricsProtocolError,
    PushMetricsRunFailed,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.redaction import redact
from airflow_provider_pushmetrics.retry_after import parse_retry_after
from airflow_provider_pushmetrics.storable import clean_text

MAX_MESSAGE_CHARACTERS = 500
"""PushMetrics' own client truncates the server's message to this length."""

_READ_BYTES = 10 * MAX_MESSAGE_CHARACTERS


def build_error(request: Request, response: Response) -> PushMetricsApiError | None:
    """Build the error of a response; None for 2xx."""
    status = response.status_code
    if 200 <= status < 300:
        return None
    what = f"{request.describe()} was answered {status}"
    if 300 <= status < 400:
        return PushMetricsProtocolError(
            f"{what}, a redirect to {_clean(request, response.headers.get('location', '(nowhere)'))!r};"
            " redirects are not followed, because they would forward the token. Set the connection's host to"
            " the server of PushMetrics' API, without a path, such as https://pushmetrics.io.",
            status_code=status,
        )
    said = f"{what}: {(find_message(request, response) or 'no message').rstrip('.')}"
    if status in RETRYABLE_STATUS_CODES or status >= 500:
        retry_after = parse_retry_after(response.headers.get("retry-after"))
        return PushMetricsUnavailableError(said, status_code=status, retry_after_seconds=retry_after)
    if status in (401, 402, 403):
        advice = request.after_403 if status == 403 else None
        return PushMetricsAuthError(f"{said}. {advice or f'Check {request.credential}'}.", status_code=status)
    if status == 404:
        return PushMetricsNotFoundError(said, status_code=status)
    if status == 409:
        return PushMetricsConflictError(said, status_code=status)
    return PushMetricsApiError(said, status_code=status)


def find_message(request: Request, response: Response) -> str | None:
    """
    Find the server's error message: JSON ``message``, else ``error``, else the start of the body.

    It is truncated. Anything that looks like a token, and the tokens of the request, are removed.
    """
    try:
        answer = json.loads(response.body)
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict):
        for key in ("message", "error", "msg"):
            if isinstance(answer.get(key), str) and answer[key]:
                return _clean(request, answer[key])
    text = response.body[:_READ_BYTES].decode("utf-8", "replace").strip()
    return _clean(request, text) or None


def refuse_failed_result(request: Request, result: Mapping[str, Any]) -> None:
    """
    Check that a result in JSON is not that of a query that failed or did not run: it is a 200 without rows.

    :raises PushMetricsRunFailed: with the query's status and its error.
    """
    given = result.get("status")
    status = RunStatus.parse(given)
    if not isinstance(given, str) or status is RunStatus.SUCCESS:
        return
    if status is RunStatus.UNKNOWN and result.get("data"):
        return  # another server's word for the status of a result that has rows
    name, error = (result.get(key) for key in ("query_name", "error"))
    said = _clean(request, error).rstrip(".") if isinstance(error, str) and error else "no message"
    query = f"query {_clean(request, name)!r}" if isinstance(name, str) and name else "the query"
    raise PushMetricsRunFailed(
        f"{query} has no result: it has the status {_clean(request, given)}: {said}."
        f" See {redact(request.url)}"
    )


def _clean(request: Request, text: str) -> str:
    """
    Redact before truncating, so that truncation cannot split a token and hide it from redaction.

    Control characters and surrogates are replaced: neither Airflow nor a UTF-8 log accepts all text of JSON.
    """
    return clean_text(redact(text[:_READ_BYTES], *request.list_secrets())[:MAX_MESSAGE_CHARACTERS])
