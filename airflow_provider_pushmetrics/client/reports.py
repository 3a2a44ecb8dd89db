"""The calls about reports: which there are, and what is known of one."""

from __future__ import annotations

from urllib.parse import urlencode

from airflow_provider_pushmetrics.client.calls import (
    build_get,
    parse_answer,
    parse_rows,
    quote_report_id,
    send_authorized,
)
from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.models import Report
from airflow_provider_pushmetrics.client.protocol import Call
from airflow_provider_pushmetrics.client.retry_policy import RetryPolicy
from airflow_provider_pushmetrics.client.retrying import DEFAULT_POLICY

PAGE_SIZE = 100
"""As many as the API gives on one page at the most, unless its owner allows more."""


def fetch_reports(
    credentials: Credentials, *, limit: int | None = None, policy: RetryPolicy = DEFAULT_POLICY
) -> Call[tuple[Report, ...]]:
    """
    Fetch the reports that the API token may see, page by page.

    :param limit: How many are wanted at the most; None for all.
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
            page_size = len(rows)  # a server that gives fewer than asked for counts its pages by that
        page += 1
    return tuple(found.values())[:limit]


def fetch_report(
    credentials: Credentials, report_id: str, policy: RetryPolicy = DEFAULT_POLICY
) -> Call[Report]:
    """
    Fetch one report, by its number or its uid.

    :raises PushMetricsNotFoundError: if there is none that the API token may see.
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
