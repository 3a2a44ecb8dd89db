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
from airflow_provider_pushmetrics.service.database import Database
from airflow_provider_pushmetrics.service.models import Block, QueryRun, Report, Run
from airflow_provider_pushmetrics.service.parameters import apply_defaults, write_fingerprint
from airflow_provider_pushmetrics.service.plan import PARAMETER

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
) -> AcceptedRun:
    """
    Record that a report is to run. When this returns, the run will happen, whatever happens to this process.

    :param given: The parameters of this run.
    :param origin: What asked for it: ``webhook`` or ``api``.
    :param idempotency_key: The same key gives the same run.
    :raises PushMetricsConflictError: if the key was used for other parameters.
    """
    try:
        with database.writing() as session:
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
            )
            session.add(run)
            session.flush()
            return AcceptedRun(run.id, run.uid)
    except IntegrityError:
        # Another process took the same key between our look and our insert; its run is there now.
        with database.reading() as session:
            earlier = _find_earlier(session, report_id, given, idempotency_key)
        if earlier is None:
            raise
        return AcceptedRun(earlier.id, earlier.uid, is_replay=True)


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
