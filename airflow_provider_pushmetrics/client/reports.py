"""The calls about reports and their webhook triggers, as the API shows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar
from urllib.parse import urlencode

from airflow_provider_pushmetrics.client.calls import (
    build_get,
    parse_answer,
    parse_rows,
    quote_report_id,
    send_authorized,
)
from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.models import Report, WebhookTrigger
from airflow_provider_pushmetrics.client.protocol import Call, Response
from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT, RetryPolicy
from airflow_provider_pushmetrics.client.retrying import DEFAULT_POLICY, send
from airflow_provider_pushmetrics.exceptions import PushMetricsApiError

RowT = TypeVar("RowT", Report, WebhookTrigger)

PAGE_SIZE = 100
"""The largest page that the API returns, unless its owner allows more."""


def fetch_reports(
    credentials: Credentials, *, limit: int | None = None, policy: RetryPolicy = DEFAULT_POLICY
) -> Call[tuple[Report, ...]]:
    """
    Fetch the reports that the API token may see, page by page.

    :param limit: The maximum number of reports; None for all.
    """
    return (yield from _fetch_pages(credentials, "report", Report, limit, policy))


def fetch_report(
    credentials: Credentials, report_id: str, policy: RetryPolicy = DEFAULT_POLICY
) -> Call[Report]:
    """
    Fetch one report by its number or its uid.

    :raises PushMetricsNotFoundError: if no report with that id is visible to the API token.
    """
    request = build_get(f"{credentials.base_url}/api/v1/report/{quote_report_id(report_id)}")
    answer = (yield from send_authorized(credentials, request, policy)).parse_object(request)
    return parse_answer(Report, answer.get("result", answer), request)


def _fetch_pages(
    credentials: Credentials, path: str, model: type[RowT], limit: int | None, policy: RetryPolicy
) -> Call[tuple[RowT, ...]]:
    """Fetch the rows of a list, page by page, until all are there or a page has no new one."""
    found: dict[int, RowT] = {}
    page_size = PAGE_SIZE if limit is None else min(limit, PAGE_SIZE)
    page = 0
    while limit is None or len(found) < limit:
        query = urlencode({"q": f"(page:{page},page_size:{page_size})"})
        request = build_get(f"{credentials.base_url}/api/v1/{path}/?{query}")
        answer = (yield from send_authorized(credentials, request, policy)).parse_object(request)
        rows, count = parse_rows(model, answer, request), answer.get("count")
        new = {row.id: row for row in rows if row.id not in found}
        found |= new
        if not new or (isinstance(count, int) and len(found) >= count):
            break
        if page == 0:
            page_size = len(rows)  # the actual page size of a server that returns fewer than requested
        page += 1
    return tuple(found.values())[:limit]


MAX_FETCHED_WEBHOOKS = 1000
"""How many triggers are fetched one by one, if the list does not say of which reports they are."""


def fetch_webhooks(credentials: Credentials) -> Call[tuple[WebhookTrigger, ...]]:
    """
    Fetch the webhook triggers that the API token can read, with their reports; a list has no tokens.

    :raises PushMetricsApiError: if there are too many whose report the list does not return.
    """
    listed = yield from _fetch_pages(credentials, "webhook", WebhookTrigger, None, ONE_ATTEMPT)
    if sum(row.report_id is None for row in listed) > MAX_FETCHED_WEBHOOKS:
        raise PushMetricsApiError(
            f"PushMetrics lists {len(listed)} triggers without their reports, and only"
            f" {MAX_FETCHED_WEBHOOKS} are fetched one by one"
        )
    found = []
    for row in listed:
        found.append(row if row.report_id is not None else (yield from _fetch_webhook(credentials, row)))
    return tuple(found)


def fetch_webhooks_of_report(
    credentials: Credentials, listed: Iterable[WebhookTrigger], report_id: int
) -> Call[tuple[WebhookTrigger, ...]]:
    """Fetch the tokens of the triggers of a report, as far as the API token can read them."""
    found = []
    for row in listed:
        if row.report_id == report_id:
            found.append(row if row.token else (yield from _fetch_webhook(credentials, row)))
    return tuple(found)


def send_anonymously(url: str) -> Call[Response]:
    """Send a request without a token, for example to check whether the host is reachable."""
    return (yield from send(build_get(url), ONE_ATTEMPT))


def _fetch_webhook(credentials: Credentials, row: WebhookTrigger) -> Call[WebhookTrigger]:
    request = build_get(f"{credentials.base_url}/api/v1/webhook/{row.id}")
    answer = (yield from send_authorized(credentials, request, ONE_ATTEMPT)).parse_object(request)
    return parse_answer(WebhookTrigger, answer.get("result", answer), request)
