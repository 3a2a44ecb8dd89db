"""The waits that share a feed, indexed by their filters."""

from __future__ import annotations

import asyncio
import copy
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_pushmetrics.client import feed
from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.feed import Receiver
from airflow_provider_pushmetrics.client.models import FeedEvent, Run
from airflow_provider_pushmetrics.client.protocol import Call
from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT
from airflow_provider_pushmetrics.client.run_polling import RunPoll
from airflow_provider_pushmetrics.client.wait_budget import FailureBackoff, WaitBudget
from airflow_provider_pushmetrics.event_matching import EventFilter, FilterIndex, read_subject
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsNotFoundError,
    PushMetricsParameterError,
)


class ConnectionChangedError(PushMetricsApiError):
    """The connection has changed since the wait began: it goes on in the hub of the new settings."""


@dataclass(eq=False)
class PendingWait:
    """
    One wait among those that share a feed.

    :param wanted: The filter of its events.
    :param after: The cursor after which events count.
    :param budget: Its deadline, and how often to poll the API without a receiver.
    :param poll_once: Builds the call by which it polls once itself.
    :param read_event: Builds the result from an event; None if the event does not match.
    :param read_run: Builds the result from a run of the API; None while it is unfinished.
    :param run_id: The run to poll; None if the API is not polled.
    :param run_poll: How the API is polled without a receiver; None with one.
    :param found: The result.
    :param failure: The latest failure of its own poll, while PushMetrics answers others; None for none.
    :param backoff: Counts these failures.
    :param resumes_at: When it is polled again after one, by ``time.monotonic``.
    """

    wanted: EventFilter
    after: int
    budget: WaitBudget
    poll_once: Callable[[Credentials], Call[Any]]
    read_event: Callable[[FeedEvent], Any | None]
    read_run: Callable[[Run], Any | None] = lambda run: None
    run_id: int | None = None
    run_poll: RunPoll | None = None
    found: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    asked_at: float = 0.0
    failure: PushMetricsApiError | None = None
    backoff: FailureBackoff | None = None
    resumes_at: float = 0.0

    @property
    def polls_api(self) -> bool:
        """Whether the API is polled for it."""
        return self.run_id is not None or self.run_poll is not None

    def is_due(self) -> bool:
        """Return whether it may be polled, if its own polls have failed."""
        return time.monotonic() >= self.resumes_at

    def recover(self) -> None:
        """Forget the failures of its own polls: one has succeeded."""
        self.failure = self.backoff = None
        self.resumes_at = 0.0

    def catch_up(self, receiver: Receiver, *, until: int) -> Call[None]:
        """Read the inbox for this wait alone, up to a cursor."""
        while self.after < until and not self.found.done():
            page = yield from feed.fetch_events(
                receiver, self.wanted, after=self.after, limit=1, policy=ONE_ATTEMPT
            )
            for event in page.events:
                self.offer(event)
            if page.cursor <= self.after:
                return
            self.after = page.cursor

    def resolve(self, result: Any | None) -> None:
        """Set the result, if there is one."""
        if result is not None and not self.found.done():
            self.found.set_result(result)

    def offer(self, event: FeedEvent) -> None:
        """Offer an event; an error of the user's filter ends this wait and no other."""
        try:
            self.resolve(self.read_event(event))
        except PushMetricsParameterError as error:
            self.fail(error)

    def offer_run(self, run: Run) -> None:
        """Offer a run of the API; one of another report ends this wait and no other."""
        try:
            self.resolve(self.read_run(run))
        except PushMetricsNotFoundError as error:
            self.fail(error)

    def close(self) -> None:
        """End the wait without a result."""
        if self.found.done() and not self.found.cancelled():
            self.found.exception()  # retrieved, so that asyncio does not report it
        self.found.cancel()

    def fail(self, error: Exception) -> None:
        """Set a copy of an error: a shared object would collect the tracebacks of all waits."""
        if not self.found.done():
            self.found.set_exception(copy.copy(error))


class WaitIndex:
    """All waits, indexed by their filters and by their run."""

    def __init__(self) -> None:
        self._all: set[PendingWait] = set()
        self._by_wanted: FilterIndex[PendingWait] = FilterIndex()
        self._by_run: defaultdict[int, set[PendingWait]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[PendingWait]:
        return iter(tuple(self._all))

    def add(self, wait: PendingWait) -> None:
        self._all.add(wait)
        self._by_wanted.add(wait.wanted, wait)
        if wait.run_id is not None:
            self._by_run[wait.run_id].add(wait)

    def remove(self, wait: PendingWait) -> None:
        self._all.discard(wait)
        self._by_wanted.remove(wait.wanted, wait)
        if wait.run_id is not None:
            _discard(self._by_run, wait.run_id, wait)

    def list_runs(self) -> set[int]:
        """List the runs to poll."""
        return {run_id for run_id in self._by_run if self.find_by_run(run_id)}

    def find_reached(self, report_id: int | None) -> int:
        """Find the run up to which all waits that use the list of a report, or of all, have listed runs."""
        polls = (wait.run_poll for wait in self.list_polls() if wait.wanted.report_id == report_id)
        return min((poll.reached for poll in polls if poll is not None and poll.needs_list), default=0)

    def list_polls(self) -> tuple[PendingWait, ...]:
        """List the waits that poll the API for a run without an id, or for a query run."""
        return tuple(wait for wait in self._all if wait.run_poll is not None and not wait.found.done())

    def find_by_run(self, run_id: int) -> tuple[PendingWait, ...]:
        """Find the waits for a polled run, without those that have ended and not left yet."""
        return tuple(wait for wait in self._by_run.get(run_id, ()) if not wait.found.done())

    def find_by_event(self, event: FeedEvent) -> tuple[PendingWait, ...]:
        """Find the waits that match an event and begin before it."""
        found = self._by_wanted.find([read_subject(event.source, event.body)])
        return tuple(wait for wait in found if wait.after < event.id)

    def find_common_event(self) -> str | None:
        """Find the event name that all waits have in common; None if they differ."""
        names = {wait.wanted.event for wait in self._all}
        return names.pop() if len(names) == 1 else None

    def dispatch(self, events: Iterable[FeedEvent]) -> None:
        """Offer events to the waits whose filters match, in order."""
        for event in events:
            for wait in self.find_by_event(event):
                wait.offer(event)


def _discard(index: defaultdict[Any, set[PendingWait]], key: Any, wait: PendingWait) -> None:
    index[key].discard(wait)
    if not index[key]:
        del index[key]
