"""Find a row of the caller's workspace by the id or uid in a path."""

from __future__ import annotations

from typing import TypeVar

from fastapi import HTTPException
from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.accounts.authentication import Principal
from airflow_provider_pushmetrics.service.models import (
    ApiToken,
    Block,
    DataSource,
    Delivery,
    OutgoingMessage,
    Report,
    ReportSchedule,
    ReportTrigger,
    Run,
    RunLogEntry,
    Subscription,
)
from airflow_provider_pushmetrics.service.storage.ids import MAX_INTEGER_ID, parse_id

Named = TypeVar(
    "Named",
    Report,
    Run,
    RunLogEntry,
    Subscription,
    Delivery,
    OutgoingMessage,
    ReportTrigger,
    Block,
    DataSource,
    ApiToken,
    ReportSchedule,
)

NOT_FOUND = "Not found"


def find_by_reference(
    session: Session, kind: type[Named], reference: str, caller: Principal, *conditions: ColumnElement[bool]
) -> Named:
    """Find a row; 404 if it does not exist, or is not visible to the caller."""
    number = parse_id(reference)
    if (number is not None and number > MAX_INTEGER_ID) or "\x00" in reference:
        raise HTTPException(404, NOT_FOUND)  # the database would refuse to look for it
    named: ColumnElement[bool] = kind.uid == reference if number is None else kind.id == number
    row = session.scalar(select_in_workspace(kind, caller).where(named, *conditions))
    if row is None:
        raise HTTPException(404, NOT_FOUND)
    return row


def select_in_workspace(kind: type[Named], caller: Principal) -> Select[Named]:
    """Select the rows of the caller's workspace."""
    if issubclass(kind, ReportTrigger | Block):
        return select(kind).join(Report).where(Report.workspace_id == caller.workspace_id)
    return select(kind).where(kind.workspace_id == caller.workspace_id)
