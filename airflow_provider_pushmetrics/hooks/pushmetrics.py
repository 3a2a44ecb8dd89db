"""The hook: what a PushMetrics connection can do, for operators, sensors and people."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from functools import cached_property
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, NoReturn

import requests
from airflow.providers.common.compat.sdk import ObjectStoragePath
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
from airflow_provider_pushmetrics.client.outcomes import wait_until_ready
from airflow_provider_pushmetrics.client.protocol import Call, NetworkError, Request, T
from airflow_provider_pushmetrics.client.retry_policy import RetryPolicy
from airflow_provider_pushmetrics.client.retrying import DEFAULT_POLICY
from airflow_provider_pushmetrics.client.transports import SyncTransport
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsParameterError,
    PushMetricsProtocolError,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.hooks import connection_check, connection_form, frames
from airflow_provider_pushmetrics.hooks.masking import read_settings
from airflow_provider_pushmetrics.hooks.results import (
    Truncation,
    get_media_type,
    read_truncation,
    refuse_other_format,
    save_chunks,
    show_chunks,
    split_rows,
)
from airflow_provider_pushmetrics.hooks.settings import PushMetricsSettings
from airflow_provider_pushmetrics.hooks.trust import check_client_certificate, resolve_verify
from airflow_provider_pushmetrics.hooks.typed_rows import parse_exact, type_rows

if TYPE_CHECKING:
    from pathlib import Path

    import pandas
    import polars
    import pyarrow

RESULT_TIMEOUT_SECONDS = 300.0
"""How long to wait for the result of a run that is still going on."""


class PushMetricsHook(HttpHook):
    """
    Talk to PushMetrics and to the receiver of its webhooks.

    It is the HTTP provider's hook as far as proxies, TLS and keep-alive go. Unlike there, no extra of the
    connection is ever sent as a header, because extras hold tokens here.

    :param pushmetrics_conn_id: The :ref:`PushMetrics connection <howto/connection:pushmetrics>`.
    """

    conn_name_attr = "pushmetrics_conn_id"
    default_conn_name = "pushmetrics_default"
    conn_type = "pushmetrics"
    hook_name = "PushMetrics"

    result_poll_seconds = 1.0
    """How often to ask for a result that is not ready."""

    def __init__(self, pushmetrics_conn_id: str = default_conn_name) -> None:
        super().__init__(http_conn_id=pushmetrics_conn_id)
        self.pushmetrics_conn_id = pushmetrics_conn_id

    @cached_property
    def settings(self) -> PushMetricsSettings:
        """The connection, read and checked; its secrets are masked in logs from here on."""
        return read_settings(self.get_connection(self.pushmetrics_conn_id))

    @cached_property
    def credentials(self) -> Credentials:
        """The API token and where it may go; keeps the JWT between calls."""
        return self.settings.build_credentials()

    def get_conn(
        self, headers: dict[Any, Any] | None = None, extra_options: dict[str, Any] | None = None
    ) -> requests.Session:
        """
        Open a ``requests`` session with the connection's proxies, TLS settings and keep-alive.

        :raises PushMetricsConfigurationError: if a certificate that is named cannot be used.
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
        )  # a cookie could outrank the token
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
        Refuse what the HTTP provider's hook does: it would send no token, and follow redirects.

        :raises PushMetricsParameterError: always.
        """
        raise PushMetricsParameterError(
            "PushMetricsHook has no run(): use its methods for reports, runs and results, or call() with a"
            " call of airflow_provider_pushmetrics.client.calls, such as send_authorized()."
        )

    # Reports and runs

    def trigger_report(
        self,
        report_id: str | int,
        parameters: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> TriggeredRun:
        """
        Start a run of a report by its webhook trigger.

        :param report_id: The report.
        :param parameters: Values for its parameters, by name.
        :param idempotency_key: The same key starts the same run only once, where the server knows such keys.
        :raises PushMetricsDeliveryUnknownError: if the run may have been started, but no answer came.
        """
        token = self.settings.get_trigger_token(str(report_id))
        call = calls.trigger_report(
            self.settings.base_url,
            str(report_id),
            token,
            parameters,
            idempotency_key=idempotency_key,
            conn_id=self.settings.conn_id,
        )
        return self.call(call)

    def honours_idempotency_keys(self) -> bool:
        """Tell whether PushMetrics says of itself that the same key starts the same run only once."""
        return self.call(calls.honours_idempotency_keys(self.settings.base_url))

    def fetch_reports(self, *, limit: int | None = None) -> tuple[Report, ...]:
        """Fetch the reports that the API token may see."""
        return self.call(reports.fetch_reports(self.credentials, limit=limit))

    def fetch_report(self, report_id: str | int) -> Report:
        """Fetch one report."""
        return self.call(reports.fetch_report(self.credentials, str(report_id)))

    def fetch_runs(self, report_id: str | int) -> tuple[Run, ...]:
        """Fetch the newest runs of a report, newest first."""
        return self.call(calls.fetch_runs(self.credentials, str(report_id)))

    def fetch_run(self, run_id: int) -> Run:
        """Fetch one run."""
        return self.call(calls.fetch_run(self.credentials, run_id))

    def fetch_run_logs(self, run_id: int, *, limit: int = calls.LOG_LINES) -> tuple[RunLogLine, ...]:
        """Fetch the log of a run, its first lines first."""
        return self.call(calls.fetch_run_logs(self.credentials, run_id, limit=limit))

    def fetch_run_blocks(self, run_id: int) -> tuple[RunBlock, ...]:
        """Fetch what became of each block of a run."""
        return self.call(calls.fetch_run_blocks(self.credentials, run_id))

    def cancel_run(self, run_id: int, *, policy: RetryPolicy = DEFAULT_POLICY) -> bool:
        """Cancel a run; False if it has ended, or if the server has no way to cancel one."""
        return self.call(calls.cancel_run(self.credentials, run_id, policy))

    def fetch_run_outputs(self, url: str) -> RunOutputs | None:
        """Fetch the outputs of a report run from the URL in its event; None while it is going on."""
        return self.call(calls.fetch_outputs(self.credentials, url))

    def wait_for_outputs(self, url: str, *, timeout_seconds: float = 60.0) -> RunOutputs:
        """Fetch the outputs of a report run that is over; they may take a moment to be readable."""
        return self._wait_for_answer(lambda: calls.fetch_outputs(self.credentials, url), timeout_seconds)

    def build_outputs_url(self, report_id: str | int, run_id: int) -> str:
        """Build the URL of a report run's outputs."""
        return calls.build_outputs_url(self.settings.base_url, report_id, run_id)

    # Results

    def fetch_query_result(
        self, url: str, *, timeout_seconds: float = RESULT_TIMEOUT_SECONDS
    ) -> dict[str, Any]:
        """
        Fetch a query's result as JSON: ``columns``, ``row_count`` and ``data``, a list of row objects.

        :param url: The ``query_result`` of an event.
        :param timeout_seconds: How long to wait for a run that is still going on.
        """
        return self._wait_for_answer(lambda: calls.fetch_query_result(self.credentials, url), timeout_seconds)

    def fetch_rows(
        self, url: str, *, timeout_seconds: float = RESULT_TIMEOUT_SECONDS
    ) -> list[dict[str, Any]]:
        """
        Fetch the rows of a query's result, each a dictionary; for many rows, see :meth:`stream_rows`.

        Values have the type of their column: ``Decimal`` with all digits, ``date``, ``datetime``, ``time``,
        ``bytes``; what Python cannot hold is its ISO 8601 text. NaN and infinity are None.

        :raises PushMetricsProtocolError: if the result has no rows in ``data``.
        """
        result = self._wait_for_answer(
            lambda: calls.fetch_query_result(self.credentials, url, parse_float=Decimal), timeout_seconds
        )
        rows = type_rows(result)
        if rows is None:
            raise PushMetricsProtocolError(
                f"the result of {calls.build_get(url).describe()} has no list of rows in 'data'."
            )
        return rows

    def stream_rows(
        self, url: str, *, timeout_seconds: float = RESULT_TIMEOUT_SECONDS
    ) -> Iterator[dict[str, Any]]:
        """
        Fetch the rows of a query's result one after the other, however many there are.

        Values are those of JSON, which has no types: dates are texts. A number that a float would round is a
        ``Decimal``.
        """
        with self.stream_query_result(url, "ndjson", timeout_seconds=timeout_seconds) as chunks:
            for line in split_rows(chunks):
                yield json.loads(line, parse_float=parse_exact)

    def fetch_arrow(self, url: str, *, timeout_seconds: float = RESULT_TIMEOUT_SECONDS) -> pyarrow.Table:
        """Fetch a query's result as an Arrow table; this takes the extra ``arrow``."""
        frames.import_extra("pyarrow", "arrow")
        with self.stream_query_result(url, "arrow", timeout_seconds=timeout_seconds) as chunks:
            return frames.read_arrow(chunks)

    def fetch_pandas(
        self, url: str, *, timeout_seconds: float = RESULT_TIMEOUT_SECONDS, **options: Any
    ) -> pandas.DataFrame:
        """
        Fetch a query's result as a pandas data frame; this takes the extra ``pandas``.

        :param options: As ``pyarrow.Table.to_pandas`` takes them, such as ``types_mapper=pandas.ArrowDtype``,
            with which whole numbers stay whole where some are missing.
        """
        frames.import_extra("pandas", "pandas")
        return frames.build_pandas(self.fetch_arrow(url, timeout_seconds=timeout_seconds), **options)

    def fetch_polars(self, url: str, *, timeout_seconds: float = RESULT_TIMEOUT_SECONDS) -> polars.DataFrame:
        """Fetch a query's result as a polars data frame; this takes the extra ``polars``."""
        frames.import_extra("polars", "polars")
        return frames.build_polars(self.fetch_arrow(url, timeout_seconds=timeout_seconds))

    @contextmanager
    def stream_query_result(
        self,
        url: str,
        file_format: str,
        *,
        timeout_seconds: float = RESULT_TIMEOUT_SECONDS,
        observe_truncation: Callable[[Truncation], object] | None = None,
    ) -> Iterator[Iterator[bytes]]:
        """
        Open a query's result and read it in pieces, however large it is.

        :param url: The ``query_result`` of an event.
        :param file_format: One of json, ndjson, csv, arrow, parquet, xlsx.
        :param timeout_seconds: How long to wait for a run that is still going on.
        :param observe_truncation: Is told whether the result has all rows, before any of it is read.
        :raises PushMetricsProtocolError: if the server does not have that format.
        """
        accept = get_media_type(file_format)
        deadline = time.monotonic() + timeout_seconds
        while True:
            with self._stream_result(url, accept, observe_truncation) as chunks:
                if chunks is not None:
                    yield chunks
                    return
            self._pause_until_ready(deadline, timeout_seconds)

    def save_query_result(
        self,
        url: str,
        path: str | Path | ObjectStoragePath,
        *,
        file_format: str | None = None,
        timeout_seconds: float = RESULT_TIMEOUT_SECONDS,
        observe: Callable[[bytes], object] | None = None,
        observe_truncation: Callable[[Truncation], object] | None = None,
    ) -> int:
        """
        Save a query's result to a file, in pieces, however large it is.

        The file appears only when it is whole.

        :param url: The ``query_result`` of an event.
        :param path: A local path or any URL that Airflow's object storage knows.
        :param file_format: One of json, ndjson, csv, arrow, parquet, xlsx; by default the ending of the path.
        :param timeout_seconds: How long to wait for a run that is still going on.
        :param observe: Is shown each piece before it is written, such as to make a checksum.
        :param observe_truncation: Is told whether the result has all rows, before any of it is written.
        :return: How many bytes the file has.
        """
        target = path if isinstance(path, ObjectStoragePath) else ObjectStoragePath(str(path))
        file_format = file_format or target.suffix.removeprefix(".") or target.name
        with self.stream_query_result(
            url, file_format, timeout_seconds=timeout_seconds, observe_truncation=observe_truncation
        ) as chunks:
            return save_chunks(show_chunks(chunks, observe), target)

    @contextmanager
    def _stream_result(
        self, url: str, accept: str, observe_truncation: Callable[[Truncation], object] | None
    ) -> Iterator[Iterator[bytes] | None]:
        """Open a result with the API token, if its URL may see that; None while its run is going on."""
        request = Request("GET", url, headers={"Accept": accept}, is_streamed=True)
        call = calls.send_authorized(self.credentials, request)
        try:
            with self._transport.run_streaming(call) as (response, chunks):
                if response.status_code != 200:
                    yield None
                else:
                    refuse_other_format(request, response)
                    if observe_truncation is not None:
                        observe_truncation(read_truncation(response))
                    yield chunks
        except NetworkError as error:
            raise PushMetricsUnavailableError(f"{request.describe()} broke off: {error}") from None

    def _wait_for_answer(self, build_call: Callable[[], Call[T | None]], timeout_seconds: float) -> T:
        return self.call(
            wait_until_ready(
                build_call, timeout_seconds=timeout_seconds, poll_seconds=self.result_poll_seconds
            )
        )

    def _pause_until_ready(self, deadline: float, timeout_seconds: float) -> None:
        if time.monotonic() >= deadline:
            raise PushMetricsUnavailableError(
                f"the run was still going on after {timeout_seconds:g} s; nothing to fetch yet."
            )
        time.sleep(self.result_poll_seconds)

    # The receiver

    def fetch_cursor(self) -> int:
        """Fetch the receiver's cursor: whatever arrives from now on comes after it."""
        return self.call(feed.fetch_cursor(self.settings.get_receiver()))

    def fetch_events(
        self, wanted: EventFilter, *, after: int = 0, wait_seconds: float = 0.0, limit: int = 100
    ) -> FeedPage:
        """Fetch events from the receiver's inbox, those after a cursor; wait for the first one if need be."""
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
        """Say what the connection form shows, for Airflow before 3.2; later ones read the metadata."""
        return connection_form.build_behaviour()

    def test_connection(self) -> tuple[bool, str]:
        """Try the host, the API token, the receiver and the trigger tokens; say which of them work."""
        return connection_check.check_connection(self)
