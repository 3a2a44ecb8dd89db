"""The events of a watcher on a connection without a receiver: the API's list of runs is polled."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from airflow_provider_pushmetrics.client.models import FeedEvent, Report, Run, RunStatus
from airflow_provider_pushmetrics.client.run_polling import REFUSAL_SECONDS, RunListing
from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError, PushMetricsParameterError
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient
from airflow_provider_pushmetrics.serving.logs import ThrottledLog
from airflow_provider_pushmetrics.storable import describe_error
from airflow_provider_pushmetrics.triggers.run_list import RunList, RunRefusal, find_run_list
from airflow_provider_pushmetrics.triggers.run_position import PositionStore, RunPosition

log = logging.getLogger(__name__)

OVERLAP_SECONDS = 60.0
"""
How long a run may take to appear in the list after a newer one.

Numbers are given when a run is created, and the run appears when its transaction ends.
"""

UNNAMED = RunRefusal(
    "PushMetrics says neither the number nor the uid of its report. Add the extras 'receiver_url' and"
    " 'receiver_token' to the connection: events have the number"
)


class RunStream:
    """
    The finished runs of one watcher, each once, in a form that is close to the event of a webhook.

    :param kwargs: The arguments of the trigger.
    :param store: Where the position is kept.
    :param overlap_seconds: How long a run may take to appear after a newer one.
    :param refusal_seconds: How long a run must be refused before it is given up.
    :param clock: Gives seconds that never go back.
    """

    def __init__(
        self,
        kwargs: Mapping[str, Any],
        store: PositionStore,
        *,
        overlap_seconds: float = OVERLAP_SECONDS,
        refusal_seconds: float = REFUSAL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._event: str = kwargs["event"]
        self._report_id: int | None = kwargs.get("report_id")
        self._query_id: int | None = kwargs.get("query_id")
        self._only_successful = bool(kwargs.get("only_successful"))
        self._interval_seconds: float = kwargs["poll_interval_seconds"]
        self._store = store
        self._overlap_seconds = overlap_seconds
        self._refusal_seconds = refusal_seconds
        self._clock = clock
        self._runs: RunList | None = None  # held, so that watchers find the same one
        self._position: RunPosition | None = None
        self._yielded: RunPosition | None = None  # the last one, until Airflow has stored its event
        self._saved: RunPosition | None = None
        self._newest_at: deque[tuple[float, int]] = deque()
        self._trouble = ThrottledLog(log)

    async def read(
        self, client: PushMetricsAsyncClient
    ) -> AsyncIterator[tuple[FeedEvent, RunPosition, bool]]:
        """
        Yield the event of each run that ends, with the position after it, and whether it is the last for now.

        :raises PushMetricsError: if the API cannot answer, now or ever; call it again to continue.
        """
        self._check_can_poll(client)
        self._runs = find_run_list(client.settings)
        while True:
            position = await self._load_position(client)
            listing, fetched_at = await self._runs.fetch(
                client, position.floor, max_age_seconds=self._interval_seconds
            )
            unfinished: set[int] = set()
            next_event: FeedEvent | None = None
            for run in await self._list_remaining(client, listing):
                event = await self._find_event(client, run, unfinished)
                if event is None:
                    continue
                if next_event is not None:
                    yield next_event, self._hand_over(next_event), False
                next_event = event
            if next_event is not None:
                yield next_event, self._hand_over(next_event), True
            self._raise_floor(listing, fetched_at, unfinished)
            await self._save_if_idle()
            await asyncio.sleep(max(0.0, fetched_at + self._interval_seconds - self._clock()))

    def _hand_over(self, event: FeedEvent) -> RunPosition:
        self._yielded = self._handle(event.id)
        return self._yielded

    def _handle(self, run_id: int) -> RunPosition:
        self._position = self._get_position().handle(run_id)
        return self._position

    async def store_position(self, position: RunPosition) -> None:
        """Keep a position: Airflow has stored every event before it."""
        if position == self._yielded:
            self._yielded = None
        await self._save(position)

    async def _save(self, position: RunPosition) -> None:
        """Keep a position; if that fails, the next poll tries again."""
        try:
            await self._store.save(position)
        except Exception as error:  # whatever Airflow raises: the events go on
            self._trouble.warning(
                "The position in the list of runs cannot be kept: %s", describe_error(error)
            )
        else:
            self._saved = position

    def _check_can_poll(self, client: PushMetricsAsyncClient) -> None:
        conn_id = client.settings.conn_id
        if self._event != "report.run" or self._query_id is not None:
            raise PushMetricsParameterError(
                f"event is {self._event!r} and query_id is {self._query_id!r}, but connection {conn_id!r} has"
                " no receiver, and the API lists only the runs of reports. Use event='report.run' without"
                " query_id, or set the extras 'receiver_url' and 'receiver_token' of the connection."
            )
        if not client.settings.api_token:
            raise PushMetricsConfigurationError(
                f"connection {conn_id!r} has no receiver and no API token, so nothing reports the runs."
                " Set its password, or its extras 'receiver_url' and 'receiver_token'."
            )

    def _get_position(self) -> RunPosition:
        assert self._position is not None  # set by the first poll
        return self._position

    def _get_runs(self) -> RunList:
        assert self._runs is not None  # set when the stream begins
        return self._runs

    async def _load_position(self, client: PushMetricsAsyncClient) -> RunPosition:
        """Load the position once; a new watcher begins with the runs that have not ended."""
        if self._position is None:
            position = self._saved = await self._store.load()
            if position is None:
                listing, _ = await self._get_runs().fetch(
                    client, None, max_age_seconds=self._interval_seconds
                )
                position = RunPosition.begin(listing.runs, is_complete=listing.is_complete)
                await self._save(position)
            self._position = position
        return self._position

    def _may_match(self, run: Run) -> bool:
        return self._report_id is None or run.report_id in (None, self._report_id)

    async def _list_remaining(self, client: PushMetricsAsyncClient, listing: RunListing) -> list[Run]:
        """List the runs that are not handled; those that the list does not contain are fetched one by one."""
        position = self._get_position()
        if not listing.is_complete:
            self._trouble.error(
                "PushMetrics lists no runs between %d and %d: runs may have been missed",
                position.floor,
                listing.runs[-1].id if listing.runs else 0,
            )
        known = {run.id: run for run in listing.runs}
        old = position.open_runs - known.keys()
        found = await self._get_runs().fetch_single_runs(client, old, max_age_seconds=self._interval_seconds)
        for run_id, run in found.items():
            if isinstance(run, Run):
                known[run_id] = run
            elif self._is_final(run):
                self._skip(run_id, run.reason)
        position = self._get_position()
        remaining = [run for run in known.values() if position.remains(run.id) and self._may_match(run)]
        return sorted(remaining, key=lambda run: run.id)

    async def _find_event(
        self, client: PushMetricsAsyncClient, run: Run, unfinished: set[int]
    ) -> FeedEvent | None:
        """Find the event of a run; None if there is none yet, which is noted, or never."""
        if not run.status.is_finished:
            unfinished.add(run.id)
            return None
        known = await self._identify(client, run)
        event: FeedEvent | RunRefusal | None = None if isinstance(known, Run) else known
        if isinstance(known, Run):
            if not self._may_match(known):
                self._handle(run.id)
                return None
            if self._only_successful and run.status is not RunStatus.SUCCESS:
                self._skip(run.id, f"its status is {run.status}")
                return None
            event = await self._get_runs().fetch_event(client, known)
        if isinstance(event, RunRefusal) and self._is_final(event):
            self._skip(run.id, event.reason)
            return None
        if not isinstance(event, FeedEvent):
            unfinished.add(run.id)
            return None
        if self._report_id not in (None, event.body["report_id"]):
            self._handle(run.id)
            return None
        return event

    async def _identify(self, client: PushMetricsAsyncClient, run: Run) -> Run | RunRefusal | None:
        """Find the number of a run's report, of which the list may contain only the uid."""
        if run.report_id is not None:
            return run
        if run.report_uid is None:
            return UNNAMED
        report = await self._get_runs().fetch_report(client, run.report_uid)
        return run.model_copy(update={"report_id": report.id}) if isinstance(report, Report) else report

    def _is_final(self, refusal: RunRefusal) -> bool:
        return refusal.seconds >= self._refusal_seconds

    def _skip(self, run_id: int, reason: str) -> None:
        log.warning("Run %d updates no asset: %s", run_id, reason)
        self._handle(run_id)

    def _raise_floor(self, listing: RunListing, fetched_at: float, unfinished: set[int]) -> None:
        """Raise the floor to the newest run of a poll so long ago that no older run can appear."""
        if listing.runs and (not self._newest_at or self._newest_at[-1][1] < listing.runs[0].id):
            self._newest_at.append((fetched_at, listing.runs[0].id))
        while self._newest_at and self._newest_at[0][0] <= fetched_at - self._overlap_seconds:
            _, newest = self._newest_at.popleft()
            self._position = self._get_position().raise_floor(newest, unfinished)

    async def _save_if_idle(self) -> None:
        """Keep the position if Airflow has stored every event before it."""
        if self._yielded is None and self._get_position() != self._saved:
            await self._save(self._get_position())
