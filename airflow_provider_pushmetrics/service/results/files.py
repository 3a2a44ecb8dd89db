"""The files of results that go with what they are of."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.models import BlockResult, QueryRun, Run
from airflow_provider_pushmetrics.service.results.store import ResultStore


def list_result_files(session: Session, **owner: int) -> list[str]:
    """
    List the files of all results of a workspace or a report.

    :param owner: ``workspace_id`` or ``report_id``.
    """
    files = select(BlockResult.result_file).where(
        BlockResult.result_file.is_not(None),
        or_(
            BlockResult.run_id.in_(select(Run.id).filter_by(**owner)),
            BlockResult.query_run_id.in_(select(QueryRun.id).filter_by(**owner)),
        ),
    )
    return [str(name) for name in session.scalars(files)]


def delete_result_files(results: ResultStore, names: Iterable[str]) -> None:
    """Delete files that nothing names any more; who reads one just now reads it to its end."""
    for name in names:
        path = results.find_path(name)
        if path is not None:
            with suppress(OSError):  # another process was first, or the folder has more in it
                path.unlink()
                path.parent.rmdir()
