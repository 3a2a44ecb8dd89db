"""Runs that have ended: what is read of them once, and the events that tell of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Executable, bindparam, literal, null, select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.models import (
    AnyRun,
    Block,
    BlockResult,
    Report,
    Run,
    StandaloneQueryRun,
    Workspace,
)
from airflow_provider_pushmetrics.service.results.links import ResultLinks
from airflow_provider_pushmetrics.service.storage.clock import format_event_moment
from airflow_provider_pushmetrics.service.storage.database import execute_core

REPORT_RUN = "report.run"
QUERY_RUN = "query.run"


@dataclass(frozen=True)
class EndedBlock:
    """The outcome of a block of a run that has ended."""

    query_id: int | None
    name: str
    status: str
    error: str | None


@dataclass(frozen=True)
class EndedRun:
    """
    A run that has ended, for its event and its notifications.

    :param query_id: The query of a run of a single block, if it is one.
    :param block_name: The block of such a run, if it is one that was saved.
    :param webhook_id: The trigger that was called.
    :param blocks: The outcomes, in the order of the report.
    """

    kind: type[AnyRun]
    id: int
    status: str
    origin: str
    error: str | None
    started_on: datetime | None
    finished_on: datetime
    report_id: int
    report_name: str
    workspace_id: int
    workspace_name: str
    schedule_id: int | None
    webhook_id: int | None
    query_id: int | None
    block_name: str | None
    blocks: Sequence[EndedBlock]

    @property
    def has_event(self) -> bool:
        """Whether an event tells of it: of each run of a report, and of each query."""
        return self.kind is Run or self.query_id is not None

    @property
    def event(self) -> str:
        """The name of that event."""
        return REPORT_RUN if self.kind is Run else QUERY_RUN


def read_ended_run(session: Session, kind: type[AnyRun], run_id: int) -> EndedRun:
    """Read a run that has ended in this transaction."""
    rows = execute_core(session, _select_ended(kind), {"run_id": run_id}).all()
    found = rows[0]._asdict()
    blocks = tuple(
        EndedBlock(row.result_query_id, row.result_name, row.result_status, row.result_error)
        for row in rows
        if row.result_name is not None
    )
    return EndedRun(
        kind=kind,
        blocks=blocks,
        **{name: value for name, value in found.items() if not name.startswith("result_")},
    )


@cache
def _select_ended(kind: type[AnyRun]) -> Executable:
    """Select a run, with a row for each of its results. It is built once, which saves a third."""
    columns: list[Any] = [
        *(kind.id, kind.status, kind.origin, kind.error, kind.started_on, kind.finished_on, kind.schedule_id),
        *(kind.report_id, Report.name.label("report_name")),
        *(kind.workspace_id, Workspace.name.label("workspace_name")),
        BlockResult.query_id.label("result_query_id"),
        BlockResult.name.label("result_name"),
        BlockResult.status.label("result_status"),
        BlockResult.error.label("result_error"),
    ]
    if issubclass(kind, Run):
        columns += [kind.webhook_id, null().label("query_id"), null().label("block_name")]
        chosen = select(*columns).outerjoin(BlockResult, BlockResult.run_id == kind.id)
    else:
        columns += [literal(None).label("webhook_id"), kind.query_id, Block.name.label("block_name")]
        chosen = select(*columns).outerjoin(Block, Block.id == StandaloneQueryRun.block_id)
        chosen = chosen.outerjoin(BlockResult, BlockResult.query_run_id == kind.id)
    chosen = chosen.join(Report, Report.id == kind.report_id)
    chosen = chosen.join(Workspace, Workspace.id == kind.workspace_id)
    return chosen.where(kind.id == bindparam("run_id")).order_by(BlockResult.position)


def build_run_event(run: EndedRun, links: ResultLinks) -> dict[str, Any]:
    """Build ``report.run`` or ``query.run``, with the documented fields in their order."""
    names = {
        "report_id": run.report_id,
        "report_name": run.report_name,
        "workspace_id": run.workspace_id,
        "workspace_name": run.workspace_name,
    }
    timestamp = format_event_moment(run.finished_on)
    if run.kind is Run:
        return {
            "event": REPORT_RUN,
            **names,
            "report_notebook_outputs": links.link_outputs(run.report_id, run.id),
            "queries": [
                {
                    "query_id": block.query_id,
                    "query_name": block.name,
                    "query_result": links.link_query_in_report(run.report_id, block.query_id, run.id),
                }
                for block in run.blocks
                if block.query_id is not None
            ],
            "timestamp": timestamp,
        }
    assert run.query_id is not None
    return {
        "event": QUERY_RUN,
        "query_id": run.query_id,
        "query_name": run.block_name,
        **names,
        "query_result": links.link_query(run.report_id, run.query_id, run.id),
        "timestamp": timestamp,
    }
