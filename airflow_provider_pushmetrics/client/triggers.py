"""The calls about webhook triggers: what their owner is shown of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from urllib.parse import urlencode

from airflow_provider_pushmetrics.client.calls import build_get, parse_answer, parse_rows, send_authorized
from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.models import Webhook
from airflow_provider_pushmetrics.client.protocol import Call, Response
from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT
from airflow_provider_pushmetrics.client.retrying import send

SHOWN_WEBHOOKS = 100
"""How many triggers are looked at, to try a connection."""


def fetch_webhooks(credentials: Credentials) -> Call[Mapping[int, tuple[Webhook, ...]]]:
    """Fetch the webhook triggers that the API token may see, by report; the list shows no tokens."""
    query = urlencode({"q": f"(page:0,page_size:{SHOWN_WEBHOOKS})"})
    request = build_get(f"{credentials.base_url}/api/v1/webhook/?{query}")
    answer = (yield from send_authorized(credentials, request, ONE_ATTEMPT)).parse_object(request)
    found: defaultdict[int, tuple[Webhook, ...]] = defaultdict(tuple)
    for row in parse_rows(Webhook, answer, request)[:SHOWN_WEBHOOKS]:
        shown = yield from _fetch_webhook(credentials, row.id)
        if shown.report_id is not None:
            found[shown.report_id] += (shown,)
    return dict(found)


def send_anonymously(url: str) -> Call[Response]:
    """Send a request without any token, such as to see whether the host is there."""
    return (yield from send(build_get(url), ONE_ATTEMPT))


def _fetch_webhook(credentials: Credentials, webhook_id: int) -> Call[Webhook]:
    request = build_get(f"{credentials.base_url}/api/v1/webhook/{int(webhook_id)}")
    answer = (yield from send_authorized(credentials, request, ONE_ATTEMPT)).parse_object(request)
    return parse_answer(Webhook, answer.get("result", answer), request)
