"""Those who wait, found by what they want: an event costs the same however many there are."""

from __future__ import annotations

import asyncio
import copy
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.models import FeedEvent, Run
from airflow_provider_pushmetrics.client.protocol import Call
from airflow_provider_pushmetrics.client.run_polling import RunPoll
from airflow_provider_pushmetrics.client.wait_budget import WaitBudget
from airflow_provider_pushmetrics.event_matching import EventFilter, FilterIndex, read_subject
from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError


@dataclass(eq=False)
class Waiter:
    """
    One wait among those that share a feed.

    :param wanted: Which events it wants.
    :param after: The cursor after which events count.
    :param budget: Its deadline, and how often to ask the API where nobody can wake it.
    :param look: Builds the call by which it looks once, alone.
    :param read_event: Makes of an event what it waits for; None if that event is not meant.
    :param read_run: Makes of a run, as the API shows it, what it waits for; None if it is going on.
    :param run_id: The run to ask the API for; None if it is not to be asked.
    :param poll: How it asks the API where there is no receiver; None if it does not.
    :param found: What it waits for.
    """

    wanted: EventFilter
    after: int
    budget: WaitBudget
    look: Callable[[Credentials], Call[Any]]
    read_event: Callable[[FeedEvent], Any | None]
    read_run: Callable[[Run], Any | None] = lambda run: None
    run_id: int | None = None
    poll: RunPoll | None = None
    found: asyncio.Future[Any] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    asked_at: float = 0.0

    def tell(self, result: Any | None) -> None:
        """Hand over what was waited for, if it is that."""
        if result is not None and not self.found.done():
            self.found.set_result(result)

    def offer(self, event: FeedEvent) -> None:
        """Show an event; what the user's own code says against it ends this wait and no other."""
        try:
            self.tell(self.read_event(event))
        except PushMetricsParameterError as error:
            self.fail(error)

    def close(self) -> None:
        """Say that nobody waits any more."""
        if self.found.done() and not self.found.cancelled():
            self.found.exception()  # seen: asyncio would report one that nobody has asked for
        self.found.cancel()

    def fail(self, error: Exception) -> None:
        """End the wait with an error of its own: one that many raise would gather all their tracebacks."""
        if not self.found.done():
            self.found.set_exception(copy.copy(error))


class Waiters:
    """All who wait, by what they want and by the run that they wait for."""

    def __init__(self) -> None:
        self._all: set[Waiter] = set()
        self._by_wanted: FilterIndex[Waiter] = FilterIndex()
        self._by_run: defaultdict[int, set[Waiter]] = defaultdict(set)

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Waiter]:
        return iter(tuple(self._all))

    def add(self, waiter: Waiter) -> None:
        """Take somebody in."""
        self._all.add(waiter)
        self._by_wanted.add(waiter.wanted, waiter)
        if waiter.run_id is not None:
            self._by_run[waiter.run_id].add(waiter)

    def remove(self, waiter: Waiter) -> None:
        """Let somebody go, without a trace."""
        self._all.discard(waiter)
        self._by_wanted.remove(waiter.wanted, waiter)
        if waiter.run_id is not None:
            _discard(self._by_run, waiter.run_id, waiter)

    def list_runs(self) -> set[int]:
        """List the runs that the API is to be asked for."""
        return set(self._by_run)

    def list_polls(self) -> tuple[Waiter, ...]:
        """List those who ask the API for a run that nobody has named to them, or for a query's."""
        return tuple(waiter for waiter in self._all if waiter.poll is not None and not waiter.found.done())

    def find_by_run(self, run_id: int) -> tuple[Waiter, ...]:
        """Find those who wait for a run and want the API to be asked."""
        return tuple(self._by_run.get(run_id, ()))

    def find_by_event(self, event: FeedEvent) -> tuple[Waiter, ...]:
        """Find those who want an event and have not had it before."""
        found = self._by_wanted.find([read_subject(event.source, event.body)])
        return tuple(waiter for waiter in found if waiter.after < event.id)

    def find_common_event(self) -> str | None:
        """Find the event's name that all want; None if they want several."""
        names = {waiter.wanted.event for waiter in self._all}
        return names.pop() if len(names) == 1 else None

    def dispatch(self, events: Iterable[FeedEvent]) -> None:
        """Hand events to those who want them, in their order."""
        for event in events:
            for waiter in self.find_by_event(event):
                waiter.offer(event)


def _discard(index: defaultdict[Any, set[Waiter]], key: Any, waiter: Waiter) -> None:
    index[key].discard(waiter)
    if not index[key]:
        del index[key]
