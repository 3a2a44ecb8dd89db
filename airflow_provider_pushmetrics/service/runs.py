"""Accept runs: of a report by its trigger or the API, and of a query by itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import PushMetricsConflictError, PushMetricsParameterError
from airflow_provider_pushmetrics.service.clock import get_now
from airflow_provider_pushmetrics.service.database import Database
from airflow_provider_pushmetrics.service.events import ResultLinks, build_report_run, put_in_outbox
from airflow_provider_pushmetrics.service.models import Block, BlockResult, QueryRun, Report, Run
from airflow_provider_pushmetrics.service.parameters import apply_defaults, write_fingerprint
from airflow_provider_pushmetrics.service.plan import PARAMETER
from airflow_provider_pushmetrics.service.run_log import write_log
from airflow_provider_pushmetrics.service.statuses import CANCELLED, FINISHED, NOT_RUN

CANCELLED_ERROR = "the run was cancelled"

IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")


@dataclass(frozen=True)
class AcceptedRun:
    """
    A run that will happen, or has happened.

    :param is_replay: Whether an earlier call with the same key started it.
    """

    id: int
    uid: str
    is_replay: bool = False


def check_idempotency_key(key: str | None) -> str | None:
    """
    Accept an ``Idempotency-Key``.

    :raises PushMetricsParameterError: unless it is 1 to 255 visible ASCII characters.
    """
    if key is not None and not IDEMPOTENCY_KEY.match(key):
        raise PushMetricsParameterError("The Idempotency-Key must be 1 to 255 visible ASCII characters")
    return key


def accept_run(
    database: Database,
    report_id: int,
    given: Mapping[str, Any],
    *,
    origin: str,
    idempotency_key: str | None = None,
    webhook_id: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> AcceptedRun:
    """
    Record that a report is to run. When this returns, the run will happen, whatever happens to this process.

    :param given: The parameters of this run.
    :param origin: What asked for it: ``webhook``, ``api`` or ``schedule``.
    :param webhook_id: The trigger that was called, whose recipients are told of the end.
    :param options: How it runs: ``send_to_me`` and ``email`` for a preview.
    :param idempotency_key: The same key gives the same run.
    :raises PushMetricsConflictError: if the key was used for other parameters.
    """

    def accept(session: Session) -> AcceptedRun:
        earlier = _find_earlier(session, report_id, given, idempotency_key)
        if earlier is not None:
            return AcceptedRun(earlier.id, earlier.uid, is_replay=True)
        report = session.get_one(Report, report_id)
        run = Run(
            workspace_id=report.workspace_id,
            report_id=report.id,
            origin=origin,
            given_parameters=dict(given),
            parameters=apply_defaults(collect_defaults(report), given),
            idempotency_key=idempotency_key,
            webhook_id=webhook_id,
            options=None if options is None else dict(options),
        )
        session.add(run)
        session.flush()
        return AcceptedRun(run.id, run.uid)

    try:
        return database.write_together(accept)
    except IntegrityError:
        # Another process took the same key between our look and our insert; its run is there now.
        with database.reading() as session:
            earlier = _find_earlier(session, report_id, given, idempotency_key)
        if earlier is None:
            raise
        return AcceptedRun(earlier.id, earlier.uid, is_replay=True)


def accept_re_run(session: Session, run: Run) -> Run:
    """Record that a report is to run once more, with what was given to an earlier run."""
    again = Run(
        workspace_id=run.workspace_id,
        report_id=run.report_id,
        origin=run.origin,
        given_parameters=run.given_parameters,
        parameters=apply_defaults(collect_defaults(run.report), run.given_parameters),
        parent_id=run.id,
        re_run_count=run.re_run_count + 1,
        webhook_id=run.webhook_id,
        options=run.options,
    )
    session.add(again)
    session.flush()
    return again


def cancel_run(session: Session, run: Run, links: ResultLinks) -> None:
    """
    End a run that has not ended; a query in the middle is interrupted, and what has not begun is not run.

    :raises PushMetricsConflictError: if it has ended otherwise.
    """
    session.refresh(run, with_for_update=True)
    if run.status == CANCELLED:
        return
    if run.status in FINISHED:
        raise PushMetricsConflictError(f"The run has ended: {run.status}", status_code=409)
    run.status, run.finished_on, run.error = CANCELLED, get_now(), CANCELLED_ERROR
    recorded = {result.block_id for result in run.results}
    for block in run.report.blocks:
        if block.id not in recorded:
            run.results.append(_build_not_run(block))
    write_log(session, run, "the run was cancelled", level="WARNING")
    session.flush()
    session.refresh(run, ["results"])
    put_in_outbox(session, run.workspace_id, build_report_run(run, links))


def _build_not_run(block: Block) -> BlockResult:
    return BlockResult(
        block_id=block.id,
        block_uid=block.uid,
        query_id=block.query.id if block.query else None,
        position=block.position,
        name=block.name,
        type=block.type,
        status=NOT_RUN,
        error=f"not run, because {CANCELLED_ERROR}",
    )


def accept_query_run(
    database: Database, block_id: int, given: Mapping[str, Any], *, content: Mapping[str, Any] | None = None
) -> QueryRun:
    """
    Record that a block, which mostly is a query, is to run by itself.

    :param content: What it runs instead of its own content, this time only.
    """
    with database.writing() as session:
        block = session.get_one(Block, block_id)
        report = block.report
        run = QueryRun(
            workspace_id=report.workspace_id,
            report_id=report.id,
            block_id=block.id,
            query_id=block.query.id if block.query else None,
            content=None if content is None else dict(content),
            given_parameters=dict(given),
            parameters=apply_defaults(collect_defaults(report), given),
        )
        session.add(run)
        session.flush()
        return run


def collect_defaults(report: Report) -> dict[str, Any]:
    """Collect the defaults of a report's Parameter blocks."""
    return {block.name: block.content.get("default") for block in report.blocks if _is_parameter(block)}


def _is_parameter(block: Block) -> bool:
    return block.type == PARAMETER


def _find_earlier(session: Session, report_id: int, given: Mapping[str, Any], key: str | None) -> Run | None:
    if key is None:
        return None
    run = session.scalar(select(Run).where(Run.report_id == report_id, Run.idempotency_key == key))
    if run is not None and write_fingerprint(run.given_parameters) != write_fingerprint(given):
        raise PushMetricsConflictError(
            "This Idempotency-Key was used before with other parameters", status_code=409
        )
    return run
