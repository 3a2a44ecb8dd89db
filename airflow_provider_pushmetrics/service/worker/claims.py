"""
Claims: a worker writes its name into rows of work, and no other worker executes them.

A claim is valid for the lease of its worker, which heartbeats renew (:mod:`heartbeats`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Executable,
    SQLColumnExpression,
    and_,
    bindparam,
    case,
    literal_column,
    select,
    update,
)
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.models import Delivery, OutgoingMessage, Run, StandaloneQueryRun
from airflow_provider_pushmetrics.service.models.base import get_table
from airflow_provider_pushmetrics.service.models.statuses import RUNNING
from airflow_provider_pushmetrics.service.storage.database import execute_core

WorkRow: TypeAlias = Run | StandaloneQueryRun | Delivery | OutgoingMessage

KEYS: Mapping[type[WorkRow], SQLColumnExpression[Any]] = {
    Run: Run.report_id,
    StandaloneQueryRun: StandaloneQueryRun.report_id,
    Delivery: Delivery.subscription_id,
    OutgoingMessage: OutgoingMessage.kind,
}
"""The kinds of work, and by what the places for each are shared."""


@dataclass(frozen=True)
class Group:
    """
    Rows of work that are claimed in the order of their age.

    :param kind: The table.
    :param key: Their report, their subscription, or the kind of a message.
    :param workspace_id: 0 if workspaces do not matter.
    :param is_suspect: Whether a worker died while it executed them.
    """

    kind: type[WorkRow]
    key: int | str
    workspace_id: int = 0
    is_suspect: bool = False


@dataclass(frozen=True)
class Claim:
    """A row that a worker has claimed."""

    group: Group
    id: int

    @property
    def kind(self) -> type[WorkRow]:
        """The table."""
        return self.group.kind

    def __str__(self) -> str:
        return f"{self.kind.__tablename__} {self.id}"


def is_waiting(kind: type[WorkRow]) -> ColumnElement[bool]:
    """Build the condition of the partial indexes ``ix_…_waiting``: unfinished, and not claimed."""
    return and_(kind.worker_id.is_(None), _is_unfinished(kind))


def is_claimed(kind: type[WorkRow]) -> ColumnElement[bool]:
    """Build the condition of the partial indexes ``ix_…_claimed``: unfinished, and claimed by some worker."""
    return and_(kind.worker_id.is_not(None), _is_unfinished(kind))


def is_suspect(kind: type[Run | StandaloneQueryRun]) -> ColumnElement[int]:
    """Build the number 1 for a run during which a worker died, and 0 for others."""
    return case((kind.lost_workers > 0, 1), else_=0)


def claim_rows(
    session: Session, group: Group, count: int, worker_id: str, now: datetime | None = None
) -> list[Claim]:
    """
    Claim the oldest rows of a group, except those that another worker is claiming.

    :param now: The time at which deliveries and messages must be due.
    """
    values: dict[str, object] = {"claimant": worker_id, "limit": count, "group_key": group.key}
    if issubclass(group.kind, Run | StandaloneQueryRun):
        values |= {"group_workspace": group.workspace_id, "group_suspect": int(group.is_suspect)}
    else:
        values["due"] = now
    return [
        Claim(group, row_id)
        for row_id in sorted(execute_core(session, _build_claim(group.kind), values).scalars())
    ]


@cache
def _build_claim(kind: type[WorkRow]) -> Executable:
    """Build the statement that claims rows and returns their ids. It is built once, which saves a third."""
    wanted = select(kind.id).where(is_waiting(kind), KEYS[kind] == bindparam("group_key"))
    if issubclass(kind, Run | StandaloneQueryRun):
        wanted = wanted.where(
            kind.workspace_id == bindparam("group_workspace"),
            is_suspect(kind) == bindparam("group_suspect"),
        ).order_by(kind.created_on, kind.id)
    else:
        wanted = wanted.where(kind.next_attempt_on <= bindparam("due"))
        wanted = wanted.order_by(kind.next_attempt_on, kind.id)
    # As a CTE: PostgreSQL may evaluate a subquery several times, and so lock more rows than the limit.
    chosen = wanted.limit(bindparam("limit")).with_for_update(skip_locked=True).cte("chosen")
    table = get_table(kind)
    changed = update(table).where(table.c.id.in_(select(chosen.c.id)))
    return changed.values(worker_id=bindparam("claimant")).returning(table.c.id)


def release(
    session: Session,
    whose: Callable[[type[WorkRow]], ColumnElement[bool]],
    *,
    kinds: Collection[type[WorkRow]] = tuple(KEYS),
    keeps: Callable[[], Collection[Claim]] = tuple,
    counts_loss: bool = False,
) -> list[str]:
    """
    Release claimed rows, except those that are locked: a frozen worker may hold some in a transaction.

    :param whose: Builds the condition of the rows of a kind.
    :param keeps: Lists claims that are not released. It is called after the rows are read.
    :param counts_loss: Whether their worker died. Then each run that it executed counts one lost worker.
    :return: The names of the rows.
    """
    names = []
    for kind in kinds:
        claimed = select(kind.id).where(is_claimed(kind), whose(kind)).with_for_update(skip_locked=True)
        ids = set(session.scalars(claimed))
        if ids:
            ids -= {claim.id for claim in keeps() if claim.kind is kind}
        values: dict[str, object] = {"worker_id": None}
        if counts_loss and issubclass(kind, Run | StandaloneQueryRun):
            values["lost_workers"] = kind.lost_workers + case((kind.status == RUNNING, 1), else_=0)
        _set(session, kind, ids, **values)
        names += [f"{kind.__tablename__} {row_id}" for row_id in sorted(ids)]
    return names


def _set(session: Session, kind: type[WorkRow], ids: Collection[int], **values: object) -> None:
    if ids:
        changed = update(kind).where(kind.id.in_(ids)).values(values)
        session.execute(changed.execution_options(synchronize_session=False))


def _is_unfinished(kind: type[WorkRow]) -> ColumnElement[bool]:
    # A message that is kept has not ended, and is no work. A literal, as the indexes have it.
    if kind is OutgoingMessage:
        return OutgoingMessage.status == literal_column("'pending'")
    return kind.finished_on.is_(None)
