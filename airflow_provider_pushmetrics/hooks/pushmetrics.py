"""The hook: what a PushMetrics connection can do, for operators, sensors, triggers and people."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from functools import cached_property
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote, quote_plus

import aiohttp
import requests
from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.common.compat.sdk import ObjectStoragePath
from airflow.providers.http.hooks.http import HttpHook

from airflow_provider_pushmetrics.client import calls, feed
from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.feed import EventFilter
from airflow_provider_pushmetrics.client.messages import Call, NetworkError, Request, T
from airflow_provider_pushmetrics.client.models import FeedPage, Run, RunOutputs, TriggeredRun
from airflow_provider_pushmetrics.client.retries import RetryPolicy
from airflow_provider_pushmetrics.client.sending import DEFAULT_POLICY
from airflow_provider_pushmetrics.client.transports import AsyncTransport, SyncTransport
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsAuthError,
    PushMetricsError,
    PushMetricsParameterError,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.hooks.settings import (
    AirflowConnection,
    PushMetricsSettings,
    TransportSettings,
)

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import JsonValue

try:
    from airflow.sdk.log import mask_secret
except ImportError:  # Airflow 2 and 3.0
    from airflow.utils.log.secrets_masker import (  # type: ignore[import-not-found, no-redef, unused-ignore]
        mask_secret,
    )

try:
    from airflow.sdk.log import amask_secret
except ImportError:  # before Airflow 3.3.2

    async def amask_secret(secret: JsonValue, name: str | None = None) -> None:
        """Mask a secret without blocking the event loop."""
        await asyncio.to_thread(mask_secret, secret, name)


FORMATS: Mapping[str, str] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}
"""The formats in which a result can be had, by the name of a file's ending."""


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
        return build_credentials(self.settings)

    def get_conn(
        self, headers: dict[Any, Any] | None = None, extra_options: dict[str, Any] | None = None
    ) -> requests.Session:
        """Open a ``requests`` session with the connection's proxies, TLS settings and keep-alive."""
        session = requests.Session()
        transport = self.settings.transport
        session.proxies = dict(transport.proxies)
        session.verify = transport.verify
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
        """Run a call of ``client.calls`` or ``client.feed``."""
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
            self.settings.base_url, str(report_id), token, parameters, idempotency_key=idempotency_key
        )
        return self.call(call)

    def get_runs(self, report_id: str | int) -> tuple[Run, ...]:
        """Fetch the newest runs of a report, newest first."""
        return self.call(calls.fetch_runs(self.credentials, str(report_id)))

    def get_run(self, run_id: int) -> Run:
        """Fetch one run."""
        return self.call(calls.fetch_run(self.credentials, run_id))

    def cancel_run(self, run_id: int, *, policy: RetryPolicy = DEFAULT_POLICY) -> bool:
        """Cancel a run; False if it has ended, or if the server has no way to cancel one."""
        return self.call(calls.cancel_run(self.credentials, run_id, policy))

    def get_run_outputs(self, url: str) -> RunOutputs | None:
        """Fetch the outputs of a report run from the URL in its event; None while it is going on."""
        return self.call(calls.fetch_outputs(self.credentials, url))

    def wait_for_outputs(self, url: str, *, timeout_seconds: float = 60.0) -> RunOutputs:
        """Fetch the outputs of a report run that is over; they may take a moment to be readable."""
        return self._wait_for_answer(lambda: calls.fetch_outputs(self.credentials, url), timeout_seconds)

    def build_outputs_url(self, report_id: str | int, run_id: int) -> str:
        """Build the URL of a report run's outputs."""
        return calls.build_outputs_url(self.settings.base_url, report_id, run_id)

    # Results

    def get_query_result(self, url: str, *, timeout_seconds: float = 300.0) -> dict[str, Any]:
        """
        Fetch a query's result as JSON: ``columns``, ``row_count`` and ``data``, a list of row objects.

        :param url: The ``query_result`` of an event.
        :param timeout_seconds: How long to wait for a run that is still going on.
        """
        return self._wait_for_answer(lambda: calls.fetch_query_result(self.credentials, url), timeout_seconds)

    def save_query_result(
        self,
        url: str,
        path: str | Path | ObjectStoragePath,
        *,
        file_format: str | None = None,
        timeout_seconds: float = 300.0,
        observe: Callable[[bytes], object] | None = None,
    ) -> int:
        """
        Save a query's result to a file, in pieces, however large it is.

        The file appears only when it is whole.

        :param url: The ``query_result`` of an event.
        :param path: A local path or any URL that Airflow's object storage knows.
        :param file_format: One of json, ndjson, csv, arrow, parquet; by default the ending of the path.
        :param timeout_seconds: How long to wait for a run that is still going on.
        :param observe: Is shown each piece before it is written, such as to make a checksum.
        :return: How many bytes the file has.
        """
        target = path if isinstance(path, ObjectStoragePath) else ObjectStoragePath(str(path))
        accept = FORMATS.get(file_format or target.suffix.removeprefix("."))
        if accept is None:
            raise PushMetricsParameterError(
                f"{file_format or target.name!r} is no format of a result; there are {', '.join(FORMATS)}."
            )
        deadline = time.monotonic() + timeout_seconds
        while True:
            with self._stream_result(url, accept) as chunks:
                if chunks is not None:
                    return save_chunks(show_chunks(chunks, observe), target)
            self._pause_until_ready(deadline, timeout_seconds)

    @contextmanager
    def _stream_result(self, url: str, accept: str) -> Iterator[Iterator[bytes] | None]:
        """Open a result with the API token, if its URL may see that; None while its run is going on."""
        request = Request("GET", url, headers={"Accept": accept}, is_streamed=True)
        call = calls.send_authorized(self.credentials, request)
        try:
            with self._transport.run_streaming(call) as (response, chunks):
                yield chunks if response.status_code == 200 else None
        except NetworkError as error:
            raise PushMetricsUnavailableError(f"{request.describe()} broke off: {error}") from None

    def _wait_for_answer(self, build_call: Callable[[], Call[T | None]], timeout_seconds: float) -> T:
        deadline = time.monotonic() + timeout_seconds
        while True:
            answer = self.call(build_call())
            if answer is not None:
                return answer
            self._pause_until_ready(deadline, timeout_seconds)

    def _pause_until_ready(self, deadline: float, timeout_seconds: float) -> None:
        if time.monotonic() >= deadline:
            raise PushMetricsUnavailableError(
                f"the run was still going on after {timeout_seconds:g} s; nothing to fetch yet."
            )
        time.sleep(self.result_poll_seconds)

    # The receiver

    def get_cursor(self) -> int:
        """Fetch the receiver's cursor: whatever arrives from now on comes after it."""
        return self.call(feed.fetch_cursor(self.settings.get_receiver()))

    def get_events(
        self, wanted: EventFilter, *, after: int = 0, wait_seconds: float = 0.0, limit: int = 100
    ) -> FeedPage:
        """Fetch events from the receiver's inbox, those after a cursor; wait for the first one if need be."""
        receiver = self.settings.get_receiver()
        return self.call(
            feed.fetch_events(receiver, wanted, after=after, wait_seconds=wait_seconds, limit=limit)
        )

    # The connection

    def test_connection(self) -> tuple[bool, str]:
        """Try the host, the API token and the receiver, and say which of them work."""
        findings = [self._try_api(), self._try_receiver()]
        count = len(self.settings.trigger_tokens)
        is_empty = not (count or self.settings.api_token or self.settings.receiver)
        findings.append((not is_empty, f"{count} trigger token(s) stored; trying one would start a run"))
        return all(works for works, _ in findings), "; ".join(text for _, text in findings)

    def _try_api(self) -> tuple[bool, str]:
        host = self.settings.base_url
        if not self.settings.api_token:
            return True, f"{host}: no API token, so reports can be triggered but not waited for"
        request = Request("GET", f"{host}/api/v1/user/current", headers={"Accept": calls.JSON_TYPE})
        try:
            self.call(calls.send_authorized(self.credentials, request))
        except PushMetricsAuthError as error:
            return False, f"{host}: the API token is refused ({error.status_code})"
        except PushMetricsError as error:
            return False, f"{host}: {error}"
        return True, f"{host}: the API token works"

    def _try_receiver(self) -> tuple[bool, str]:
        if self.settings.receiver is None:
            return True, "no receiver"
        try:
            self.get_cursor()
        except PushMetricsError as error:
            return False, f"receiver: {error}"
        return True, f"receiver {self.settings.receiver.url}: works"


class PushMetricsAsyncClient:
    """
    The hook's twin for triggers: the same calls, without blocking the event loop.

    :param settings: The connection.
    :param transport: Runs the calls.
    """

    def __init__(self, settings: PushMetricsSettings, transport: AsyncTransport) -> None:
        self.settings = settings
        self.credentials = build_credentials(settings)
        self._transport = transport

    async def call(self, call: Call[T]) -> T:
        """Run a call of ``client.calls`` or ``client.feed``."""
        return await self._transport.run(call)

    @classmethod
    @asynccontextmanager
    async def open(cls, pushmetrics_conn_id: str) -> AsyncIterator[PushMetricsAsyncClient]:
        """Look the connection up and open one session for as long as the wait lasts."""
        settings = await aread_settings(await get_async_connection(pushmetrics_conn_id))
        async with open_async_transport(settings) as transport:
            yield cls(settings, transport)


@asynccontextmanager
async def open_async_transport(settings: PushMetricsSettings) -> AsyncIterator[AsyncTransport]:
    """Open an ``aiohttp`` session with the connection's proxies and TLS settings."""
    transport = settings.transport
    tls = await asyncio.to_thread(build_tls_option, transport)  # reads files
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield AsyncTransport(
            session,
            tls,
            transport.proxies,
            trust_env=transport.trust_env,
            timeout_seconds=transport.timeout_seconds,
        )


def build_tls_option(transport: TransportSettings) -> ssl.SSLContext | bool:
    """Build what ``aiohttp`` takes for ``verify`` and ``cert``: True, False or a context."""
    if isinstance(transport.verify, bool) and transport.cert is None:
        return transport.verify
    cafile = transport.verify if isinstance(transport.verify, str) else None
    context = ssl.create_default_context(cafile=cafile)
    if transport.verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if transport.cert is not None:
        context.load_cert_chain(transport.cert)
    return context


def read_settings(connection: Any) -> PushMetricsSettings:
    """Read a connection, and mask every secret in it, as it is and as it looks in a URL."""
    checked: AirflowConnection = connection
    settings = PushMetricsSettings.from_connection(checked, connection.extra_dejson)
    for form in list_secret_forms(settings):
        mask_secret(form)
    return settings


async def aread_settings(connection: Any) -> PushMetricsSettings:
    """
    Read a connection as :func:`read_settings` does, in an event loop.

    Reading the extra and masking talk to Airflow's supervisor: done synchronously, they block the loop, and
    in a task without greenback's portal, such as that of a shared stream, the supervisor is never told.
    """
    checked: AirflowConnection = connection
    if hasattr(connection, "aextra_dejson"):
        extra = await connection.aextra_dejson()
    else:  # before Airflow 3.3.2
        extra = await asyncio.to_thread(lambda: connection.extra_dejson)
    settings = PushMetricsSettings.from_connection(checked, extra)
    for form in list_secret_forms(settings):
        await amask_secret(form)
    return settings


def list_secret_forms(settings: PushMetricsSettings) -> set[str]:
    """List each secret as it is and as it looks in a URL: Airflow masks only the forms that it knows."""
    forms = ((secret, quote(secret, safe=""), quote_plus(secret)) for secret in settings.list_secrets())
    return set(itertools.chain.from_iterable(forms))


def show_chunks(chunks: Iterator[bytes], observe: Callable[[bytes], object] | None) -> Iterator[bytes]:
    """Show each piece to an observer on its way."""
    for chunk in chunks:
        if observe is not None:
            observe(chunk)
        yield chunk


def save_chunks(chunks: Iterator[bytes], target: ObjectStoragePath) -> int:
    """Write a file piece by piece, which appears only when it is whole; return its size."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.parent / f".{target.name}.{time.time_ns()}.part"
    try:
        with part.open("wb") as file:
            size: int = sum(file.write(chunk) for chunk in chunks)
        part.rename(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return size


def build_credentials(settings: PushMetricsSettings) -> Credentials:
    """Build the credentials of a connection."""
    return Credentials(settings.base_url, settings.api_token, settings.trusted_origins)
