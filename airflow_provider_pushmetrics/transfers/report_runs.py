"""Finds the run whose results are saved, in an operator's result, a sensor's event, or an event's body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from airflow_provider_pushmetrics.client.models import QueryOutcome, RunOutputs, RunStatus
from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError, PushMetricsRunFailed

SHAPES = (
    "It must be the return value of PushMetricsTriggerReportOperator or PushMetricsRunSensor, or the body of"
    " a report.run or query.run event."
)


@dataclass(frozen=True)
class NamedRun:
    """
    A run, as far as it is identified.

    :param run: The report and the number of the run, if there is no URL of its outputs.
    :param queries: The queries whose results are already known.
    """

    outputs_url: str | None = None
    run: tuple[str, int] | None = None
    queries: tuple[QueryOutcome, ...] = ()


def read_run(report_run: object) -> NamedRun:
    """
    Identify a run.

    :raises PushMetricsParameterError: if there is none.
    """
    if not isinstance(report_run, Mapping):
        raise PushMetricsParameterError(
            f"report_run is a {type(report_run).__name__}, not a dictionary. {SHAPES} A template renders to"
            " one only in a Dag with render_template_as_native_obj=True; <task>.output works in any."
        )
    body = report_run.get("body")
    facts: Mapping[str, Any] = body if isinstance(body, Mapping) else report_run
    url = facts.get("outputs_url") or facts.get("report_notebook_outputs")
    if url:
        return NamedRun(str(url))
    queries = _read_queries(facts)
    if queries:
        return NamedRun(queries=queries)
    run = facts.get("report_id"), facts.get("run_id")
    if run[0] is not None and isinstance(run[1], int):
        return NamedRun(run=(str(run[0]), run[1]))
    keys = ", ".join(map(repr, facts)) or "none"
    raise PushMetricsParameterError(f"report_run names no run and no query; its keys are {keys}. {SHAPES}")


def _read_queries(facts: Mapping[str, Any]) -> tuple[QueryOutcome, ...]:
    """Read the queries of a run, or the one of a query.run event."""
    rows = [facts] if facts.get("query_result") else facts.get("queries") or ()
    try:
        return tuple(QueryOutcome.model_validate(row) for row in rows)
    except (TypeError, ValidationError) as error:
        raise PushMetricsParameterError(
            f"report_run has queries without 'query_id' and 'query_result'. {SHAPES}"
        ) from error


def refuse_failed_run(outputs: RunOutputs, queries: Sequence[QueryOutcome]) -> None:
    """
    Check that a run without queries, or whose queries have no status of their own, did not fail.

    :param queries: Those that are saved.
    :raises PushMetricsRunFailed: if it failed.
    """
    unknown = [query.query_name or query.query_id for query in queries if query.status is None]
    if (unknown or not outputs.queries) and outputs.status in (RunStatus.FAILED, RunStatus.CANCELLED):
        block = outputs.find_failed_block()
        where = f" at block {block.name!r}: {block.error or 'no message'}" if block else ""
        raise PushMetricsRunFailed(
            f"run {outputs.run_id} ended with status {outputs.status}{where}, and PushMetrics "
            + (
                f"does not say whether these of its queries have a result: {', '.join(map(repr, unknown))}."
                if unknown
                else "lists no result of it."
            ),
            run_id=outputs.run_id,
        )
