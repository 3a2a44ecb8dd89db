"""The polls of the API for all waits of a hub: runs by their numbers, lists of runs, and results."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

from airflow_provider_pushmetrics.client import calls, feed
from airflow_provider_pushmetrics.client.models import Run
from airflow_provider_pushmetrics.client.protocol import Call, T
from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT
from airflow_provider_pushmetrics.client.wait_budget import (
    DEFAULT_POLL_INTERVAL_SECONDS,
    FailureBackoff,
    WaitBudget,
    ask_about_run,
    check_server,
)
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsParameterError,
    PushMetricsRunError,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient
from airflow_provider_pushmetrics.hooks.settings import PushMetricsSettings
from airflow_provider_pushmetrics.triggers.hub.failures import HubFailures, fail_waits
from airflow_provider_pushmetrics.triggers.hub.limits import HubLimits
from airflow_provider_pushmetrics.triggers.hub.wait_index import PendingWait, WaitIndex

SHORTEST_PAUSE_SECONDS = 0.1
"""A pause ends with the wait's deadline, which may be now."""


class ApiPolls:
    """
    Polls the API for all waits of a hub, in rounds; for a new wait with the number of a run at once.

    :param settings: The connection.
    :param index: The waits.
    :param limits: How much one round asks for.
    :param failures: What to do while PushMetrics is unavailable. If it answers other requests, a failure
        slows only the waits for that run.
    """

    def __init__(
        self, settings: PushMetricsSettings, index: WaitIndex, limits: HubLimits, failures: HubFailures
    ) -> None:
        self._settings = settings
        self._index = index
        self._limits = limits
        self._failures = failures
        self._new_runs: set[int] = set()
        self._run_came = asyncio.Event()

    def add(self, wait: PendingWait) -> None:
        """Poll for a wait of the index from now on."""
        if wait.run_id is not None:
            self._add_run(wait.run_id)
        if wait.run_poll is not None:
            self._run_came.set()

    def _add_run(self, run_id: int) -> None:
        self._new_runs.add(run_id)
        self._run_came.set()

    async def follow(self, client: PushMetricsAsyncClient) -> None:
        """Poll until this is cancelled."""
        backoff = FailureBackoff(WaitBudget(failures=self._limits.failures))
        next_round = time.monotonic()
        while True:
            is_round = await self._wait_for_round(next_round)
            asked, self._new_runs = self._new_runs, set()
            try:
                await self._poll_runs(client, asked | self._list_due_runs() if is_round else asked)
                if is_round:
                    await self._poll_lists(client)
            except PushMetricsApiError as error:
                self._new_runs |= asked
                has_other = self._settings.receiver and isinstance(error, PushMetricsUnavailableError)
                dependents = [] if has_other else [wait for wait in self._index if wait.polls_api]
                await self._failures.back_off(backoff, error, dependents)
                self._run_came.set()
                continue
            backoff.reset()
            self._failures.clear()
            if is_round:
                next_round = self._find_next_round()

    async def _wait_for_round(self, next_round: float) -> bool:
        """Wait for a new run, or until all runs are due; return whether they are."""
        try:
            async with asyncio.timeout(max(0.0, next_round - time.monotonic())):
                await self._run_came.wait()
        except TimeoutError:
            if not self._index.list_runs() and not self._index.list_polls():
                await self._run_came.wait()
        self._run_came.clear()
        return time.monotonic() >= next_round

    def _find_next_round(self) -> float:
        """Find when to poll again: after the interval, or sooner for a wait whose own poll has failed."""
        resumed = (wait.resumes_at for wait in self._index.list_polls() if wait.backoff is not None)
        return min([time.monotonic() + self._compute_interval(), *resumed])

    def _compute_interval(self) -> float:
        """Return the shortest interval of the waits; a long one if there is a receiver."""
        if self._settings.receiver is not None:
            return feed.LONG_POLL_SECONDS
        intervals = (
            wait.budget.poll_interval_seconds
            for wait in self._index
            if wait.run_id is not None or wait.run_poll is not None
        )
        return min(intervals, default=DEFAULT_POLL_INTERVAL_SECONDS)

    def _list_due_runs(self) -> set[int]:
        """List the runs to poll, without those whose own polls have failed just now."""
        return {
            run_id
            for run_id in self._index.list_runs()
            if any(wait.is_due() for wait in self._index.find_by_run(run_id))
        }

    async def _poll_runs(self, client: PushMetricsAsyncClient, run_ids: set[int]) -> None:
        """Poll runs: first the list of the newest, then those that it does not contain."""
        remaining = run_ids & self._index.list_runs()
        if len(remaining) > self._limits.few_runs:
            listed = await self._list_runs(client)
            remaining -= {run.id for run in listed}
            for run in listed:
                self._resolve_run(run)
        for run_id in sorted(remaining, key=self._find_last_poll)[: self._limits.single_runs]:
            await self._poll_run(client, run_id)

    async def _list_runs(self, client: PushMetricsAsyncClient) -> tuple[Run, ...]:
        try:
            return await client.call(
                calls.fetch_newest_runs(client.credentials, self._limits.listed_runs, ONE_ATTEMPT)
            )
        except PushMetricsUnavailableError:
            raise
        except PushMetricsApiError:
            return ()  # a token that may not list runs may still read each one

    async def _poll_run(self, client: PushMetricsAsyncClient, run_id: int) -> None:
        for wait in self._index.find_by_run(run_id):
            wait.asked_at = time.monotonic()
        build = partial(calls.fetch_run, client.credentials, run_id, ONE_ATTEMPT)
        try:
            run = await self._ask(
                client, build, lambda error: fail_waits(self._index.find_by_run(run_id), error)
            )
        except PushMetricsUnavailableError as error:
            seconds = await self._slow_down(client, self._index.find_by_run(run_id), error)
            if self._index.find_by_run(run_id):
                asyncio.get_running_loop().call_later(seconds, self._add_run, run_id)
            return
        if run is not None:
            self._resolve_run(run)

    def _resolve_run(self, run: Run) -> None:
        for wait in self._index.find_by_run(run.id):
            wait.recover()
            wait.offer_run(run)

    def _find_last_poll(self, run_id: int) -> float:
        return min((wait.asked_at for wait in self._index.find_by_run(run_id)), default=0.0)

    async def _poll_lists(self, client: PushMetricsAsyncClient) -> None:
        """Poll for the waits without a run id: one list for all that use the same one."""
        lists: dict[int | None, tuple[Run, ...]] = {}
        for wait in self._index.list_polls():
            if not wait.is_due():
                continue
            try:
                await self._poll_list(client, wait, lists)
            except (PushMetricsParameterError, PushMetricsRunError) as error:
                wait.fail(error)

    async def _poll_list(
        self, client: PushMetricsAsyncClient, wait: PendingWait, lists: dict[int | None, tuple[Run, ...]]
    ) -> None:
        poll, listed = wait.run_poll, lists.get(wait.wanted.report_id)
        assert poll is not None
        if poll.needs_list and listed is None:
            after = self._index.find_reached(wait.wanted.report_id)
            listed = await self._ask(client, lambda: poll.fetch_list(client.credentials, after), wait.fail)
            if listed is None:
                return
            lists[wait.wanted.report_id] = listed
        try:
            found = await self._ask(client, lambda: poll.poll(client.credentials, listed), wait.fail)
        except PushMetricsUnavailableError as error:
            await self._slow_down(client, (wait,), error)
            return
        wait.recover()
        wait.resolve(found)

    async def _ask(
        self,
        client: PushMetricsAsyncClient,
        build: Callable[[], Call[T | None]],
        fail: Callable[[PushMetricsApiError], None],
    ) -> T | None:
        """
        Make a request for some waits; fail them if it is refused although PushMetrics answers others.

        :raises PushMetricsApiError: if PushMetrics does not answer, or rejects the API token.
        """
        return await client.call(ask_about_run(client.credentials, build, fail, ONE_ATTEMPT))

    async def _slow_down(
        self, client: PushMetricsAsyncClient, slowed: Collection[PendingWait], error: PushMetricsApiError
    ) -> float:
        """
        Poll later for waits whose own request failed; after too many failures in a row, fail them.

        With a receiver they go on: the event may arrive there.

        :return: After how many seconds.
        :raises PushMetricsApiError: if PushMetrics does not answer another request either.
        """
        await client.call(check_server(client.credentials, error, ONE_ATTEMPT))
        seconds = 0.0
        for wait in slowed:
            backoff = wait.backoff or FailureBackoff(replace(wait.budget, failures=self._limits.failures))
            wait.failure, wait.backoff = error, backoff
            try:
                seconds = max(seconds, backoff.compute_pause(error).seconds)
            except PushMetricsApiError:
                backoff.reset()
                if self._settings.receiver is None:
                    wait.fail(error)
        seconds = max(seconds, SHORTEST_PAUSE_SECONDS)
        for wait in slowed:
            wait.resumes_at = time.monotonic() + seconds
        return seconds
