"""Waiting for an event or for a run, together with all waits on the same connection."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from airflow_provider_pushmetrics.client import waits
from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.models import FeedEvent
from airflow_provider_pushmetrics.client.protocol import Call
from airflow_provider_pushmetrics.client.run_polling import RunPoll, RunSnapshot
from airflow_provider_pushmetrics.client.wait_budget import WaitBudget
from airflow_provider_pushmetrics.client.waits import FinishedRun, RunTarget
from airflow_provider_pushmetrics.compat import get_async_connection
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.hooks.masking import aread_settings
from airflow_provider_pushmetrics.hooks.settings import PushMetricsSettings
from airflow_provider_pushmetrics.triggers.hub.wait_hub import find_hub
from airflow_provider_pushmetrics.triggers.hub.wait_index import ConnectionChangedError, PendingWait


async def wait_for_event_in_hub(
    conn_id: str,
    wanted: EventFilter,
    *,
    after: int,
    budget: WaitBudget,
    accepts: Callable[[FeedEvent], bool] | None = None,
    seen: RunSnapshot | None = None,
) -> FeedEvent | None:
    """
    Wait for the first matching event after a cursor, together with all waits on the connection.

    Without a receiver, the API is polled for the run.

    :param accepts: Returns whether an event matches, beyond the receiver's filter.
    :param seen: Without a receiver: the runs that existed when the wait began; None if unknown.
    :return: The event; None if the deadline passed.
    :raises PushMetricsParameterError: without a receiver, if neither a run nor the existing runs are known.
    """

    def build(settings: PushMetricsSettings) -> PendingWait:
        poll = None
        if settings.receiver is None:
            poll = RunPoll(wanted, seen, accepts or (lambda event: True))
            poll.check_can_poll(settings.build_credentials())
            if poll.needs_list:
                poll.require_snapshot()

        def poll_once(credentials: Credentials) -> Call[FeedEvent | None]:
            if poll is not None:
                return poll.poll(credentials)
            receiver = settings.get_receiver()
            return waits.wait_for_event(receiver, wanted, after=after, budget=budget, accepts=accepts)

        return PendingWait(
            wanted,
            after,
            budget,
            poll_once,
            read_event=lambda event: event if accepts is None or accepts(event) else None,
            run_poll=poll,
        )

    found: FeedEvent | None = await _wait(conn_id, build)
    return found


async def wait_for_run_in_hub(conn_id: str, target: RunTarget, *, budget: WaitBudget) -> FinishedRun | None:
    """
    Wait for a report run to end, together with all waits on the connection.

    :return: The run; None if the deadline passed.
    """

    def build(settings: PushMetricsSettings) -> PendingWait:
        credentials, receiver = settings.build_credentials(), settings.receiver
        waits.refuse_endless_wait(target, credentials, receiver)
        reader = waits.RunReader(target, credentials)

        def poll_once(credentials: Credentials) -> Call[FinishedRun | None]:
            return waits.wait_for_run(target, credentials=credentials, receiver=receiver, budget=budget)

        return PendingWait(
            waits.build_run_filter(target),
            target.after_cursor or 0,
            budget,
            poll_once,
            read_event=reader.read_event,
            read_run=reader.read_run,
            run_id=target.run_id if waits.can_poll_api(target, credentials) else None,
        )

    found: FinishedRun | None = await _wait(conn_id, build)
    return found


async def _wait(conn_id: str, build: Callable[[PushMetricsSettings], PendingWait]) -> Any:
    """Wait in the hub of a connection, and in the next one if the connection changes."""
    while True:
        settings = await aread_settings(await get_async_connection(conn_id))
        with suppress(ConnectionChangedError):
            return await find_hub(settings).wait(build(settings))
