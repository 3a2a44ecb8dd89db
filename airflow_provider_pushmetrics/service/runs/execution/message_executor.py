"""Executes text, email and Slack blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from airflow_provider_pushmetrics.service.models.statuses import SUCCESS
from airflow_provider_pushmetrics.service.notifications.message_outbox import MailDraft
from airflow_provider_pushmetrics.service.notifications.recipients import parse_recipient
from airflow_provider_pushmetrics.service.notifications.tables import Extent
from airflow_provider_pushmetrics.service.reports.block_graph import EMAIL, SLACK, SQL, TEXT, PlannedBlock
from airflow_provider_pushmetrics.service.reports.message_blocks import (
    build_mail,
    build_slack,
    build_text,
    list_wanted_files,
)
from airflow_provider_pushmetrics.service.results.attachments import Attachment, check_size
from airflow_provider_pushmetrics.service.results.encoders.formats import ResultHeader
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.runs.execution.message_values import MessageValues
from airflow_provider_pushmetrics.service.runs.execution.plan import ExecutedBlock, RunPlan
from airflow_provider_pushmetrics.service.templates.budget import BlockTemplateError

MESSAGE_TYPES = frozenset({TEXT, EMAIL, SLACK})

PREVIEW = "not sent: this is a preview"


class MessageExecutor:
    """
    Executes text, email and Slack blocks.

    :param results: The result store.
    :param has_slack: Whether Slack is configured.
    """

    def __init__(self, results: ResultStore, *, has_slack: bool) -> None:
        self._results = results
        self._has_slack = has_slack

    def execute(self, plan: RunPlan, block: PlannedBlock, names: Mapping[str, Any]) -> ExecutedBlock:
        """
        Execute a block.

        :param names: The names for templates.
        :raises PushMetricsError: if it fails.
        """
        values = MessageValues(plan, block, self._results)
        names = values.extend(names)
        if block.type == TEXT:
            text, html = build_text(block, names)
            return ExecutedBlock(SUCCESS, output=text, output_html=html)
        if block.type == EMAIL:
            return self._write_mail(plan, block, names, values)
        return self._write_slack(plan, block, names, values)

    def _write_mail(
        self, plan: RunPlan, block: PlannedBlock, names: Mapping[str, Any], values: MessageValues
    ) -> ExecutedBlock:
        files = self._attach(plan, block, names, values)
        draft = build_mail(block, names, values.list_notes)
        draft = replace(draft, files=(*(file.to_dict() for file in files), *values.pictures))
        return _address(plan, draft)

    def _write_slack(
        self, plan: RunPlan, block: PlannedBlock, names: Mapping[str, Any], values: MessageValues
    ) -> ExecutedBlock:
        if not self._has_slack:
            raise BlockTemplateError(
                "Slack is not connected: set PUSHMETRICS_SERVICE_SLACK_TOKEN for the service."
            )
        draft = build_slack(block, names, values.list_notes)
        if plan.options.get("send_to_me"):
            return ExecutedBlock(SUCCESS, output=PREVIEW)
        return ExecutedBlock(SUCCESS, output=f"to {', '.join(draft.channels)}", draft=draft)

    def _attach(
        self, plan: RunPlan, block: PlannedBlock, names: Mapping[str, Any], values: MessageValues
    ) -> Sequence[Attachment]:
        """Find the attachments of a mail, and check their total size."""
        queries = {query.name: query for query in plan.blocks if query.type == SQL}
        found: list[Attachment] = []
        for wanted in list_wanted_files(block, names):
            query, outcome = queries.get(wanted.query), plan.outcomes.get(wanted.query)
            if query is None or query.query_id is None or outcome is None or outcome.result_file is None:
                raise BlockTemplateError(f"there is no query {wanted.query!r} to attach.")
            if outcome.row_count or not wanted.skip_if_empty:
                header = _build_header(plan, query, query.query_id, outcome)
                found.append(Attachment(wanted.name, wanted.format, outcome.result_file, header))
                values.add_truncation_note(wanted.name, Extent(outcome.row_count or 0, outcome.is_truncated))
        check_size(self._results, found)
        return found


def _build_header(plan: RunPlan, query: PlannedBlock, query_id: int, outcome: ExecutedBlock) -> ResultHeader:
    return ResultHeader(
        query_id,
        query.name,
        plan.id,
        outcome.status,
        max_rows=outcome.limits.max_rows if outcome.limits else None,
        timeout_seconds=outcome.limits.timeout_seconds if outcome.limits else None,
        is_truncated=outcome.is_truncated,
    )


def _address(plan: RunPlan, draft: MailDraft) -> ExecutedBlock:
    """Send a mail to its recipients; a preview to the caller's address, if there is one."""
    if plan.options.get("send_to_me"):
        address = plan.options.get("email")
        if not address:
            return ExecutedBlock(SUCCESS, output=PREVIEW)
        draft = replace(draft, recipients=(parse_recipient(address),))
    shown = ", ".join(map(str, draft.recipients))
    return ExecutedBlock(SUCCESS, output=f"to {shown}", draft=draft)
