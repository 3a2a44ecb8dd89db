"""The folders of the reports, for the tree beside their list."""

from __future__ import annotations

from sqlalchemy import func, select
from typing_extensions import TypedDict

from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Parts
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import Wrapped, answer, build_answer, wrap
from airflow_provider_pushmetrics.service.models import Report

router = make_router("/app/activity")

MAX_FOLDERS = 1000


@answer
class Folder(TypedDict):
    """A folder with reports, and how many are in it, without those in folders below it."""

    folder: str
    count: int


@router.get("/folders")
def list_folders(parts: Parts, caller: Caller) -> Wrapped[list[Folder]]:
    """List the folders that have reports, by name."""
    mine = (Report.workspace_id == caller.workspace_id, Report.folder.is_not(None), Report.folder != "")
    count = func.count(Report.id).label("count")
    found = select(Report.folder, count).where(*mine).group_by(Report.folder).order_by(Report.folder)
    with parts.database.reading() as session:
        rows = session.execute(found.limit(MAX_FOLDERS)).all()
    return wrap([build_answer(Folder, None, folder=row.folder, count=row.count) for row in rows])
