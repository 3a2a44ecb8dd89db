"""Runs of single blocks, saved or not: recording that they are to run, and cancelling them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import PushMetricsConflictError
from airflow_provider_pushmetrics.service.models import Block, Report, StandaloneQueryRun
from airflow_provider_pushmetrics.service.reports.block_graph import (
    UNSAVED_ID,
    PlannedBlock,
    plan_unsaved,
    plan_with_query,
)
from airflow_provider_pushmetrics.service.reports.choices import set_query_choices
from airflow_provider_pushmetrics.service.results.links import ResultLinks
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.runs.pending_limit import UNLIMITED, PendingLimit
from airflow_provider_pushmetrics.service.runs.submission import end_as_cancelled, read_parameters
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.ids import generate_uid
from airflow_provider_pushmetrics.service.webhooks.event_outbox import put_in_outbox
from airflow_provider_pushmetrics.service.webhooks.run_events import build_run_event, read_ended_run
from airflow_provider_pushmetrics.serving.parameter_types import Parameter, apply_parameters


def accept_query_run(
    database: Database,
    results: ResultStore,
    block_id: int,
    given: Mapping[str, Any],
    *,
    content: Mapping[str, Any] | None = None,
    limit: PendingLimit = UNLIMITED,
) -> StandaloneQueryRun:
    """
    Record a run of a single block, usually a query.

    A query that provides choices does not need its own values.

    :param content: Replaces the block's content in this run.
    :raises ParameterValueError: if a parameter does not accept its value.
    :raises PushMetricsUnavailableError: if too many runs of the workspace wait.
    """
    with database.reading() as session:
        block = session.get_one(Block, block_id)
        report_id, name, parameters = block.report_id, block.name, read_parameters(block.report)
    applied = _apply(database, results, report_id, name, parameters, given)
    with database.writing() as session:
        block = session.get_one(Block, block_id)
        run = _build_run(session, block.report, given, applied, limit)
        run.block_id = block.id
        run.query_id = block.query.id if block.query else None
        run.content = None if content is None else dict(content)
        session.add(run)
        session.flush()
        return run


def accept_unsaved_run(
    database: Database,
    results: ResultStore,
    report_id: int,
    given: Mapping[str, Any],
    *,
    kind: str,
    name: str,
    content: Mapping[str, Any],
    limit: PendingLimit = UNLIMITED,
) -> tuple[int, str]:
    """
    Record a run of a block that a report does not have yet.

    :param kind: The type of the block.
    :param content: Its content, checked.
    :return: The id of the run, and the uid that the block has in it.
    :raises ParameterValueError: if a parameter does not accept its value.
    :raises PushMetricsUnavailableError: if too many runs of the workspace wait.
    """
    with database.reading() as session:
        parameters = read_parameters(session.get_one(Report, report_id))
    applied = _apply(database, results, report_id, name, parameters, given)
    with database.writing() as session:
        run = _build_run(session, session.get_one(Report, report_id), given, applied, limit)
        uid = generate_uid()
        run.unsaved_block = {"uid": uid, "type": kind, "name": name}
        run.content = dict(content)
        session.add(run)
        session.flush()
        return run.id, uid


def _apply(
    database: Database,
    results: ResultStore,
    report_id: int,
    name: str,
    parameters: Sequence[Parameter],
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """
    Give the parameters of a report their values, for a run of a block.

    :param name: That of the block.
    """
    checked = {one.name for one in parameters if one.choices_query != name} & set(given)
    return apply_parameters(set_query_choices(database, results, report_id, parameters, checked), given)


def _build_run(
    session: Session,
    report: Report,
    given: Mapping[str, Any],
    applied: Mapping[str, Any],
    limit: PendingLimit,
) -> StandaloneQueryRun:
    limit.check(session, report.workspace_id)
    return StandaloneQueryRun(
        workspace_id=report.workspace_id,
        report_id=report.id,
        given_parameters=dict(given),
        parameters=dict(applied),
    )


def cancel_query_run(session: Session, run: StandaloneQueryRun, links: ResultLinks) -> None:
    """
    End the run of a single block.

    :raises PushMetricsConflictError: if it has ended with another status.
    """
    if end_as_cancelled(session, run, [find_own_block(run)]) and run.query_id is not None:
        event = build_run_event(read_ended_run(session, StandaloneQueryRun, run.id), links)
        put_in_outbox(session, run.workspace_id, event, run_id=run.id)


def find_own_block(run: StandaloneQueryRun) -> PlannedBlock:
    """Find the block that a run is of, saved or not."""
    if run.block is not None:
        return plan_with_query(run.block)
    return plan_unsaved(run.content or {}, **(run.unsaved_block or {}))


def give_run(run: StandaloneQueryRun, block: Block) -> None:
    """
    Give the run of a block that was not saved, with its result, to the block that was saved since.

    :raises PushMetricsConflictError: if it has not ended, or is of a block of another type.
    """
    unsaved = run.unsaved_block
    if run.finished_on is None or unsaved is None or unsaved["type"] != block.type:
        raise PushMetricsConflictError("The run is not one of this block that has ended", status_code=409)
    query_id = block.query.id if block.query else None
    run.unsaved_block, run.block_id, run.query_id = None, block.id, query_id
    for result in run.results:
        if result.block_id == UNSAVED_ID:
            result.block_id, result.block_uid, result.query_id = block.id, block.uid, query_id
            result.name, result.position = block.name, block.position
