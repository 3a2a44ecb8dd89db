"""Outputs with rows: texts, and the specifications of charts. They are deleted with the files of results."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime

from sqlalchemy import select, update

from airflow_provider_pushmetrics.service.models import BlockResult, Run, StandaloneQueryRun
from airflow_provider_pushmetrics.service.models.runs import HAS_OUTPUT
from airflow_provider_pushmetrics.service.runs.execution.plan import name_result_folder
from airflow_provider_pushmetrics.service.storage.database import Database

OUTPUT_BATCH = 200
"""How many outputs are deleted in one transaction, for which others wait on SQLite."""


def delete_outputs(
    database: Database, before: datetime, spared: Collection[str], is_stopping: Callable[[], bool]
) -> int:
    """
    Delete the outputs of texts and charts that ended before a time, a batch at a time; return their number.

    Their block results stay, with their status. What a message block has as its output is its recipients.

    :param spared: The folders of runs whose results are kept.
    """
    columns = (BlockResult.id, BlockResult.run_id, BlockResult.query_run_id)
    # By the index of the results that have an output: those that were emptied are not read again.
    old = select(*columns).where(HAS_OUTPUT, BlockResult.finished_on < before)
    oldest = old.order_by(BlockResult.finished_on, BlockResult.id).limit(OUTPUT_BATCH)
    count = kept = 0
    while not is_stopping():
        with database.reading() as session:  # others can write while they are looked for
            found = session.execute(oldest.offset(kept)).all()
        if not found:
            break
        wanted = [row.id for row in found if _name_folder(row.run_id, row.query_run_id) not in spared]
        kept += len(found) - len(wanted)
        if not wanted:
            continue
        count += len(wanted)
        with database.recording() as session:
            batch = update(BlockResult).where(BlockResult.id.in_(wanted))
            emptied = batch.values(output=None, output_html=None)
            session.execute(emptied.execution_options(synchronize_session=False))
    return count


def _name_folder(run_id: int | None, query_run_id: int | None) -> str:
    """Name the folder of the results of a run of a report, or else of a single block."""
    if run_id is not None:
        return name_result_folder(Run, run_id)
    return name_result_folder(StandaloneQueryRun, query_run_id or 0)
