"""Executes chart blocks: builds the specification, draws it, and keeps the pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from airflow_provider_pushmetrics.service.charts.drawing import draw
from airflow_provider_pushmetrics.service.charts.spec import ChartRows, build_chart
from airflow_provider_pushmetrics.service.datasources.watchdog import watch
from airflow_provider_pushmetrics.service.models.statuses import SUCCESS
from airflow_provider_pushmetrics.service.reports.block_graph import PlannedBlock
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.runs.execution.plan import ExecutedBlock, RunPlan
from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError


class ChartExecutor:
    """
    Executes charts. A chart is drawn once, in its run: one that cannot be drawn fails there.

    :param results: The rows that are drawn, and where the pictures are kept.
    :param find_stop_reason: Returns why a run must not continue; None if it may.
    """

    def __init__(self, results: ResultStore, find_stop_reason: Callable[[RunPlan], str | None]) -> None:
        self._results = results
        self._find_stop_reason = find_stop_reason

    def execute(self, plan: RunPlan, block: PlannedBlock, names: Mapping[str, Any]) -> ExecutedBlock:
        """
        Execute a chart.

        :raises PushMetricsError: if it cannot be built, drawn or kept.
        """
        chart = build_chart(block.content["spec"], self._read_rows(plan, block, names), names)
        with watch(math.inf, lambda: self._find_stop_reason(plan)) as stopper:  # it has a timeout of its own
            drawn = draw(chart, stopper)
        file = plan.name_result_file(block)
        self._results.write_bytes(file, drawn.encode())
        return ExecutedBlock(SUCCESS, output=chart, result_file=file)

    def _read_rows(self, plan: RunPlan, block: PlannedBlock, names: Mapping[str, Any]) -> ChartRows:
        query = block.content["query"]
        outcome = plan.outcomes.get(query)
        rows = names[query].data if query in names else None
        if not isinstance(rows, list) or outcome is None or outcome.result_file is None:
            raise BlockTemplateError(f"there is no query {query!r} to draw.")
        with self._results.open(outcome.result_file) as result:
            dates = [field.name for field in result.schema if pa.types.is_date(field.type)]
            return ChartRows(query, result.schema.names, dates, rows)
