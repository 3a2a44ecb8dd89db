"""The asset events of saved results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_pushmetrics.client.models import QueryOutcome, RunStatus, SavedResult
from airflow_provider_pushmetrics.event_ids import ResultIds, find_report_run_id, find_result_ids
from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.tasks.asset_facts import (
    ResultOutlets,
    RunFacts,
    describe_query,
    fetch_parameters,
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
        self._parameters: Mapping[str, Any] | None = None

    def __bool__(self) -> bool:
        """Return whether there are any."""
        return bool(self._outlets)

    def prepare(self, hook: PushMetricsHook, urls: Sequence[str]) -> None:
        """
        Check, before anything is saved, that the results are those of the outlets.

        :param urls: The URLs of the results.
        :raises PushMetricsParameterError: if an outlet names a report or a query that is not saved.
        """
        if not self._outlets:
            return
        self._outlets.refuse_unknowable(hook.settings)
        facts = _build_facts(urls, [None] * len(urls), None)
        self._outlets.check(facts)
        self._parameters = hook.call(fetch_parameters(hook.credentials, find_report_run_id(urls[0])))
        self._outlets.refuse_missing_partition(self._parameters)

    def emit(self, context: Context, urls: Sequence[str], saved: Sequence[SavedResult]) -> None:
        """Write the facts of the saved results into the asset events."""
        if self._outlets:
            self._outlets.emit(context, _build_facts(urls, saved, self._parameters))


def _build_facts(
    urls: Sequence[str], saved: Sequence[SavedResult | None], parameters: Mapping[str, Any] | None
) -> RunFacts:
    ids = [_read_ids(url) for url in urls]
    described = [_describe(*parts) for parts in zip(urls, ids, saved, strict=True)]
    return RunFacts(
        frozenset(one.report_id for one in ids),
        int(ids[0].run_id),
        RunStatus.SUCCESS.value,  # a query without a result is not saved
        queries={str(query["query_id"]): query for query in described},
        parameters=parameters,
    )


def _read_ids(url: str) -> ResultIds:
    ids = find_result_ids(url)
    if ids is None or not ids.query_id.isdigit():
        raise PushMetricsParameterError(
            "the task has a PushMetrics asset in 'outlets', and the URL of the result does not contain the"
            " numbers of report, query and run."
        )
    return ids


def _describe(url: str, ids: ResultIds, saved: SavedResult | None) -> dict[str, Any]:
    query = QueryOutcome(query_id=int(ids.query_id), query_result=url)
    if saved is None:
        return describe_query(query)
    facts = {
        "query_name": saved["query_name"],
        "row_count": saved["rows"],
        "is_truncated": saved["is_truncated"],
        "row_limit": saved["row_limit"],
    }
    files = {name: value for name, value in saved.items() if name in ("path", "bytes", "sha256")}
    return describe_query(query.model_copy(update=facts), **files)
