"""The stream of an asset watcher: events from the receiver's inbox, or from the API's list of runs."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakSet

from airflow_provider_pushmetrics.client import feed, waits
from airflow_provider_pushmetrics.client.models import FeedEvent, FoundEvent
from airflow_provider_pushmetrics.client.run_polling import REFUSAL_SECONDS
from airflow_provider_pushmetrics.client.wait_budget import WaitBudget
from airflow_provider_pushmetrics.compat import (
    AirflowNotFoundException,
    AirflowRuntimeError,
    SharedStreamProducer,
    has_airflow,
)
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsError,
    PushMetricsEventTakenError,
)
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient
from airflow_provider_pushmetrics.serving.logs import ThrottledLog
from airflow_provider_pushmetrics.storable import (
    describe_error,
    format_error,
    storable_errors,
)
from airflow_provider_pushmetrics.triggers.event_outcomes import has_succeeded, require_api_token
from airflow_provider_pushmetrics.triggers.run_position import RunPosition, find_store
from airflow_provider_pushmetrics.triggers.run_stream import OVERLAP_SECONDS, RunStream
from airflow_provider_pushmetrics.triggers.trigger_events import dump_event

if TYPE_CHECKING:
    from airflow.triggers.shared_stream import AdvanceItem

log = logging.getLogger(__name__)

Position: TypeAlias = int | RunPosition
"""A cursor of the inbox, or a position in the list of runs."""


FRESH_SECONDS = 5.0
"""
After how long a watcher asks again whether an event is still its own.

Airflow gives the triggers of a process that was frozen, such as a paused container, to another one after 30 s
without a heartbeat (``[triggerer] triggerer_health_check_threshold``).
"""


@dataclass(frozen=True)
class StreamTiming:
    """
    The pauses of the stream.

    :param spacing_seconds: The delay of the last of several events after the previous one. The
        scheduler polls about once a second.
    :param retry_seconds: The delay after a failure before the connection is read and the inbox is read again.
    :param min_poll_seconds: The shortest interval between polls of the list of runs.
    :param overlap_seconds: How long a run may take to appear in that list after a newer one.
    :param refusal_seconds: How long PushMetrics must refuse a run of that list before it is given up.
    :param fresh_seconds: After how long it is asked again whether an event is still its own.
    :param store_seconds: Before Airflow 3.3: after how long Airflow is assumed to have stored an event.
    """

    spacing_seconds: float = 0.0 if has_airflow("3.4") else 2.0
    retry_seconds: float = 5.0
    min_poll_seconds: float = 5.0
    overlap_seconds: float = OVERLAP_SECONDS
    refusal_seconds: float = REFUSAL_SECONDS
    fresh_seconds: float = FRESH_SECONDS
    store_seconds: float = 3.0


MAX_UNSTORED_EVENTS = 50
"""
How many events all watchers of a triggerer may have handed over to Airflow that it has not stored yet.

The triggerer stores all events that it has got before its next heartbeat, each in some 10 ms or more, and
other components take it for dead after 30 s without one.
"""

MAX_CHECKS = 3
"""How often it is asked in a row if each answer takes that long: then the receiver is slow."""

DEFAULT_TIMING = StreamTiming()
DEFAULT_LIST_INTERVAL_SECONDS = 30.0
EXPECTED_ERRORS = (AirflowNotFoundException, AirflowRuntimeError, PushMetricsError)
"""Errors whose message says what to do; of any other one the log contains the traceback."""


class EventProducer(SharedStreamProducer):
    """
    Read a named consumer's events from the receiver's inbox, and move its position.

    Without a receiver in the connection, the API's list of runs is polled instead (``RunStream``).

    Before Airflow 3.4, the last of several events that arrive close together is delayed a moment; the others
    are passed on at once. The scheduler misses an event that is stored while it creates a Dag run for the
    previous one, until there is another event (seen on Airflow 3.3.2 with two events 9 ms apart). The delayed
    event is that other one. This only saves time: the API server finds every event that is still missed.

    A watcher never ends, and Airflow restarts one that raises within a second, with its traceback in the
    log. So after any error it tries again: most can be fixed outside, such as a missing connection.

    Airflow takes events faster than it stores them, and restarts a triggerer that stores for too long. So the
    events of a long inbox are passed on as fast as Airflow stores them.

    :param kwargs: The arguments of the trigger.
    :param raises_errors: Raise these errors, so that a task fails.
    :param timing: The pauses.
    """

    def __init__(
        self, kwargs: dict[str, Any], *, raises_errors: bool = False, timing: StreamTiming = DEFAULT_TIMING
    ) -> None:
        self._raises_errors = raises_errors
        self._timing = timing
        self._conn_id: str = kwargs["pushmetrics_conn_id"]
        self._consumer = build_position_name(kwargs)
        store = find_store(
            build_run_position_name(kwargs), build_stream_name(kwargs), is_watcher=not raises_errors
        )
        self._runs = RunStream(
            kwargs,
            store,
            overlap_seconds=timing.overlap_seconds,
            refusal_seconds=timing.refusal_seconds,
        )
        self._wanted = EventFilter(kwargs["event"], kwargs.get("report_id"), kwargs.get("query_id"))
        self._only_successful = bool(kwargs.get("only_successful"))
        self._client: PushMetricsAsyncClient | None = None
        self._opened = AsyncExitStack()
        self._trouble = ThrottledLog(log)
        self._handed_over_at = -math.inf
        self._read_until: int | None = None
        self._stored = 0
        self._last_chosen = 0
        self._passed_over = 0
        self._unstored = 0
        self._was_stored = asyncio.Event()
        self._asked_at = -math.inf
        _producers.add(self)

    async def open_stream(self) -> AsyncIterator[tuple[FoundEvent, Position]]:
        """
        Yield each matching event after the stored position, with the position after it.

        Airflow sends the message of an error to its supervisor unchanged, so each message must be storable.
        """
        with storable_errors():
            while True:
                try:
                    async for item in self._read():
                        yield item
                except Exception as error:  # whatever it is, the next try may succeed
                    if self._raises_errors:
                        raise
                    is_expected = isinstance(error, EXPECTED_ERRORS)
                    self._trouble.warning(
                        "The events of consumer %s cannot be read, and are tried again: %s",
                        self._consumer,
                        describe_error(error) if is_expected else format_error(error),
                    )
                await asyncio.sleep(self._timing.retry_seconds)

    async def _read(self) -> AsyncIterator[tuple[FoundEvent, Position]]:
        client = await self._connect()
        if client.settings.receiver is None:
            async for event, run_position, is_last in self._runs.read(client):
                await self._make_way(is_delayed=is_last)
                yield dump_event(event), run_position
        receiver = client.settings.get_receiver()
        while True:
            if (after := self._read_until) is None:
                self._begin_at(after := await self._fetch_position(client))
            self._asked_at = time.time()
            page = await client.call(
                waits.fetch_next_page(receiver, self._wanted, after=after, budget=WaitBudget())
            )
            assert page is not None  # always set without a deadline
            events = await self._choose(client, page.events)
            with suppress(PushMetricsEventTakenError):
                await self._pass_over(page.cursor, events)
            for event in events:
                await self._make_way(is_delayed=event is events[-1])
                if not await self._may_pass_on(client, event.id):
                    break
                self._read_until = event.id
                yield dump_event(event), event.id
            else:
                self._read_until = None if self._read_until is None else page.cursor

    async def _fetch_position(self, client: PushMetricsAsyncClient) -> int:
        self._asked_at = time.time()
        return await client.call(feed.fetch_position(client.settings.get_receiver(), self._consumer)) or 0

    def _begin_at(self, position: int) -> None:
        self._stored = self._read_until = position
        self._last_chosen = 0

    async def _may_pass_on(self, client: PushMetricsAsyncClient, event_id: int) -> bool:
        """Return whether an event that counts as handed over may be; if not, it no longer counts."""
        is_ours = False
        try:
            is_ours = self._read_until is not None and not await self._is_taken(client, event_id)
        finally:  # the receiver may be away
            if not is_ours:
                self._release(1)
        return is_ours

    async def _is_taken(self, client: PushMetricsAsyncClient, event_id: int) -> bool:
        """
        Return whether another triggerer has handled an event, or a later one; go on after it.

        It has if this process was frozen since it asked for the events: they arrive all the same.
        """
        for _ in range(MAX_CHECKS):
            if abs(time.time() - self._asked_at) < self._timing.fresh_seconds:
                break
            position = await self._fetch_position(client)
            if position >= event_id:
                log.warning(
                    "Another process has moved consumer %s to event %s: this one goes on there",
                    self._consumer,
                    position,
                )
                self._begin_at(position)
                return True
        return False

    async def _make_way(self, *, is_delayed: bool) -> None:
        """Wait until an event may be handed over: until others are stored, and at some distance."""
        while self._unstored >= self._compute_limit():
            self._was_stored.clear()
            await self._was_stored.wait()
        if is_delayed:
            await asyncio.sleep(self._handed_over_at + self._timing.spacing_seconds - time.monotonic())
        self._handed_over_at = time.monotonic()
        self._unstored += 1

    def _compute_limit(self) -> int:
        """Compute how many events may be unstored: the share of this watcher, and at least one."""
        others = sum(producer._unstored > 0 for producer in _producers if producer is not self)
        return max(1, MAX_UNSTORED_EVENTS // (1 + others))

    def _release(self, count: int) -> None:
        self._unstored -= count
        self._was_stored.set()

    async def _connect(self) -> PushMetricsAsyncClient:
        """Read the connection, and open a client that replaces the previous one."""
        opened = AsyncExitStack()
        client = await opened.enter_async_context(PushMetricsAsyncClient.open(self._conn_id))
        before, self._opened, self._client = self._opened, opened, client
        await before.aclose()
        if self._only_successful:
            require_api_token(client)
        return client

    async def _choose(
        self, client: PushMetricsAsyncClient, events: Sequence[FeedEvent]
    ) -> Sequence[FeedEvent]:
        """Remove the events of runs that are not known to have succeeded, if ``only_successful`` is set."""
        if not self._only_successful:
            return events
        return [event for event in events if await has_succeeded(client, event)]

    async def _pass_over(self, cursor: int, chosen: Sequence[FeedEvent]) -> None:
        """Move the position over what is not wanted, as soon as Airflow has stored the events before it."""
        if cursor < (self._read_until or 0):  # another inbox, such as an older copy
            self._stored = self._last_chosen = 0
        self._passed_over = cursor
        if chosen:
            self._last_chosen = chosen[-1].id
        elif self._last_chosen <= self._stored < cursor:
            await self.store_position(cursor)

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """
        Move the position to the last event that Airflow has stored.

        :raises PushMetricsApiError: if the receiver rejects it; Airflow then begins again from the
            position.
        """
        self._release(len(batch))
        stored = None
        for item in batch:
            if not item.outcome.is_clean:
                break
            stored = item.broker_payload
        if stored is not None:
            await self.store_position(stored)
        if stored != batch[-1].broker_payload:
            raise PushMetricsApiError(
                f"Airflow did not store an event for consumer {self._consumer!r}; it is read again from"
                " there."
            )

    async def advance_unconfirmed(self, position: Position) -> None:
        """Move the position after an event; before 3.3, Airflow does not tell that it has stored it."""
        asyncio.get_running_loop().call_later(self._timing.store_seconds, self._release, 1)
        with suppress(PushMetricsEventTakenError):
            await self.store_position(position)

    async def store_position(self, position: Position) -> None:
        """
        Store the consumer's position in the receiver, and move it over what follows and is not wanted.

        :raises PushMetricsEventTakenError: if another process has moved it further. The stream then goes on
            there.
        """
        if isinstance(position, RunPosition):
            await self._runs.store_position(position)
            return
        if position == self._last_chosen:
            position = max(position, self._passed_over)
        assert self._client is not None
        receiver = self._client.settings.get_receiver()
        with storable_errors():
            call = feed.store_position(receiver, self._consumer, position, only_forwards=True)
            try:
                await self._client.call(call)
            except PushMetricsEventTakenError:
                self._read_until = None
                raise
        self._stored = position

    async def aclose(self) -> None:
        """Close the connections."""
        _producers.discard(self)
        self._client = None
        await self._opened.aclose()


_producers: WeakSet[EventProducer] = WeakSet()  # each builds itself, so what they share can only be kept here


def build_position_name(kwargs: Mapping[str, Any]) -> str:
    """
    Build the name of a trigger's position in an inbox, the same in every process for the same arguments.

    Two triggers with one position would skip each other's events. So the name contains the filter, and the
    asset: only one trigger at a time updates it. A watcher of an asset therefore keeps its position if its
    connection, ``only_successful``, the interval of polls or the trigger queue is changed. A trigger without
    an asset is recognized by its connection and ``only_successful`` instead.
    """
    rule: list[Any] = [kwargs[name] for name in ("event", "report_id", "query_id")]
    if (asset := kwargs.get("asset_name")) is not None:
        rule.append({"asset": asset})
    else:
        rule.append(kwargs["pushmetrics_conn_id"])
        if kwargs.get("only_successful"):
            rule.append("only_successful")
    return f"{kwargs['consumer']}-{re.sub(r'[^A-Za-z0-9._-]', '_', kwargs['event'])}-{_digest(rule)}"


def build_run_position_name(kwargs: Mapping[str, Any]) -> str:
    """
    Build the name of a trigger's position in the API's list of runs.

    It always contains the connection: another one may lead to another PushMetrics, whose runs have the
    numbers of other runs.
    """
    name = build_position_name(kwargs)
    is_of_asset = kwargs.get("asset_name") is not None
    return f"{name}-{_digest(kwargs['pushmetrics_conn_id'])}" if is_of_asset else name


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:12]


def build_stream_name(kwargs: Mapping[str, Any]) -> str:
    """Build the name of a trigger's stream of events, which only equal triggers share."""
    interval, queue = kwargs.get("poll_interval_seconds", DEFAULT_LIST_INTERVAL_SECONDS), kwargs.get("queue")
    parts = [build_run_position_name(kwargs)]
    if kwargs.get("asset_name") is not None and kwargs.get("only_successful"):
        parts.append("only-successful")
    if interval != DEFAULT_LIST_INTERVAL_SECONDS:
        parts.append(f"every-{interval:g}")
    if queue is not None:
        parts.append(f"queue-{queue}")
    return "-".join(parts)
