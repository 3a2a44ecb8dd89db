"""The asset events of saved results."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_pushmetrics.client.credentials import Credentials
from airflow_provider_pushmetrics.client.models import QueryOutcome, SavedResult
from airflow_provider_pushmetrics.client.protocol import Call
from airflow_provider_pushmetrics.client.waits import FinishedRun
from airflow_provider_pushmetrics.event_ids import ResultIds, find_report_run_id, find_result_ids
from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.tasks.asset_facts import (
    ResultOutlets,
    RunFacts,
    fetch_query_facts,
    fetch_run_facts,
)

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class ResultUpdates:
    """
    The asset events of the results that one task saves.

    :param outlets: The task's assets of PushMetrics.
    """

    def __init__(self, outlets: ResultOutlets) -> None:
        self._outlets = outlets
        self._facts: RunFacts | None = None

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self._outlets)

    def prepare(self, hook: PushMetricsHook, urls: Sequence[str]) -> None:
        """
        Check, before anything is saved, that the run succeeded and that its results are those of the outlets.

        :param urls: The URLs of the results.
        :raises PushMetricsParameterError: if an outlet names a report or a query that is not saved.
        :raises PushMetricsRunError: if the run is not known to have succeeded.
        """
        if not self._outlets:
            return
        self._outlets.refuse_unknowable(hook.settings)
        facts = hook.call(_fetch_facts(hook.credentials, urls))
        saved = [_read_ids(url).query_id for url in urls]
        self._outlets.refuse_subset(facts, saved)
        self._outlets.check(keep_queries(facts, saved))
        self._outlets.refuse_missing_partition(facts.parameters)
        self._facts = facts

    def emit(self, context: Context, urls: Sequence[str], saved: Sequence[SavedResult]) -> None:
        """Write the facts of the saved results into the asset events."""
        if self._facts is None:
            return
        files = {_read_ids(url).query_id: file for url, file in zip(urls, saved, strict=True)}
        facts = keep_queries(self._facts, files)
        queries = {
            number: {**query, **_describe_file(files[number])} for number, query in facts.queries.items()
        }
        self._outlets.emit(context, replace(facts, queries=queries))


def keep_queries(facts: RunFacts, numbers: Collection[str]) -> RunFacts:
    """Keep the facts of some queries."""
    queries = {number: query for number, query in facts.queries.items() if number in numbers}
    return replace(facts, queries=queries)


def _fetch_facts(credentials: Credentials, urls: Sequence[str]) -> Call[RunFacts]:
    """
    Fetch the facts of the run that has the results.

    :raises PushMetricsParameterError: if they are of several runs.
    """
    url, ids = urls[0], _read_ids(urls[0])
    outputs_url = _find_outputs_url(url)
    if len({_find_outputs_url(other) or other for other in urls}) > 1:
        raise PushMetricsParameterError(
            "the task has a PushMetrics asset in 'outlets', and the results are of several runs: an asset"
            " event describes one. Save the results of each run in a task of its own."
        )
    if outputs_url is not None:
        finished = FinishedRun(ids.report_id, int(ids.run_id), outputs_url)
        return (yield from fetch_run_facts(credentials, finished))
    query = QueryOutcome(query_id=int(ids.query_id), query_result=url)
    return (yield from fetch_query_facts(credentials, query, ids.report_id, int(ids.run_id)))


def _find_outputs_url(url: str) -> str | None:
    """Find the URL of the outputs of the report run that has a result; None for that of a query run."""
    run_id = find_report_run_id(url)
    return None if run_id is None else f"{url.rpartition('/queries/')[0]}/run/{run_id}"


def _read_ids(url: str) -> ResultIds:
    ids = find_result_ids(url)
    if ids is None or not ids.query_id.isdigit():
        raise PushMetricsParameterError(
            "the task has a PushMetrics asset in 'outlets', and the URL of the result does not contain the"
            " numbers of report, query and run."
        )
    return ids


def _describe_file(saved: SavedResult) -> dict[str, Any]:
    """Describe the saved file, and what the response with the result says of it."""
    facts: Mapping[str, Any] = {
        "query_name": saved["query_name"],
        "row_count": saved["rows"],
        "is_truncated": saved["is_truncated"],
        "row_limit": saved["row_limit"],
        "path": saved["path"],
        "bytes": saved["bytes"],
        "sha256": saved["sha256"],
    }
    return {name: value for name, value in facts.items() if value is not None}
