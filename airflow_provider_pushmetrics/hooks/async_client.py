"""The asynchronous client for triggers and async callbacks, with the methods of the hook."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

import aiohttp

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
from airflow_provider_pushmetrics.client.transports import MAX_RESPONSE_BYTES, AsyncTransport
from airflow_provider_pushmetrics.compat import get_async_connection
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.hooks.masking import aread_settings
from airflow_provider_pushmetrics.hooks.settings import PushMetricsSettings
from airflow_provider_pushmetrics.hooks.trust import build_context
from airflow_provider_pushmetrics.tracing import TaskOrigin


class PushMetricsAsyncClient:
    """
    The asynchronous client: the methods of the hook, to be awaited.

    Methods raise the errors that ``PushMetricsHook`` describes.

    :param settings: The connection.
    :param transport: Runs the calls.
    """

    def __init__(self, settings: PushMetricsSettings, transport: AsyncTransport) -> None:
        self.settings = settings
        self.credentials = _share_credentials(settings)
        self._transport = transport

    async def call(self, call: Call[T]) -> T:
        """Run a call of ``client.calls``, ``client.reports`` or ``client.feed``."""
        return await self._transport.run(call)

    @classmethod
    @asynccontextmanager
    async def open(cls, pushmetrics_conn_id: str) -> AsyncIterator[PushMetricsAsyncClient]:
        """
        Read the connection, and open one session for the ``async with`` block.

        :param pushmetrics_conn_id: The connection.
        :raises PushMetricsConfigurationError: if the connection is incomplete or wrong.
        """
        settings = await aread_settings(await get_async_connection(pushmetrics_conn_id))
        async with open_async_transport(settings) as transport:
            yield cls(settings, transport)

    async def trigger_report(
        self,
        report_id: str | int,
        parameters: Mapping[str, Any] | None = None,
        *,
        idempotency_key: str | None = None,
        origin: TaskOrigin | None = None,
    ) -> TriggeredRun:
        """
        Start a run of a report by its webhook trigger, as ``PushMetricsHook.trigger_report`` does.

        :param report_id: The report's number or uid.
        :param parameters: Values for its parameters, by name; JSON keeps their types.
        :param idempotency_key: The same key starts the same run only once, if the server supports such keys.
        :param origin: The task that starts the run, which PushMetrics may show.
        :return: The run that was started; its ``run_id`` is None if the server does not return it.
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
        return await self.call(call)

    async def fetch_reports(self, *, limit: int | None = None) -> tuple[Report, ...]:
        """
        Fetch the reports that the API token may see.

        :param limit: At most how many; None for all.
        :return: The reports, without their blocks.
        """
        return await self.call(reports.fetch_reports(self.credentials, limit=limit))

    async def fetch_report(self, report_id: str | int) -> Report:
        """
        Fetch one report.

        :param report_id: Its number or uid.
        :return: The report with its blocks.
        """
        return await self.call(reports.fetch_report(self.credentials, str(report_id)))

    async def fetch_runs(self, report_id: str | int) -> tuple[Run, ...]:
        """
        Fetch the newest runs of a report, newest first.

        :param report_id: Its number or uid.
        :return: At most 100 runs.
        """
        return await self.call(calls.fetch_runs(self.credentials, str(report_id)))

    async def fetch_run(self, run_id: int) -> Run:
        """
        Fetch one run.

        :param run_id: Its number.
        :return: The run.
        """
        return await self.call(calls.fetch_run(self.credentials, run_id))

    async def fetch_run_logs(self, run_id: int, *, limit: int = calls.LOG_LINES) -> tuple[RunLogLine, ...]:
        """
        Fetch the log of a run, its first lines first.

        :param run_id: Its number.
        :param limit: At most how many lines.
        :return: The lines.
        """
        return await self.call(calls.fetch_run_logs(self.credentials, run_id, limit=limit))

    async def fetch_run_blocks(self, run_id: int) -> tuple[RunBlock, ...]:
        """
        Fetch the status of each block of a run.

        :param run_id: The run's number.
        :return: The blocks.
        """
        return await self.call(calls.fetch_run_blocks(self.credentials, run_id))

    async def cancel_run(self, run_id: int, *, policy: RetryPolicy = DEFAULT_POLICY) -> bool:
        """
        Cancel a run.

        :param run_id: Its number.
        :param policy: How often the request is tried.
        :return: False if it has ended, or if the server cannot cancel runs.
        """
        return await self.call(calls.cancel_run(self.credentials, run_id, policy))

    async def fetch_run_outputs(self, url: str) -> RunOutputs | None:
        """
        Fetch the outputs of a report run.

        :param url: The ``report_notebook_outputs`` of its event.
        :return: The outputs; None until the run ends.
        :raises PushMetricsUntrustedUrlError: if the API token must not be sent there.
        """
        return await self.call(calls.fetch_outputs(self.credentials, url))

    async def fetch_cursor(self) -> int:
        """
        Fetch the receiver's cursor.

        :return: The newest event's id; later events come after it.
        :raises PushMetricsConfigurationError: if the connection has no receiver.
        """
        return await self.call(feed.fetch_cursor(self.settings.get_receiver()))

    async def fetch_events(
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
        return await self.call(
            feed.fetch_events(receiver, wanted, after=after, wait_seconds=wait_seconds, limit=limit)
        )


# Each trigger builds its own client, so a JWT can only be shared here.
_credentials: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, tuple[PushMetricsSettings, Credentials]]]
_credentials = WeakKeyDictionary()


def _share_credentials(settings: PushMetricsSettings) -> Credentials:
    """
    Get the credentials of a connection, which all clients of this event loop share.

    PushMetrics limits how often an API token is exchanged. Other settings of the connection, and code outside
    of an event loop, get other credentials.
    """
    try:
        known = _credentials.setdefault(asyncio.get_running_loop(), {})
    except RuntimeError:  # there is no event loop
        return settings.build_credentials()
    kept = known.get(settings.conn_id)
    if kept is None or kept[0] != settings:
        kept = known[settings.conn_id] = settings, settings.build_credentials()
    return kept[1]


@asynccontextmanager
async def open_async_transport(
    settings: PushMetricsSettings, *, max_body_bytes: int = MAX_RESPONSE_BYTES
) -> AsyncIterator[AsyncTransport]:
    """
    Open an ``aiohttp`` session with the connection's proxies and TLS settings.

    :param max_body_bytes: The maximum size of a body in memory.
    :raises PushMetricsConfigurationError: if a configured certificate cannot be used.
    """
    transport = settings.transport
    tls = await asyncio.to_thread(build_context, transport)  # reads files
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield AsyncTransport(
            session,
            tls,
            transport.proxies,
            trust_env=transport.trust_env,
            timeout_seconds=transport.timeout_seconds,
            max_body_bytes=max_body_bytes,
        )
