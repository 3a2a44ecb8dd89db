"""Testing a connection: its host and its tokens, without starting a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hmac import compare_digest
from typing import TYPE_CHECKING

from airflow_provider_pushmetrics.client import calls, reports
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsAuthError,
    PushMetricsError,
)

if TYPE_CHECKING:
    from airflow_provider_pushmetrics.client.models import WebhookTrigger
    from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook


@dataclass(frozen=True)
class Finding:
    """The result for a part of a connection."""

    works: bool
    text: str


def check_connection(hook: PushMetricsHook) -> tuple[bool, str]:
    """Test the parts of a connection; return whether all work, and a description of each."""
    try:
        settings = hook.settings
    except PushMetricsError as error:
        return False, str(error)
    is_empty = not (settings.trigger_tokens or settings.api_token or settings.receiver)
    findings = [_check_host(hook), _check_receiver(hook), *_check_trigger_tokens(hook)]
    if is_empty:
        findings.append(Finding(False, "there is no token: this connection cannot be used for anything"))
    text = "; ".join(finding.text for finding in findings)
    return all(finding.works for finding in findings), f"Connection {settings.conn_id!r}: {text}"


def _check_host(hook: PushMetricsHook) -> Finding:
    host = hook.settings.base_url
    if not hook.settings.api_token:
        return _check_host_alone(hook)
    try:
        hook.call(calls.send_authorized(hook.credentials, calls.build_get(f"{host}/api/v1/user/current")))
    except PushMetricsAuthError as error:
        return Finding(
            False, f"host {host} responds, but rejects the API token, which is the password: {error}"
        )
    except PushMetricsError as error:
        return Finding(False, f"host {host}: {error}")
    return Finding(True, f"host {host} and the API token work")


def _check_host_alone(hook: PushMetricsHook) -> Finding:
    """Send a request without a token: a host that rejects it is reachable, and is PushMetrics."""
    host = hook.settings.base_url
    try:
        hook.call(reports.send_anonymously(f"{host}/api/v1/user/current"))
    except PushMetricsAuthError:
        pass
    except PushMetricsError as error:
        return Finding(False, f"host {host}: {error}")
    return Finding(True, f"host {host} works; there is no API token, so the outcome of runs is unknown")


def _check_receiver(hook: PushMetricsHook) -> Finding:
    receiver = hook.settings.receiver
    if receiver is None:
        return Finding(True, "there is no receiver, so the API is polled and no event arrives")
    try:
        hook.fetch_cursor()
    except PushMetricsAuthError as error:
        return Finding(False, f"receiver {receiver.url} responds, but rejects the 'receiver_token': {error}")
    except PushMetricsError as error:
        return Finding(False, f"receiver {receiver.url}: {error}")
    return Finding(True, f"receiver {receiver.url} and its token work")


def _check_trigger_tokens(hook: PushMetricsHook) -> Iterator[Finding]:
    """Compare the trigger tokens with those that the API shows: using one would start a run."""
    tokens = hook.settings.trigger_tokens
    if not tokens:
        yield Finding(True, "there is no trigger token, so no report can be run")
        return
    unknown = "not tested, because using one starts a run"
    names = ", ".join(repr(report_id) for report_id in tokens)
    if not hook.settings.api_token:
        yield Finding(True, f"trigger tokens of reports {names}: {unknown}")
        return
    try:
        shown = hook.call(reports.fetch_webhooks(hook.credentials))
    except PushMetricsApiError:
        yield Finding(True, f"trigger tokens of reports {names}: {unknown}, and the API does not show them")
        return
    for report_id, token in tokens.items():
        yield _compare(hook, report_id, token, shown)


def _compare(
    hook: PushMetricsHook, report_id: str, token: str, shown: Mapping[int, tuple[WebhookTrigger, ...]]
) -> Finding:
    name = f"trigger token of report {report_id!r}"
    try:
        number = int(report_id) if report_id.isdigit() else hook.fetch_report(report_id).id
    except PushMetricsApiError as error:
        return Finding(False, f"{name}: {error}")
    return check_trigger_token(name, token, shown.get(number, ()))


def check_trigger_token(name: str, token: str, shown: tuple[WebhookTrigger, ...]) -> Finding:
    """Compare a trigger token with what the API shows of its report's triggers."""
    seen = [webhook for webhook in shown if webhook.token]
    if not seen:
        return Finding(True, f"{name}: not tested, and the API token sees no trigger of that report")
    ours = [webhook for webhook in seen if compare_digest(str(webhook.token).encode(), token.encode())]
    if not ours:
        return Finding(False, f"{name} differs from the one in PushMetrics: it was refreshed, or mistyped")
    if ours[0].active is False:
        return Finding(False, f"{name} is correct, but the trigger is disabled")
    return Finding(True, f"{name} works")
