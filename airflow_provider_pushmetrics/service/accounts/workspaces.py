"""Creating a workspace, and deleting one with its contents."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.accounts.members import remove_identities
from airflow_provider_pushmetrics.service.accounts.roles import Role
from airflow_provider_pushmetrics.service.models import (
    ApiToken,
    DataSource,
    Membership,
    OutboxEvent,
    OutgoingMessage,
    Report,
    ReportSchedule,
    Run,
    StandaloneQueryRun,
    Subscription,
    Workspace,
)
from airflow_provider_pushmetrics.service.storage.database import lock_row

CONTENTS = (
    ReportSchedule,
    Report,
    Subscription,
    OutboxEvent,
    OutgoingMessage,
    DataSource,
    ApiToken,
    Membership,
)
"""What is deleted with a workspace, in this order; blocks, runs and deliveries are deleted by cascades."""


def create_workspace(session: Session, name: str, user_id: int) -> Workspace:
    """Create a workspace; its creator is its first Admin."""
    workspace = Workspace(name=name)
    session.add(workspace)
    session.flush()
    session.add(Membership(user_id=user_id, workspace_id=workspace.id, role=Role.ADMIN.value))
    session.flush()
    return workspace


def delete_workspace(session: Session, workspace: Workspace) -> None:
    """
    Delete a workspace with its contents, and the names and addresses of users who are in no other one.

    No event is sent: its subscriptions are deleted too.
    """
    lock_workspace(session, workspace)
    remove_identities(session, Membership.workspace_id == workspace.id)
    for kind in CONTENTS:
        session.execute(delete(kind).where(kind.workspace_id == workspace.id))
    session.delete(workspace)


def lock_workspace(session: Session, workspace: Workspace) -> None:
    """
    Lock a workspace before its contents are deleted: transactions that add to it end before, or fail later.

    Its unfinished runs are locked still earlier: who records one locks it first, and then, by foreign keys,
    the workspace.
    """
    for run in (Run, StandaloneQueryRun):
        unfinished = select(run.id).where(run.workspace_id == workspace.id, run.finished_on.is_(None))
        session.scalars(unfinished.order_by(run.id).with_for_update()).all()
    lock_row(session, workspace)
