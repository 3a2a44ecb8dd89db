"""What the page of events shows of a run: its report's name, a link, and whether it succeeded."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow.models.connection import Connection
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_provider_pushmetrics.client import calls
from airflow_provider_pushmetrics.client.models import Run, RunStatus
from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT
from airflow_provider_pushmetrics.event_ids import find_report_run_id
from airflow_provider_pushmetrics.exceptions import PushMetricsError, PushMetricsUntrustedUrlError
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient
from airflow_provider_pushmetrics.plugins.connections import open_client, run_in_own_thread
from airflow_provider_pushmetrics.redaction import redact

log = logging.getLogger(__name__)

DEFAULT_CONNECTION = "pushmetrics_default"
CONNECTION_TYPE = "pushmetrics"
MAX_CONNECTIONS = 10
MAX_REPORT_NAME_CHARACTERS = 200
FACTS_TIMEOUT_SECONDS = 10.0
CACHED_SECONDS = 10.0
LISTED_RUNS = 100
FETCHED_SINGLY = 3
"""So few runs are fetched one by one, however old they are; of more, the newest runs are listed."""


@dataclass(frozen=True)
class EventSubject:
    """
    What an event says of its run. Anybody who knows a sender's token could have written it.

    :param run_url: The URL of the outputs or of the result.
    :param run_id: The report run in it; None for a query run, which has no status of its own.
    """

    report_name: str | None = None
    run_url: str | None = None
    run_id: int | None = None


def read_subject(body: bytes) -> EventSubject:
    """Read the body of an event, which may be anything that its sender wrote."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        return EventSubject()
    name, url = fields.get("report_name"), fields.get("report_notebook_outputs") or fields.get("query_result")
    url = url if isinstance(url, str) else None
    return EventSubject(
        report_name=name[:MAX_REPORT_NAME_CHARACTERS] if isinstance(name, str) and name else None,
        run_url=url,
        run_id=None if url is None or "query_result" in fields else find_report_run_id(url),
    )


@dataclass
class EventRunFacts:
    """
    Asks the PushMetrics of this Airflow's connections about the runs of events.

    Only ``pushmetrics_default`` and the connections in Airflow's database are known: other backends cannot
    list theirs.

    :param timeout_seconds: How long the answer to one request of the page may take. The connections are
        asked at the same time, so one that does not answer does not hide the runs of the others.
    """

    timeout_seconds: float = FACTS_TIMEOUT_SECONDS
    _lists: dict[str, tuple[float, tuple[Run, ...]]] = field(default_factory=dict)

    async def fetch(self, subjects: Mapping[int, EventSubject]) -> dict[int, dict[str, Any]]:
        """
        Fetch the link and the status of each run, by the event's id; what is unknown is left out.

        :param subjects: What each event says.
        """
        if not subjects:
            return {}
        deadline = asyncio.get_running_loop().time() + self.timeout_seconds
        try:
            async with asyncio.timeout_at(deadline):
                conn_ids = await run_in_own_thread(list_connections)
        except TimeoutError:
            log.warning("The connections could not be listed within %g s", self.timeout_seconds)
            return {}
        parts = await asyncio.gather(*(self._fetch_from(one, subjects, deadline) for one in conn_ids))
        found: dict[int, dict[str, Any]] = {}
        for part in parts:
            found |= {
                number: facts for number, facts in part.items() if number not in found or facts["status"]
            }
        return found

    async def _fetch_from(
        self, conn_id: str, subjects: Mapping[int, EventSubject], deadline: float
    ) -> dict[int, dict[str, Any]]:
        """Fetch what one connection knows until a time of the loop's clock; after that, only the links."""
        found: dict[int, dict[str, Any]] = {}
        try:
            async with asyncio.timeout_at(deadline), open_client(conn_id) as client:
                ours = {number: one for number, one in subjects.items() if is_of(client, one)}
                found |= {
                    number: {"url": redact(one.run_url or ""), "status": None} for number, one in ours.items()
                }
                if client.settings.api_token and ours:
                    runs = await self._fetch_runs(client, {one.run_id for one in ours.values() if one.run_id})
                    for number, one in ours.items():
                        found[number]["status"] = runs.get(one.run_id or 0)
        except Exception as error:  # of any secrets backend, or of PushMetrics: the page shows less
            log.warning("The runs of connection %r cannot be shown: %s", conn_id, type(error).__name__)
        return found

    async def _fetch_runs(self, client: PushMetricsAsyncClient, wanted: set[int]) -> dict[int, str]:
        if len(wanted) <= FETCHED_SINGLY:
            singly = [await _find_run(client, run_id) for run_id in sorted(wanted)]
            return _read_statuses(run for run in singly if run is not None)
        return _read_statuses(run for run in await self._list_runs(client) if run.id in wanted)

    async def _list_runs(self, client: PushMetricsAsyncClient) -> tuple[Run, ...]:
        """List the newest runs; again only after some seconds, however many readers the page has."""
        key, now = client.settings.conn_id, time.monotonic()
        expires_at, runs = self._lists.get(key, (0.0, ()))
        if now >= expires_at:
            runs = await client.call(calls.fetch_newest_runs(client.credentials, LISTED_RUNS, ONE_ATTEMPT))
            self._lists[key] = now + CACHED_SECONDS, runs
        return runs


async def _find_run(client: PushMetricsAsyncClient, run_id: int) -> Run | None:
    try:
        return await client.call(calls.fetch_run(client.credentials, run_id, ONE_ATTEMPT))
    except PushMetricsError:
        return None


def _read_statuses(runs: Iterable[Run]) -> dict[int, str]:
    return {run.id: run.status.value for run in runs if run.status is not RunStatus.UNKNOWN}


def is_of(client: PushMetricsAsyncClient, subject: EventSubject) -> bool:
    """Return whether the run of an event is at the PushMetrics of a connection."""
    if subject.run_url is None:
        return False
    try:
        client.credentials.refuse_untrusted(subject.run_url)
    except PushMetricsUntrustedUrlError:
        return False
    return True


def list_connections() -> Sequence[str]:
    """List the ids of the connections to PushMetrics that can be known."""
    query = select(Connection.conn_id).where(Connection.conn_type == CONNECTION_TYPE)
    with create_session(scoped=False) as session:
        ids = session.scalars(query.order_by(Connection.conn_id).limit(MAX_CONNECTIONS)).all()
    return tuple(dict.fromkeys((DEFAULT_CONNECTION, *ids)))
