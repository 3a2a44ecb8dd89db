"""Testing a connection: its host and its tokens, without starting a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from hmac import compare_digest
from typing import TYPE_CHECKING

from airflow_provider_pushmetrics.client import calls, reports
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsAuthError,
    PushMetricsError,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.hooks.trust import find_bundle, resolve_verify

if TYPE_CHECKING:
    from airflow_provider_pushmetrics.client.models import WebhookTrigger
    from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook


class Status(StrEnum):
    """Whether a part works."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """
    The result for a part of an installation or a connection.

    :param text: What was found.
    :param way_out: What to do about it, if anything.
    :param seconds: How long the server took to answer.
    """

    part: str
    status: Status
    text: str
    way_out: str = ""
    seconds: float | None = None

    @property
    def works(self) -> bool:
        """Whether it did not fail."""
        return self.status is not Status.FAILED


def check_connection(hook: PushMetricsHook) -> tuple[bool, str]:
    """Test the parts of a connection; return whether all work, and a description of each."""
    try:
        conn_id = hook.settings.conn_id
    except PushMetricsError as error:
        return False, str(error)
    findings = list_findings(hook)
    text = "; ".join(finding.text for finding in findings)
    return all(finding.works for finding in findings), f"Connection {conn_id!r}: {text}"


def list_findings(hook: PushMetricsHook) -> list[Finding]:
    """
    Test the parts of a connection.

    :raises PushMetricsError: if the connection cannot be read.
    """
    settings = hook.settings
    findings = [
        _check_trust(hook),
        _measure(_check_host, hook),
        _measure(_check_receiver, hook),
        *_check_trigger_tokens(hook),
    ]
    if not (settings.trigger_tokens or settings.api_token or settings.receiver):
        text = "there is no token: this connection cannot be used for anything"
        findings.append(Finding("connection", Status.FAILED, text, "Set a token in the connection."))
    return findings


def _measure(check: Callable[[PushMetricsHook], Finding], hook: PushMetricsHook) -> Finding:
    began = time.monotonic()
    finding = check(hook)
    return replace(finding, seconds=time.monotonic() - began)


def _check_trust(hook: PushMetricsHook) -> Finding:
    """Load the CAs that this environment trusts; the worker's and the triggerer's may be others."""
    transport = hook.settings.transport
    if transport.verify is False:
        text = "certificates are not verified ('verify' is false)"
        return Finding("certificates", Status.WARNING, text, "Set 'verify' to the file of your CA.")
    try:
        resolve_verify(transport)
    except PushMetricsError as error:
        return Finding("certificates", Status.FAILED, str(error))
    path, source = find_bundle(transport)
    return Finding("certificates", Status.OK, f"trusts the CAs in {path!r} ({source})")


def _check_host(hook: PushMetricsHook) -> Finding:
    host = hook.settings.base_url
    if not hook.settings.api_token:
        return _check_host_alone(hook)
    try:
        hook.call(calls.send_authorized(hook.credentials, calls.build_get(f"{host}/api/v1/user/current")))
    except PushMetricsAuthError as error:
        text = f"host {host} responds, but rejects the API token, which is the password: {error}"
        return Finding("host", Status.FAILED, text)
    except PushMetricsError as error:
        return Finding("host", Status.FAILED, f"host {host}: {error}", _find_way_out(error))
    return Finding("host", Status.OK, f"host {host} and the API token work")


def _check_host_alone(hook: PushMetricsHook) -> Finding:
    """Send a request without a token: a host that rejects it is reachable, and is PushMetrics."""
    host = hook.settings.base_url
    try:
        hook.call(reports.send_anonymously(f"{host}/api/v1/user/current"))
    except PushMetricsAuthError:
        pass
    except PushMetricsError as error:
        return Finding("host", Status.FAILED, f"host {host}: {error}", _find_way_out(error))
    text = f"host {host} works; there is no API token, so the outcome of runs is unknown"
    return Finding("host", Status.WARNING, text, "Set the connection's password.")


def _find_way_out(error: PushMetricsError) -> str:
    """Say what to do if a server cannot be reached; nothing if it answers."""
    if not isinstance(error, PushMetricsUnavailableError) or error.status_code is not None:
        return ""
    return "Check its name, its port, firewall and proxy; name your own CA in the extra 'verify'."


def _check_receiver(hook: PushMetricsHook) -> Finding:
    receiver = hook.settings.receiver
    if receiver is None:
        text = "there is no receiver, so the API is polled and no event arrives"
        return Finding("receiver", Status.OK, text)
    try:
        hook.fetch_cursor()
    except PushMetricsAuthError as error:
        text = f"receiver {receiver.url} responds, but rejects the 'receiver_token': {error}"
        return Finding("receiver", Status.FAILED, text)
    except PushMetricsError as error:
        return Finding("receiver", Status.FAILED, f"receiver {receiver.url}: {error}", _find_way_out(error))
    return Finding("receiver", Status.OK, f"receiver {receiver.url} and its token work")


def _check_trigger_tokens(hook: PushMetricsHook) -> Iterator[Finding]:
    """Compare the trigger tokens with those that the API shows: using one would start a run."""
    part, tokens = "trigger tokens", hook.settings.trigger_tokens
    if not tokens:
        yield Finding(part, Status.WARNING, "there is no trigger token, so no report can be run")
        return
    unknown = "not tested, because using one starts a run"
    names = ", ".join(repr(report_id) for report_id in tokens)
    if not hook.settings.api_token:
        yield Finding(part, Status.WARNING, f"trigger tokens of reports {names}: {unknown}")
        return
    try:
        listed = hook.call(reports.fetch_webhooks(hook.credentials))
    except PushMetricsApiError as error:
        text = f"trigger tokens of reports {names}: {unknown}, and the API does not show them: {error}"
        yield Finding(part, Status.WARNING, text)
        return
    for report_id, token in tokens.items():
        yield _compare(hook, report_id, token, listed)


def _compare(hook: PushMetricsHook, report_id: str, token: str, listed: Sequence[WebhookTrigger]) -> Finding:
    name = f"trigger token of report {report_id!r}"
    try:
        number = int(report_id) if report_id.isdigit() else hook.fetch_report(report_id).id
    except PushMetricsApiError as error:
        return Finding(name, Status.FAILED, f"{name}: {error}")
    try:
        shown = hook.call(reports.fetch_webhooks_of_report(hook.credentials, listed, number))
    except PushMetricsApiError as error:
        return Finding(name, Status.WARNING, f"{name}: not tested: {error}")
    return check_trigger_token(name, token, shown)


def check_trigger_token(name: str, token: str, shown: tuple[WebhookTrigger, ...]) -> Finding:
    """Compare a trigger token with what the API shows of its report's triggers."""
    seen = [webhook for webhook in shown if webhook.token]
    if not seen:
        text = f"{name}: not tested, and the API token sees no trigger of that report"
        return Finding(name, Status.WARNING, text)
    ours = [webhook for webhook in seen if compare_digest(str(webhook.token).encode(), token.encode())]
    if not ours:
        text = f"{name} differs from the one in PushMetrics: it was refreshed, or mistyped"
        return Finding(name, Status.FAILED, text, "Copy the token of the report's webhook URL.")
    if ours[0].active is False:
        text = f"{name} is correct, but the trigger is disabled"
        return Finding(name, Status.FAILED, text, "Enable the trigger in PushMetrics.")
    return Finding(name, Status.OK, f"{name} works")
