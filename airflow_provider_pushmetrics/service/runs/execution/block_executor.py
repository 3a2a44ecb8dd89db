"""Executes one block of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, TypeAlias

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.service.datasources.base import RowBatches, SourceError
from airflow_provider_pushmetrics.service.datasources.limits import QueryLimits, RowCutter
from airflow_provider_pushmetrics.service.datasources.memory_guard import RunningQueries
from airflow_provider_pushmetrics.service.datasources.registry import SourceRegistry
from airflow_provider_pushmetrics.service.datasources.watchdog import watch
from airflow_provider_pushmetrics.service.models.statuses import FAILED, SUCCESS
from airflow_provider_pushmetrics.service.reports.block_graph import CHART, PARAMETER, SQL, PlannedBlock
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.results.stored_result import (
    Completeness,
    ResultAwayError,
    ResultError,
)
from airflow_provider_pushmetrics.service.runs.execution.chart_executor import ChartExecutor
from airflow_provider_pushmetrics.service.runs.execution.message_executor import (
    MESSAGE_TYPES,
    MessageExecutor,
)
from airflow_provider_pushmetrics.service.runs.execution.plan import (
    MAX_RECORDED_ERROR_LENGTH,
    ExecutedBlock,
    RunPlan,
    resolve_parameter,
)
from airflow_provider_pushmetrics.service.storage.object_store import ObjectStoreError
from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError
from airflow_provider_pushmetrics.service.templates.dialects import Dialect
from airflow_provider_pushmetrics.service.templates.rendering import TemplateQuery, render_sql
from airflow_provider_pushmetrics.serving.traces import Span, span

SYSTEMS = {"mssql": "microsoft.sql_server", "oracle": "oracle.db", "bigquery": "gcp.bigquery"}
"""OpenTelemetry's names of databases, where they differ from SQLAlchemy's."""

FindStopReason: TypeAlias = Callable[[RunPlan], str | None]


class BlockExecutor:
    """
    Executes blocks.

    :param sources: The databases of SQL blocks.
    :param results: The result store.
    :param limits: The limits of every query.
    :param has_slack: Whether Slack is configured.
    :param queries: The registry of running queries, which can be stopped.
    :param find_stop_reason: Returns why a run must not continue; None if it may.
    """

    def __init__(
        self,
        sources: SourceRegistry,
        results: ResultStore,
        limits: QueryLimits,
        *,
        has_slack: bool,
        queries: RunningQueries | None = None,
        find_stop_reason: FindStopReason,
    ) -> None:
        self._sources = sources
        self._results = results
        self._limits = limits
        self._messages = MessageExecutor(results, has_slack=has_slack)
        self._charts = ChartExecutor(results, find_stop_reason)
        self._queries = queries or RunningQueries()
        self._find_stop_reason = find_stop_reason

    def execute(self, plan: RunPlan, block: PlannedBlock) -> ExecutedBlock:
        """Execute a block whose dependencies have succeeded; an error becomes its outcome."""
        try:
            if block.type == PARAMETER:
                return resolve_parameter(plan, block)
            names = self._collect_names(plan, needs_all_rows=block.type == SQL)
            if block.type in MESSAGE_TYPES:
                return _mark_cut(plan, block, self._messages.execute(plan, block, names))
            if block.type == SQL:
                return self._query(plan, block, names)
            if block.type == CHART:
                return _mark_cut(plan, block, self._charts.execute(plan, block, names))
            raise BlockTemplateError(f"blocks of the type {block.type!r} cannot be executed.")
        except PushMetricsError as error:
            return ExecutedBlock(FAILED, error=str(error)[:MAX_RECORDED_ERROR_LENGTH])

    def _query(self, plan: RunPlan, block: PlannedBlock, names: Mapping[str, Any]) -> ExecutedBlock:
        source = self._sources.open(block.content.get("database_id"))
        sql = render_sql(block.template, names, source.dialect)
        file = plan.name_result_file(block)
        limits = self._limits.narrow(block.content)
        cutter = RowCutter(limits.max_rows)
        with (
            watch(limits.timeout_seconds, lambda: self._find_stop_reason(plan)) as stopper,
            self._queries.hold(stopper),
        ):
            try:
                with (
                    _measure(source.dialect) as measured,
                    source.query(sql, stopper, limits=limits, time_zone=plan.time_zone) as rows,
                ):
                    cut = RowBatches(rows.schema, cutter.cut(rows.batches))
                    row_count = self._results.write(
                        file, cut, lambda: Completeness(cutter.is_truncated, limits.max_rows)
                    )
                    measured.add({"db.response.returned_rows": row_count})
            except (SourceError, ResultError, ResultAwayError, ObjectStoreError) as error:
                return ExecutedBlock(FAILED, error=str(error)[:MAX_RECORDED_ERROR_LENGTH], limits=limits)
        return ExecutedBlock(
            SUCCESS, row_count=row_count, result_file=file, limits=limits, is_truncated=cutter.is_truncated
        )

    def _collect_names(self, plan: RunPlan, *, needs_all_rows: bool) -> dict[str, Any]:
        """
        Collect the names for templates.

        A block takes precedence over a parameter of the same name, which is available as ``params.name``.

        :param needs_all_rows: Whether using the rows of a truncated result is an error: a query made of them
            would be a wrong one, and its own result would not say so.
        """
        parameters = dict(plan.parameters)
        queries: dict[str, Any] = {block.name: self._build_output(block) for block in plan.texts}
        for block in plan.blocks:
            outcome = plan.outcomes.get(block.name)
            if block.type == PARAMETER and outcome is not None and outcome.status == SUCCESS:
                parameters[block.name] = outcome.value
            elif block.type == SQL:
                queries[block.name] = self._build_output(block, outcome, needs_all_rows=needs_all_rows)
        return {
            **parameters,
            **queries,
            "params": parameters,
            "webhook": {"parameters": dict(plan.given_parameters)},
        }

    def _build_output(
        self, block: PlannedBlock, outcome: ExecutedBlock | None = None, *, needs_all_rows: bool = False
    ) -> TemplateQuery:
        def load_rows() -> list[dict[str, Any]]:
            if outcome is None or outcome.result_file is None:
                raise LookupError(f"{block.name!r} has no rows")
            if outcome.is_truncated and needs_all_rows:
                raise BlockTemplateError(_write_truncated(block.name, outcome))
            return self._results.read_rows(outcome.result_file)

        return TemplateQuery(block.template, load_rows)


def _measure(dialect: Dialect) -> AbstractContextManager[Span]:
    """Measure a query of a data source; its text may contain values."""
    system = SYSTEMS.get(dialect.name, dialect.name)
    return span(f"query {system}", kind="client", facts={"db.system.name": system})


def _write_truncated(name: str, outcome: ExecutedBlock) -> str:
    return (
        f"the result of {name!r} is truncated at {outcome.row_count or 0:,} rows, so a query made of them"
        f" would be wrong: raise its limit, select fewer rows in its SQL, or compose {{{{ {name} }}}}."
    )


def _mark_cut(plan: RunPlan, block: PlannedBlock, outcome: ExecutedBlock) -> ExecutedBlock:
    """Mark the output of a truncated result as truncated, with its limit."""
    made_of = [plan.outcomes[name] for name in sorted(block.needs) if name in plan.outcomes]
    cut = next((one for one in made_of if one.is_truncated), None)
    return outcome if cut is None else replace(outcome, is_truncated=True, limits=cut.limits)
