"""Results that no row names: a worker was killed after it had written the file, and before it recorded it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from airflow_provider_pushmetrics.service.models import AnyRun, BlockResult, Run, StandaloneQueryRun
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.runs.execution.plan import name_result_folder
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.ids import MAX_INTEGER_ID, parse_id

ORPHAN_BATCH = 500
"""How many files are looked up in the database at a time."""


def delete_orphans(
    database: Database, results: ResultStore, before: datetime, is_stopping: Callable[[], bool]
) -> int:
    """
    Delete the results of runs that no row names, a batch at a time; return their number.

    Only those written before ``before``, of a run that has ended, and of a block with another result in that
    run: the block was executed again. A folder or a bucket does not tell whose its other files are.
    """
    count, names = 0, iter(results.list_written(before))
    while not is_stopping() and (batch := list(islice(names, ORPHAN_BATCH))):
        with database.reading() as session:
            orphans = [
                *_find_orphans(session, Run, BlockResult.run_id, batch),
                *_find_orphans(session, StandaloneQueryRun, BlockResult.query_run_id, batch),
            ]
        results.delete(orphans)
        count += len(orphans)
    return count


def _find_orphans(
    session: Session, kind: type[AnyRun], owner: InstrumentedAttribute[int | None], names: Iterable[str]
) -> Iterator[str]:
    by_run: dict[int, list[str]] = {}
    for name in names:
        if (run_id := _parse_run_id(kind, name)) is not None:
            by_run.setdefault(run_id, []).append(name)
    # Before the results: a run that has ended gets no more of them.
    ended = select(kind.id).where(kind.id.in_(by_run), kind.finished_on.is_not(None))
    found = session.scalars(ended).all()
    columns: tuple[Any, ...] = (owner, BlockResult.block_uid, BlockResult.result_file)
    results = session.execute(select(*columns).where(owner.in_(found))).all()
    blocks = {(run_id, block_uid) for run_id, block_uid, _ in results}
    recorded = {file for _, _, file in results}
    for run_id in found:
        for name in by_run[run_id]:
            block_uid = name.partition("/")[2].partition("-")[0]
            if (run_id, block_uid) in blocks and name not in recorded:
                yield name


def _parse_run_id(kind: type[AnyRun], name: str) -> int | None:
    """Parse the id of the run of a kind in whose folder a file is; None if it is in no such folder."""
    folder = name.partition("/")[0]
    number = parse_id(folder.rpartition("-")[2])
    is_of_kind = number is not None and folder == name_result_folder(kind, number)
    return number if is_of_kind and number is not None and number <= MAX_INTEGER_ID else None
