"""
Claims: a worker writes its name into rows of work, and no other worker executes them.

A claim is valid for the lease of its worker, which heartbeats renew (:mod:`heartbeats`). The claims of a dead
worker are released by another worker, or by its successor of the same name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, case, literal_column, select, update
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.models import (
    Delivery,
    OutgoingMessage,
    Run,
    StandaloneQueryRun,
    Worker,
)
from airflow_provider_pushmetrics.service.models.statuses import RUNNING
from airflow_provider_pushmetrics.service.storage.database import Database

Claimable: TypeAlias = Run | StandaloneQueryRun | Delivery | OutgoingMessage

KINDS: tuple[type[Claimable], ...] = (Run, StandaloneQueryRun, Delivery, OutgoingMessage)


class Claim(Protocol):
    """A row that a worker has claimed. Subclasses have the attributes by which places are shared."""

    @property
    def kind(self) -> type[Claimable]:
        """The table."""

    @property
    def id(self) -> int:
        """The row."""


ClaimT = TypeVar("ClaimT", bound=Claim)


@dataclass(frozen=True)
class Share(Generic[ClaimT]):
    """
    Rows that a worker wants.

    :param conditions: The conditions besides :func:`is_waiting`.
    :param order: The order in which they are claimed.
    :param count: The maximum number.
    :param build: Builds the claim of a row.
    """

    kind: type[Claimable]
    conditions: Sequence[ColumnElement[bool]]
    order: Sequence[SQLColumnExpression[Any]]
    count: int
    build: Callable[[int], ClaimT]


class Selection(Protocol[ClaimT]):
    """Decides what a worker claims next."""

    @property
    def kinds(self) -> Sequence[type[Claimable]]:
        """The tables."""

    def choose(
        self, session: Session, active: Collection[ClaimT]
    ) -> tuple[Sequence[Share[ClaimT]], float | None]:
        """
        Choose rows for the free places.

        :param active: The active claims of the worker.
        :return: The rows, and the seconds until others are due, if known.
        """


def is_waiting(kind: type[Claimable]) -> ColumnElement[bool]:
    """Build the condition of the partial indexes ``ix_…_waiting``: unfinished, and not claimed."""
    return and_(kind.worker_id.is_(None), _is_unfinished(kind))


def is_claimed(kind: type[Claimable]) -> ColumnElement[bool]:
    """Make the condition of the partial indexes ``ix_…_claimed``: unfinished, and claimed by some worker."""
    return and_(kind.worker_id.is_not(None), _is_unfinished(kind))


def claim_rows(
    session: Session, share: Share[ClaimT], worker_id: str, active: Collection[int] = ()
) -> list[ClaimT]:
    """
    Claim rows in the caller's transaction, except those that another worker is claiming.

    :param active: The active rows of this worker. Others may have released them while it was frozen.
    """
    kind = share.kind
    rows = select(kind.id).where(is_waiting(kind), *share.conditions).order_by(*share.order)
    if active:
        rows = rows.where(kind.id.not_in(active))
    ids = session.scalars(rows.limit(share.count).with_for_update(skip_locked=True)).all()
    if ids:
        claimed = update(kind).where(kind.id.in_(ids)).values(worker_id=worker_id)
        session.execute(claimed.execution_options(synchronize_session=False))
    return [share.build(row_id) for row_id in ids]


def release_all(database: Database, worker_id: str, *, counts_loss: bool = False) -> int:
    """
    Release all claims of a worker, and return the number of rows.

    :param counts_loss: Whether the worker died. Then each run that it executed counts one lost worker.
    """
    return sum(_release(database, kind, worker_id, counts_loss=counts_loss) for kind in KINDS)


def _release(database: Database, kind: type[Claimable], worker_id: str, *, counts_loss: bool) -> int:
    values: dict[str, object] = {"worker_id": None}
    if counts_loss and issubclass(kind, Run | StandaloneQueryRun):
        values["lost_workers"] = kind.lost_workers + case((kind.status == RUNNING, 1), else_=0)
    with database.writing() as session:
        return _release_unlocked(session, kind, kind.worker_id == worker_id, values)


def _release_unlocked(
    session: Session, kind: type[Claimable], whose: ColumnElement[bool], values: dict[str, object]
) -> int:
    """Release the claimed rows that nobody has locked: a frozen worker may hold some in a transaction."""
    claimed = select(kind.id).where(is_claimed(kind), whose)
    ids = session.scalars(claimed.with_for_update(skip_locked=True)).all()
    if ids:
        released = update(kind).where(kind.id.in_(ids)).values(values)
        session.execute(released.execution_options(synchronize_session=False))
    return len(ids)


def release_orphans(database: Database) -> int:
    """
    Release rows whose worker has no row, and return their number.

    A worker that was frozen may have claimed them after its own row was deleted, and have died before its
    next heartbeat.
    """
    count = 0
    for kind in KINDS:
        is_orphan = kind.worker_id.not_in(select(Worker.worker_id))
        found = select(kind.id).where(is_claimed(kind), is_orphan)
        with database.reading() as session:
            if session.scalar(found.limit(1)) is None:
                continue
        with database.writing() as session:
            count += _release_unlocked(session, kind, is_orphan, {"worker_id": None})
    return count


def has_claims(session: Session, worker_id: str) -> bool:
    """Return whether a worker still has claims."""
    return any(
        session.scalar(select(kind.id).where(_is_claimed_by(kind, worker_id)).limit(1)) is not None
        for kind in KINDS
    )


def release_rows(database: Database, kind: type[Claimable], ids: Collection[int], worker_id: str) -> None:
    """Release rows, unless another worker has them now."""
    mine = update(kind).where(kind.id.in_(ids), _is_claimed_by(kind, worker_id)).values(worker_id=None)
    with database.recording() as session:
        session.execute(mine.execution_options(synchronize_session=False))


def list_claimed(database: Database, kind: type[Claimable], worker_id: str) -> list[int]:
    """List the unfinished rows that a worker has claimed."""
    with database.reading() as session:
        return list(session.scalars(select(kind.id).where(_is_claimed_by(kind, worker_id))))


def _is_claimed_by(kind: type[Claimable], worker_id: str) -> ColumnElement[bool]:
    return and_(kind.worker_id == worker_id, _is_unfinished(kind))


def _is_unfinished(kind: type[Claimable]) -> ColumnElement[bool]:
    # A message that is kept has not ended, and is no work. A literal, as the indexes have it.
    if kind is OutgoingMessage:
        return OutgoingMessage.status == literal_column("'pending'")
    return kind.finished_on.is_(None)
