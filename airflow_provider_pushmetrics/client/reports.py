"""The calls about reports and their webhook triggers, as the API shows them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
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

PAGE_SIZE = 100
"""The largest page that the API returns, unless its owner allows more."""


def fetch_reports(
    credentials: Credentials, *, limit: int | None = None, policy: RetryPolicy = DEFAULT_POLICY
) -> Call[tuple[Report, ...]]:
    """
    Fetch the reports that the API token may see, page by page.

    :param limit: The maximum number of reports; None for all.
    """
    found: dict[int, Report] = {}
    page_size = PAGE_SIZE if limit is None else min(limit, PAGE_SIZE)
    page = 0
    while limit is None or len(found) < limit:
        rows, count = yield from _fetch_page(credentials, page, page_size, policy)
        new = {report.id: report for report in rows if report.id not in found}
        found |= new
        if not new or len(found) >= (count or 0):
            break
        if page == 0:
            page_size = len(rows)  # the actual page size of a server that returns fewer than requested
        page += 1
    return tuple(found.values())[:limit]


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


def _fetch_page(
    credentials: Credentials, page: int, page_size: int, policy: RetryPolicy
) -> Call[tuple[tuple[Report, ...], int | None]]:
    query = urlencode({"q": f"(page:{page},page_size:{page_size})"})
    request = build_get(f"{credentials.base_url}/api/v1/report/?{query}")
    answer = (yield from send_authorized(credentials, request, policy)).parse_object(request)
    count = answer.get("count")
    return parse_rows(Report, answer, request), count if isinstance(count, int) else None


SHOWN_WEBHOOKS = 100
"""How many triggers are fetched to test a connection."""


def fetch_webhooks(credentials: Credentials) -> Call[Mapping[int, tuple[WebhookTrigger, ...]]]:
    """Fetch the webhook triggers that the API token can read, by report; the list has no tokens."""
    query = urlencode({"q": f"(page:0,page_size:{SHOWN_WEBHOOKS})"})
    request = build_get(f"{credentials.base_url}/api/v1/webhook/?{query}")
    answer = (yield from send_authorized(credentials, request, ONE_ATTEMPT)).parse_object(request)
    found: defaultdict[int, tuple[WebhookTrigger, ...]] = defaultdict(tuple)
    for row in parse_rows(WebhookTrigger, answer, request)[:SHOWN_WEBHOOKS]:
        shown = yield from _fetch_webhook(credentials, row.id)
        if shown.report_id is not None:
            found[shown.report_id] += (shown,)
    return dict(found)


def send_anonymously(url: str) -> Call[Response]:
    """Send a request without a token, for example to check whether the host is reachable."""
    return (yield from send(build_get(url), ONE_ATTEMPT))


def _fetch_webhook(credentials: Credentials, webhook_id: int) -> Call[WebhookTrigger]:
    request = build_get(f"{credentials.base_url}/api/v1/webhook/{int(webhook_id)}")
    answer = (yield from send_authorized(credentials, request, ONE_ATTEMPT)).parse_object(request)
    return parse_answer(WebhookTrigger, answer.get("result", answer), request)
