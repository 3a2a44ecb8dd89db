"""Outputs with rows: texts, and the specifications of charts. They are deleted with the files of results."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import InstrumentedAttribute

from airflow_provider_pushmetrics.service.models import AnyRun, BlockResult, Run, StandaloneQueryRun
from airflow_provider_pushmetrics.service.reports.block_graph import CHART, TEXT
from airflow_provider_pushmetrics.service.runs.execution.plan import name_result_folder
from airflow_provider_pushmetrics.service.storage.database import Database

OUTPUT_BATCH = 200
"""How many runs are read, and outputs deleted, in one transaction, for which others wait on SQLite."""

OWNERS: tuple[tuple[type[AnyRun], InstrumentedAttribute[int | None]], ...] = (
    (Run, BlockResult.run_id),
    (StandaloneQueryRun, BlockResult.query_run_id),
)


def delete_outputs(
    database: Database, before: datetime, spared: Collection[str], is_stopping: Callable[[], bool]
) -> int:
    """
    Delete the outputs of texts and charts that ended before a time, a batch at a time; return their number.

    Their block results stay, with their status. What a message block has as its output is its recipients.

    :param spared: The folders of runs whose results are kept.
    """
    count = 0
    for kind, owner in OWNERS:
        for run_ids in _list_runs(database, kind, before):
            if is_stopping():
                return count
            wanted = [run_id for run_id in run_ids if name_result_folder(kind, run_id) not in spared]
            count += _delete(database, owner.in_(wanted), before)
    return count


def _list_runs(database: Database, kind: type[AnyRun], before: datetime) -> Iterator[Sequence[int]]:
    """List the runs that were created before a time, by batches in the order of their ids."""
    after = 0
    while True:
        old = select(kind.id).where(kind.id > after, kind.created_on < before)
        with database.reading() as session:
            found = session.scalars(old.order_by(kind.id).limit(OUTPUT_BATCH)).all()
        if not found:
            return
        yield found
        after = found[-1]


def _delete(database: Database, is_of_runs: ColumnElement[bool], before: datetime) -> int:
    with_output = select(BlockResult.id).where(
        is_of_runs,
        BlockResult.type.in_((TEXT, CHART)),
        BlockResult.output.is_not(None),
        BlockResult.finished_on < before,
    )
    with database.reading() as session:  # others can write while they are looked for
        found = session.scalars(with_output).all()
    for start in range(0, len(found), OUTPUT_BATCH):
        batch = BlockResult.id.in_(found[start : start + OUTPUT_BATCH])
        with database.recording() as session:
            emptied = update(BlockResult).where(batch).values(output=None, output_html=None)
            session.execute(emptied.execution_options(synchronize_session=False))
    return len(found)
