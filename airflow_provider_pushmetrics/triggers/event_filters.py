"""Filters beyond those of the receiver: by workspace, and by the user's function."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from airflow_provider_pushmetrics.client.models import FeedEvent
from airflow_provider_pushmetrics.client.run_polling import API_SOURCE
from airflow_provider_pushmetrics.event_ids import read_id
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError

Predicate = Callable[[dict[str, Any]], object]

RUN_EVENTS = ("report.run", "query.run")
"""The events of runs, which have an outcome."""

EVENTS = tuple(
    f"{subject}.{action}"
    for subject in ("report", "query")
    for action in ("created", "updated", "deleted", "run")
)
"""All events that PushMetrics sends."""


@dataclass(frozen=True)
class EventChoice:
    """
    Which events match.

    :param workspace_id: The workspace; None for any.
    :param event_filter: The import path of a function that takes an event's body and returns whether it
        matches; None for no such function.
    """

    workspace_id: int | None = None
    event_filter: str | None = None

    def refuse_without_receiver(self) -> None:
        """
        Refuse filters that need the body of an event.

        :raises PushMetricsParameterError: if a workspace is set: the API does not return the workspace of a
            run.
        """
        if self.workspace_id is not None:
            raise PushMetricsParameterError(
                f"workspace_id is {self.workspace_id!r}, but the API does not return the workspace of a run,"
                " and the connection has no receiver, whose events do. An API token sees the runs of its own"
                " workspace only: leave workspace_id out."
            )

    def load(self) -> Callable[[FeedEvent], bool]:
        """
        Load the filter.

        :raises PushMetricsParameterError: if the function cannot be imported.
        """
        predicate = None if self.event_filter is None else load_predicate(self.event_filter)

        def accepts(event: FeedEvent) -> bool:
            if event.source == API_SOURCE:
                self.refuse_without_receiver()
            if self.workspace_id is not None and find_workspace_id(event.body) != self.workspace_id:
                return False
            return predicate is None or call_predicate(str(self.event_filter), predicate, event)

        return accepts


def load_predicate(path: str) -> Predicate:
    """
    Import a function by its path.

    :raises PushMetricsParameterError: if there is no such function.
    """
    module, _, name = path.strip().rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except Exception as error:  # an import may raise any error
        raise PushMetricsParameterError(
            f"event_filter is {path!r}, which cannot be imported: {error}. It must be the import path of a"
            " function, such as 'my_package.my_module.is_wanted', of a package that is installed where tasks"
            " run and, for deferrable=True, where the triggerer runs."
        ) from None
    if not callable(found):
        raise PushMetricsParameterError(f"event_filter is {path!r}, which is not a function but {found!r}.")
    if inspect.iscoroutinefunction(found):
        raise PushMetricsParameterError(
            f"event_filter is {path!r}, which is an async function: it must be a synchronous one."
        )
    predicate: Predicate = found
    return predicate


def call_predicate(path: str, predicate: Predicate, event: FeedEvent) -> bool:
    """
    Call the user's function with an event.

    :raises PushMetricsParameterError: if it fails, or returns an awaitable.
    """
    try:
        answer = predicate(dict(event.body))
        if not inspect.isawaitable(answer):
            return bool(answer)
    except Exception as error:  # any error of the user's code ends this wait only
        raise PushMetricsParameterError(
            f"event_filter {path!r} failed on event {event.id}: {type(error).__name__}: {error}"
        ) from error
    if inspect.iscoroutine(answer):
        answer.close()
    raise PushMetricsParameterError(
        f"event_filter {path!r} returned an awaitable: it must return true or false."
    )


def find_workspace_id(body: dict[str, Any]) -> int | None:
    """Find an event's workspace; the French and Spanish documentation calls it collection."""
    return read_id(body.get("workspace_id", body.get("collection_id")))


def read_number(name: str, value: object) -> int | None:
    """
    Parse a number that a user set, or that a template rendered; only Python's None matches any.

    :raises PushMetricsParameterError: if it is not a whole number.
    """
    if value is None:
        return None
    text = str(value).strip()
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    raise PushMetricsParameterError(f"{name} is {value!r}: it must be a whole number.")


def check_query_id(event: str, query_id: object) -> None:
    """
    Refuse a filter that no event matches.

    :raises PushMetricsParameterError: if a query is set, and the event is one of reports.
    """
    if query_id is not None and event.startswith("report."):
        raise PushMetricsParameterError(
            f"query_id is {query_id!r} and event is {event!r}: the event of a report names no single query,"
            " so it would never match. Use event='query.run' for a query that runs by itself, or leave"
            " query_id out and find the query in the event's 'queries'."
        )


def read_filter(arguments: Any) -> EventFilter:
    """
    Read the receiver's filter from the arguments of a sensor or of a trigger.

    :raises PushMetricsParameterError: if an id is not a whole number, or if no event can match.
    """

    def read(name: str) -> int | None:
        return read_number(name, getattr(arguments, name))

    check_query_id(arguments.event, arguments.query_id)
    return EventFilter(arguments.event, read("report_id"), read("query_id"), read("run_id"))
