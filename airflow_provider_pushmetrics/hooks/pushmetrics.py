"""The hook of a PushMetrics connection, for operators, sensors and users."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from http.cookiejar import DefaultCookiePolicy
from typing import Any, NoReturn

import requests
from airflow.providers.http.hooks.http import HttpHook

from airflow_provider_pushmetrics.client import calls, feed, reports
from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.models import (
    FeedPage,
    Report,
    Run,
    RunBlock,
    RunLogLine,
    RunOutputs,
    TriggeredRun,
)
from airflow_provider_pushmetrics.client.protocol import Call, T
from airflow_provider_pushmetrics.client.retry_policy import RetryPolicy
from airflow_provider_pushmetrics.client.retrying import DEFAULT_POLICY
from airflow_provider_pushmetrics.client.transports import SyncTransport
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsParameterError,
)
from airflow_provider_pushmetrics.hooks import connection_check, connection_form
from airflow_provider_pushmetrics.hooks.masking import read_settings
from airflow_provider_pushmetrics.hooks.result_reader import ResultReader
from airflow_provider_pushmetrics.hooks.settings import PushMetricsSettings
from airflow_provider_pushmetrics.hooks.trust import check_client_certificate, resolve_verify
from airflow_provider_pushmetrics.tracing import TaskOrigin


class PushMetricsHook(ResultReader, HttpHook):
    """
    Call PushMetrics and the receiver of its webhooks.

    Proxies, TLS and keep-alive work as in the HTTP provider's hook. Unlike there, no extra of the
    connection is sent as a header, because extras contain tokens here.

    Besides what a method says, each raises:

    - ``PushMetricsConfigurationError`` if the connection lacks a token that it needs,
    - ``PushMetricsAuthError`` and ``PushMetricsNotFoundError`` if the server refuses the token or does not
      know what is asked for, ``PushMetricsApiError`` for another refusal,
    - ``PushMetricsUnavailableError`` if there is no connection, or 429 or 5xx, in five attempts,
    - ``PushMetricsProtocolError`` if the response is not what it should be.

    :param pushmetrics_conn_id: The connection, of the type PushMetrics.
    """

    conn_name_attr = "pushmetrics_conn_id"
    default_conn_name = "pushmetrics_default"
    conn_type = "pushmetrics"
    hook_name = "PushMetrics"

    def __init__(self, pushmetrics_conn_id: str = default_conn_name) -> None:
        super().__init__(http_conn_id=pushmetrics_conn_id)
        self.pushmetrics_conn_id = pushmetrics_conn_id

    @cached_property
    def settings(self) -> PushMetricsSettings:
        """The connection, read and checked; its secrets are masked in logs from then on."""
        return read_settings(self.get_connection(self.pushmetrics_conn_id))

    @cached_property
    def credentials(self) -> Credentials:
        """The API token and where it may be sent; keeps the JWT between calls."""
        return self.settings.build_credentials()

    def get_conn(
        self, headers: dict[Any, Any] | None = None, extra_options: dict[str, Any] | None = None
    ) -> requests.Session:
        """
        Open a ``requests`` session with the connection's proxies, TLS settings and keep-alive.

        :raises PushMetricsConfigurationError: if a configured certificate cannot be used.
        """
        session = requests.Session()
        transport = self.settings.transport
        session.proxies = dict(transport.proxies)
        check_client_certificate(transport)
        session.verify = resolve_verify(transport)
        session.cert = transport.cert
        session.trust_env = transport.trust_env
        session.cookies.set_policy(
            DefaultCookiePolicy(allowed_domains=())
        )  # a cookie could override the token
        if self.keep_alive_adapter is not None:
            session.mount("https://", self.keep_alive_adapter)
            session.mount("http://", self.keep_alive_adapter)
        session.headers.update(headers or {})
        return session

    @cached_property
    def _transport(self) -> SyncTransport:
        return SyncTransport(self.get_conn(), timeout_seconds=self.settings.transport.timeout_seconds)

    def call(self, call: Call[T]) -> T:
        """Run a call of ``client.calls``, ``client.reports`` or ``client.feed``."""
        return self._transport.run(call)

    def run(self, *args: Any, **kwargs: Any) -> NoReturn:
        """
        Refuse the method of the HTTP provider's hook: it would send no token, and follow redirects.

        :raises PushMetricsParameterError: always.
        """
        raise PushMetricsParameterError(
            "PushMetricsHook does not support run(): use its methods for reports, runs and results, or call()"
            " with a call of airflow_provider_pushmetrics.client.calls, such as send_authorized()."
        )

    # Reports and runs

    def trigger_report(
        self,
        report_id: str | int,
        parameters: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        origin: TaskOrigin | None = None,
    ) -> TriggeredRun:
        """
        Start a run of a report by its webhook trigger.

        :param report_id: The report.
        :param parameters: Values for its parameters, by name.
        :param idempotency_key: The same key starts the same run only once, if the server supports such keys.
        :param origin: The task that starts the run, which PushMetrics may show. The trace of the current span
            of OpenTelemetry is sent too, if there is one.
        :return: The run that was started: its ``run_id``, which is None if the server does not return it, as
            pushmetrics.io does not; and ``was_replayed``, which is True if the server knew the key, so that
            this is the run of an earlier call. It does not say whether the run succeeds: it has only begun.
        :raises PushMetricsDeliveryUnknownError: if there is no response, so the run may have been started.
        """
        token = self.settings.get_trigger_token(str(report_id))
        call = calls.trigger_report(
            self.settings.base_url,
            str(report_id),
            token,
            parameters,
            idempotency_key=idempotency_key,
            conn_id=self.settings.conn_id,
            origin=origin,
        )
        return self.call(call)

    def honors_idempotency_keys(self) -> bool:
        """
        Return whether PushMetrics declares support for idempotency keys, in its ``/openapi.json``.

        :return: False also if it has no such file.
        """
        return self.call(calls.honors_idempotency_keys(self.settings.base_url))

    def fetch_reports(self, *, limit: int | None = None) -> tuple[Report, ...]:
        """
        Fetch the reports that the API token may see.

        :param limit: At most how many; None for all.
        :return: The reports, without their blocks.
        """
        return self.call(reports.fetch_reports(self.credentials, limit=limit))

    def fetch_report(self, report_id: str | int) -> Report:
        """
        Fetch one report.

        :param report_id: Its number or uid.
        :return: The report with its blocks.
        """
        return self.call(reports.fetch_report(self.credentials, str(report_id)))

    def fetch_runs(self, report_id: str | int) -> tuple[Run, ...]:
        """
        Fetch the newest runs of a report, newest first.

        :param report_id: Its number or uid.
        :return: At most 100 runs.
        """
        return self.call(calls.fetch_runs(self.credentials, str(report_id)))

    def fetch_run(self, run_id: int) -> Run:
        """
        Fetch one run.

        :param run_id: Its number.
        :return: The run.
        """
        return self.call(calls.fetch_run(self.credentials, run_id))

    def fetch_run_logs(self, run_id: int, *, limit: int = calls.LOG_LINES) -> tuple[RunLogLine, ...]:
        """
        Fetch the log of a run, its first lines first.

        :param run_id: Its number.
        :param limit: At most how many lines.
        :return: The lines.
        """
        return self.call(calls.fetch_run_logs(self.credentials, run_id, limit=limit))

    def fetch_run_blocks(self, run_id: int) -> tuple[RunBlock, ...]:
        """
        Fetch the status of each block of a run.

        :param run_id: The run's number.
        :return: The blocks.
        """
        return self.call(calls.fetch_run_blocks(self.credentials, run_id))

    def cancel_run(self, run_id: int, *, policy: RetryPolicy = DEFAULT_POLICY) -> bool:
        """
        Cancel a run.

        :param run_id: Its number.
        :param policy: How often the request is tried.
        :return: False if it has ended, or if the server cannot cancel runs.
        """
        return self.call(calls.cancel_run(self.credentials, run_id, policy))

    def fetch_run_outputs(self, url: str) -> RunOutputs | None:
        """
        Fetch the outputs of a report run.

        :param url: The ``report_notebook_outputs`` of its event.
        :return: The outputs; None until the run ends.
        :raises PushMetricsUntrustedUrlError: if the API token must not be sent there.
        """
        return self.call(calls.fetch_outputs(self.credentials, url))

    def wait_for_outputs(self, url: str, *, timeout_seconds: float = 60.0) -> RunOutputs:
        """
        Fetch the outputs of a finished report run; they may become available a moment after it ended.

        :param url: The ``report_notebook_outputs`` of its event.
        :param timeout_seconds: How long to wait for them.
        :return: The outputs.
        :raises PushMetricsUnavailableError: if they are not available in time.
        :raises PushMetricsUntrustedUrlError: if the API token must not be sent there.
        """
        return self._wait_for_answer(lambda: calls.fetch_outputs(self.credentials, url), timeout_seconds)

    def build_outputs_url(self, report_id: str | int, run_id: int) -> str:
        """
        Build the URL of a report run's outputs.

        :param report_id: The report's number or uid.
        :param run_id: The run's number.
        :return: The URL, at the connection's host.
        """
        return calls.build_outputs_url(self.settings.base_url, report_id, run_id)

    # The receiver

    def fetch_cursor(self) -> int:
        """
        Fetch the receiver's cursor.

        :return: The newest event's id; later events come after it.
        :raises PushMetricsConfigurationError: if the connection has no receiver.
        """
        return self.call(feed.fetch_cursor(self.settings.get_receiver()))

    def fetch_events(
        self, wanted: EventFilter, *, after: int = 0, wait_seconds: float = 0.0, limit: int = 100
    ) -> FeedPage:
        """
        Fetch events after a cursor from the receiver; if there are none, wait for the first one.

        :param wanted: Which events.
        :param after: The cursor.
        :param wait_seconds: How long to wait; at most 30, a longer time is cut.
        :param limit: At most how many events, from 1 to 1000.
        :return: The events, and the cursor for the next call.
        :raises PushMetricsConfigurationError: if the connection has no receiver.
        """
        receiver = self.settings.get_receiver()
        return self.call(
            feed.fetch_events(receiver, wanted, after=after, wait_seconds=wait_seconds, limit=limit)
        )

    # The connection

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Build the fields of the connection form, for Airflow before 3.2; later ones read the metadata."""
        return connection_form.build_widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return what the connection form shows, for Airflow before 3.2; later ones read the metadata."""
        return connection_form.build_behavior()

    def test_connection(self) -> tuple[bool, str]:
        """Test the host, the API token, the receiver and the trigger tokens; describe which of them work."""
        return connection_check.check_connection(self)
