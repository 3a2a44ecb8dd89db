"""Execute one block of a run: give a parameter its value, ask a database, write a text or a message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.service.datasources.base import UTC, RowBatches, SourceError
from airflow_provider_pushmetrics.service.datasources.limits import QueryLimits, RowCutter
from airflow_provider_pushmetrics.service.datasources.registry import SourceRegistry
from airflow_provider_pushmetrics.service.datasources.watching import watch
from airflow_provider_pushmetrics.service.message_blocks import (
    build_chart,
    build_mail,
    build_slack,
    list_wanted_files,
)
from airflow_provider_pushmetrics.service.notifications.outbox import MailDraft
from airflow_provider_pushmetrics.service.notifications.recipients import parse_recipient
from airflow_provider_pushmetrics.service.plan import CHART, EMAIL, PARAMETER, SLACK, SQL, TEXT, PlannedBlock
from airflow_provider_pushmetrics.service.results.attachments import Attachment, check_size
from airflow_provider_pushmetrics.service.results.formats import ResultHeader
from airflow_provider_pushmetrics.service.results.store import ResultError, ResultStore, Truncation
from airflow_provider_pushmetrics.service.run_plan import (
    MAX_ERROR_LENGTH,
    BlockOutcome,
    RunPlan,
    resolve_parameter,
)
from airflow_provider_pushmetrics.service.statuses import FAILED, SUCCESS
from airflow_provider_pushmetrics.service.templates.rendering import (
    BlockTemplateError,
    QueryOutput,
    render_sql,
    render_text,
)

FindStopReason: TypeAlias = Callable[[RunPlan], str | None]


class BlockExecutor:
    """
    Executes blocks.

    :param sources: The databases that SQL blocks ask.
    :param results: Where rows are kept.
    :param limits: What any query may take.
    :param has_slack: Whether there is a Slack workspace to post to.
    :param find_stop_reason: Says why a run must not go on; None if it may.
    """

    def __init__(
        self,
        sources: SourceRegistry,
        results: ResultStore,
        limits: QueryLimits,
        *,
        has_slack: bool,
        find_stop_reason: FindStopReason,
    ) -> None:
        self._sources = sources
        self._results = results
        self._limits = limits
        self._has_slack = has_slack
        self._find_stop_reason = find_stop_reason

    def execute(self, plan: RunPlan, block: PlannedBlock) -> BlockOutcome:
        """Execute a block whose needs are met; what goes wrong is its outcome."""
        try:
            if block.type == PARAMETER:
                return resolve_parameter(plan, block)
            names = self._collect_names(plan)
            if block.type == TEXT:
                return BlockOutcome(SUCCESS, output=render_text(block.template, names))
            if block.type == SQL:
                return self._query(plan, block, names)
            if block.type == CHART:
                rows = names[block.content["query"]].data if block.content["query"] in names else None
                if not isinstance(rows, list):
                    raise BlockTemplateError(f"there is no query {block.content['query']!r} to draw.")
                return BlockOutcome(SUCCESS, output=build_chart(block, rows, names))
            if block.type == EMAIL:
                files = tuple(file.to_dict() for file in self._attach(plan, block, names))
                return _address(plan, replace(build_mail(block, names), files=files))
            if block.type == SLACK:
                return self._post(plan, block, names)
            raise BlockTemplateError(f"blocks of the type {block.type!r} cannot be executed.")
        except PushMetricsError as error:
            return BlockOutcome(FAILED, error=str(error)[:MAX_ERROR_LENGTH])

    def _query(self, plan: RunPlan, block: PlannedBlock, names: Mapping[str, Any]) -> BlockOutcome:
        source = self._sources.open(block.content.get("database_id"))
        sql = render_sql(block.template, names, source.dialect)
        file = plan.name_result_file(block)
        limits = self._limits.narrow(block.content)
        cutter = RowCutter(limits.max_rows)
        with watch(limits.timeout_seconds, lambda: self._find_stop_reason(plan)) as stopper:
            try:
                with source.query(sql, stopper, limits=limits, time_zone=UTC) as rows:
                    cut = RowBatches(rows.schema, cutter.cut(rows.batches))
                    row_count = self._results.write(
                        file, cut, lambda: Truncation(cutter.is_truncated, limits.max_rows)
                    )
            except (SourceError, ResultError) as error:
                return BlockOutcome(FAILED, error=str(error)[:MAX_ERROR_LENGTH], limits=limits)
        return BlockOutcome(
            SUCCESS, row_count=row_count, result_file=file, limits=limits, is_truncated=cutter.is_truncated
        )

    def _attach(self, plan: RunPlan, block: PlannedBlock, names: Mapping[str, Any]) -> tuple[Attachment, ...]:
        """Find the results that go with a mail, and see that they are not too large for one."""
        queries = {query.name: query for query in plan.blocks if query.type == SQL}
        found: list[Attachment] = []
        for wanted in list_wanted_files(block, names):
            query, outcome = queries.get(wanted.query), plan.outcomes.get(wanted.query)
            if query is None or query.query_id is None or outcome is None or outcome.result_file is None:
                raise BlockTemplateError(f"there is no query {wanted.query!r} to attach.")
            if outcome.row_count or not wanted.skip_if_empty:
                header = ResultHeader(
                    query.query_id,
                    query.name,
                    plan.id,
                    outcome.status,
                    max_rows=outcome.limits.max_rows if outcome.limits else None,
                    timeout_seconds=outcome.limits.timeout_seconds if outcome.limits else None,
                    is_truncated=outcome.is_truncated,
                )
                found.append(Attachment(wanted.name, wanted.format, outcome.result_file, header))
        check_size(self._results, found)
        return tuple(found)

    def _post(self, plan: RunPlan, block: PlannedBlock, names: Mapping[str, Any]) -> BlockOutcome:
        if not self._has_slack:
            raise BlockTemplateError(
                "Slack is not connected: set PUSHMETRICS_SERVICE_SLACK_TOKEN for the service."
            )
        draft = build_slack(block, names)
        if plan.options.get("send_to_me"):
            return BlockOutcome(SUCCESS, output="not sent: this is a preview")
        return BlockOutcome(SUCCESS, output=f"to {', '.join(draft.channels)}", draft=draft)

    def _collect_names(self, plan: RunPlan) -> dict[str, Any]:
        """
        Collect what templates see.

        A block wins over a parameter of the same name, which stays visible as ``params.name``.
        """
        parameters = dict(plan.parameters)
        queries: dict[str, Any] = {}
        for block in plan.blocks:
            outcome = plan.outcomes.get(block.name)
            if block.type == PARAMETER and outcome is not None and outcome.status == SUCCESS:
                parameters[block.name] = outcome.value
            elif block.type == SQL:
                queries[block.name] = self._build_output(block, outcome)
        return {
            **parameters,
            **queries,
            "params": parameters,
            "webhook": {"parameters": dict(plan.given_parameters)},
        }

    def _build_output(self, block: PlannedBlock, outcome: BlockOutcome | None) -> QueryOutput:
        def load_rows() -> list[dict[str, Any]]:
            if outcome is None or outcome.result_file is None:
                raise LookupError(f"{block.name!r} has no rows")
            return self._results.read_rows(outcome.result_file)

        return QueryOutput(block.template, load_rows)


def _address(plan: RunPlan, draft: MailDraft) -> BlockOutcome:
    """Send a mail to whom it is for; a preview's to whoever asked for it, or to nobody."""
    if plan.options.get("send_to_me"):
        address = plan.options.get("email")
        if not address:
            return BlockOutcome(SUCCESS, output="not sent: this is a preview")
        draft = replace(draft, recipients=(parse_recipient(address),))
    shown = ", ".join(map(str, draft.recipients))
    return BlockOutcome(SUCCESS, output=f"to {shown}", draft=draft)
