"""The polls of a sensor on a worker, and how many failures in a row they tolerate."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow_provider_pushmetrics.client.models import FeedEvent
from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT
from airflow_provider_pushmetrics.client.run_polling import RunPoll
from airflow_provider_pushmetrics.client.wait_budget import (
    DEFAULT_FAILURE_POLICY,
    WaitBudget,
    ask_for_run,
    tolerate_refusals,
)
from airflow_provider_pushmetrics.client.waits import wait_for_event
from airflow_provider_pushmetrics.exceptions import PushMetricsUnavailableError
from airflow_provider_pushmetrics.sensors.start_position import StartPosition

AT_ONCE = WaitBudget(deadline=0.0)  # for one poll without waiting


@dataclass
class EventPoll:
    """
    Polls for the event of one try of a sensor.

    :param start: Where it begins.
    :param log: The task's log.
    :param failures: The failures in a row.
    """

    start: StartPosition
    log: Any
    failures: list[PushMetricsUnavailableError] = field(default_factory=list)
    _run_poll: RunPoll | None = None
    _receiver_has_answered: bool = False

    def poll(self) -> FeedEvent | None:
        """
        Poll once; None if there is no event, or no response.

        :raises PushMetricsUnavailableError: after too many polls in a row without a response, or if it cannot
            be found out which events count.
        """
        if not self.start.consumer:
            self.start.find_cursor()  # not later: events that arrive meanwhile would be missed
        try:
            found = self._fetch_event(self.start.find_cursor())
        except PushMetricsUnavailableError as error:
            self.count_failure(error)
            return None
        if found is None:
            self.failures.clear()
        return found

    def count_failure(self, error: PushMetricsUnavailableError) -> None:
        """Record a failure for the next polls; raise it again after too many in a row."""
        self.failures.append(error)
        if len(self.failures) >= DEFAULT_FAILURE_POLICY.attempts:
            raise error
        self.log.warning("%s; failure %d in a row, polling again", error, len(self.failures))

    def _fetch_event(self, after: int) -> FeedEvent | None:
        hook, wanted, accepts = self.start.hook, self.start.wanted, self.start.choice.load()
        if (receiver := hook.settings.receiver) is None:
            clock = hook.credentials.clock
            poll = self._run_poll = self._run_poll or RunPoll(wanted, self.start.snapshot, accepts, clock)
            return hook.call(ask_for_run(hook.credentials, lambda: poll.poll(hook.credentials), ONE_ATTEMPT))
        call = wait_for_event(receiver, wanted, after=after, budget=AT_ONCE, accepts=accepts)
        found = hook.call(tolerate_refusals(call, self._receiver_has_answered))
        self._receiver_has_answered = True
        return found
