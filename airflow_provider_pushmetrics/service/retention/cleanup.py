"""
The deletion of what is older than it is kept: messages, deliveries, events, runs and their results.

What refers to a row is deleted before it: a run is kept as long as its event, and the messages of its blocks.
So a pending delivery or message finds all that it tells of. Several workers may delete at the same time.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from sqlalchemy import ColumnElement, and_, delete, exists, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from airflow_provider_pushmetrics.service.models import (
    AnyRun,
    BlockResult,
    Delivery,
    OutboxEvent,
    OutgoingMessage,
    Run,
    StandaloneQueryRun,
    Workspace,
)
from airflow_provider_pushmetrics.service.models.statuses import PENDING
from airflow_provider_pushmetrics.service.reports.choices import list_choice_results
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.retention.deleted_folders import FolderDeletion, record_folders
from airflow_provider_pushmetrics.service.retention.orphans import delete_orphans
from airflow_provider_pushmetrics.service.retention.outputs import delete_outputs
from airflow_provider_pushmetrics.service.runs.execution.plan import name_result_folder
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.storage.clock import DatabaseClock, read_database_clock
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.webhooks.run_events import QUERY_RUN, REPORT_RUN
from airflow_provider_pushmetrics.serving.background import BackgroundLoop

CLEANUP_SECONDS = 3600.0
CLEANUP_RETRY_SECONDS = 60.0

CLEANUP_BATCH = 200
"""How many rows are deleted in one transaction, for which others wait on SQLite."""

UNFINISHED_RETENTION = timedelta(days=1)
"""An unfinished file that has not grown for this long belongs to a dead process."""

ORPHAN_INTERVAL = timedelta(days=1)

KEY_RETENTION = timedelta(days=7)
"""The least for a run with an ``Idempotency-Key``: without it, a repeated call would start another run."""

Kept: TypeAlias = type[OutgoingMessage | Delivery | OutboxEvent | AnyRun]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rule:
    """
    Which rows of a table are deleted.

    :param name: Their name in the log.
    :param days: How long they are kept; 0 for ever.
    :param is_unneeded: Builds the condition that no other row needs them, and that they ended before a time.
    """

    name: str
    kind: Kept
    days: int
    is_unneeded: Callable[[datetime], ColumnElement[bool]]


class Cleanup:
    """Deletes old rows and results in a background thread, and in another one the folders of deleted runs."""

    def __init__(
        self,
        database: Database,
        results: ResultStore,
        settings: ServiceSettings,
        *,
        clock: DatabaseClock = read_database_clock,
    ) -> None:
        self._database = database
        self._results = results
        self._rules = list_rules(settings)
        self._result_days = settings.result_retention_days
        self._clock = clock
        self._orphans_deleted_at: datetime | None = None
        self._folders = FolderDeletion(database, results)
        self._loop = BackgroundLoop(
            "cleanup",
            self.run_once,
            interval_seconds=CLEANUP_SECONDS,
            retry_seconds=CLEANUP_RETRY_SECONDS,
            starts_at_once=True,
        )

    def start(self) -> None:
        """Begin, at once."""
        self._loop.start()
        self._folders.start()

    def stop(self) -> bool:
        """Stop after the running transaction, and return whether the threads have ended."""
        self._folders.request_stop()
        has_ended = self._loop.stop()
        return self._folders.stop() and has_ended

    def run_once(self) -> None:
        """
        Delete what is older than it is kept: rows first, so that files that cannot be deleted hold up no row.

        :raises ObjectStoreError: if the object storage does not answer; the next call deletes the files.
        """
        with self._database.reading() as session:
            now = self._clock(session)
            choices = list_choice_results(session)
            spared = set() if self._result_days is None else _list_needed_folders(session, choices)
        self._results.clean_unfinished(now - UNFINISHED_RETENTION)
        deleted = self._delete_rows(now, choices)
        try:
            deleted += self._clean_results(now, spared)
        finally:
            if deleted.total():
                told = ", ".join(f"{count} {name}" for name, count in deleted.items() if count)
                log.info("deleted %s beyond the retention limits", told)
        self._delete_orphans(now)

    def _delete_rows(self, now: datetime, choices: Sequence[BlockResult]) -> Counter[str]:
        deleted: Counter[str] = Counter()
        for rule in self._rules:
            before = now - timedelta(days=rule.days)
            while rule.days and not self._loop.stopping.is_set():
                count = self._delete_batch(rule, before, choices)
                deleted[rule.name] += count
                if not count:
                    break
        return deleted

    def _clean_results(self, now: datetime, spared: Collection[str]) -> Counter[str]:
        """Delete what has the rows of old results in the database, and their files."""
        if self._result_days is None:
            return Counter()
        before = now - timedelta(days=self._result_days)
        outputs = delete_outputs(self._database, before, spared, self._loop.stopping.is_set)
        files = self._results.clean(before, spared)
        return Counter({"results": files, "outputs of texts and charts": outputs})

    def _delete_orphans(self, now: datetime) -> None:
        """Delete results that no row names, once a day: all names are listed for it."""
        if self._orphans_deleted_at is not None and now - self._orphans_deleted_at < ORPHAN_INTERVAL:
            return
        before = now - UNFINISHED_RETENTION
        count = delete_orphans(self._database, self._results, before, self._loop.stopping.is_set)
        self._orphans_deleted_at = now
        if count:
            log.info("deleted %d results that no run has: the worker that wrote them was killed", count)

    def _delete_batch(self, rule: Rule, before: datetime, choices: Sequence[BlockResult]) -> int:
        kind = rule.kind
        old = select(kind.id).where(
            kind.workspace_id.in_(select(Workspace.id)),  # so that the indexes by age are used
            kind.created_on < before,
            rule.is_unneeded(before),
            *_spare_choices(kind, choices),
        )
        with self._database.reading() as session:  # others can write while the rows are looked for
            found = session.scalars(old.limit(CLEANUP_BATCH)).all()
        if not found:
            return 0
        with self._database.recording() as session:
            # Asked again: it may have been sent again since. Another worker may be deleting some.
            locked = old.where(kind.id.in_(found)).with_for_update(skip_locked=True, of=kind)
            return self._delete(session, kind, session.scalars(locked).all())

    def _delete(self, session: Session, kind: Kept, ids: Sequence[int]) -> int:
        """Delete rows, and what is part of them by cascades; record the folders of runs for later."""
        if issubclass(kind, Run | StandaloneQueryRun):
            record_folders(session, kind, kind.id.in_(ids))
        gone = delete(kind).where(kind.id.in_(ids))
        session.execute(gone.execution_options(synchronize_session=False))
        return len(ids)


def list_rules(settings: ServiceSettings) -> tuple[Rule, ...]:
    """List what is deleted, in this order: what refers to a row comes before it."""
    days = settings.keep_days
    message_days = days if settings.keep_message_days is None else settings.keep_message_days
    delivery_days = days if settings.keep_delivery_days is None else settings.keep_delivery_days
    longer = max(KEY_RETENTION - timedelta(days=days), timedelta())
    return (
        Rule("messages", OutgoingMessage, message_days, _is_message_over),
        Rule("deliveries", Delivery, delivery_days, lambda before: Delivery.finished_on < before),
        Rule(
            "events",
            OutboxEvent,
            delivery_days,
            lambda _: ~exists().where(Delivery.event_id == OutboxEvent.id),
        ),
        Rule("runs", Run, days, lambda before: _is_run_over(before, before - longer)),
        Rule("runs of single blocks", StandaloneQueryRun, days, _is_query_run_over),
    )


def _is_message_over(before: datetime) -> ColumnElement[bool]:
    ended = OutgoingMessage.finished_on
    # One that is kept has never ended: it could be sent by hand until now.
    return and_(OutgoingMessage.status != PENDING, or_(ended.is_(None), ended < before))


def _is_run_over(before: datetime, before_with_key: datetime) -> ColumnElement[bool]:
    return and_(
        or_(Run.idempotency_key.is_(None), Run.finished_on < before_with_key),
        _is_alone(Run, BlockResult.run_id, REPORT_RUN, before),
    )


def _is_query_run_over(before: datetime) -> ColumnElement[bool]:
    return _is_alone(StandaloneQueryRun, BlockResult.query_run_id, QUERY_RUN, before)


def _is_alone(
    kind: type[AnyRun], owner: InstrumentedAttribute[int | None], event: str, before: datetime
) -> ColumnElement[bool]:
    """Build the condition that a run has ended, and that no event or message about it is kept."""
    messages = exists().where(OutgoingMessage.block_result_id == BlockResult.id, owner == kind.id)
    events = exists().where(OutboxEvent.run_id == kind.id, OutboxEvent.event == event)
    return and_(kind.finished_on < before, ~messages, ~events)


def _list_needed_folders(session: Session, choices: Iterable[BlockResult]) -> set[str]:
    """List the folders of results that choices need, or a run, message or delivery that has not ended."""
    messages = (
        select(BlockResult.run_id, BlockResult.query_run_id)
        .join(OutgoingMessage, OutgoingMessage.block_result_id == BlockResult.id)
        .where(OutgoingMessage.status == PENDING)
    )
    events = (
        select(OutboxEvent.event, OutboxEvent.run_id)
        .join(Delivery, Delivery.event_id == OutboxEvent.id)
        .where(Delivery.finished_on.is_(None))
    )
    needed: set[tuple[type[AnyRun], int | None]] = set()
    for run_id, query_run_id in session.execute(messages.distinct()):
        needed |= {(Run, run_id), (StandaloneQueryRun, query_run_id)}
    for one in choices:
        needed |= {(Run, one.run_id), (StandaloneQueryRun, one.query_run_id)}
    for event, about_id in session.execute(events.distinct()):
        needed.add((StandaloneQueryRun if event == QUERY_RUN else Run, about_id))
    for kind in (Run, StandaloneQueryRun):
        unfinished = session.scalars(select(kind.id).where(kind.finished_on.is_(None)))
        needed |= {(kind, unfinished_id) for unfinished_id in unfinished}
    return {name_result_folder(kind, run_id) for kind, run_id in needed if run_id is not None}


def _spare_choices(kind: Kept, choices: Sequence[BlockResult]) -> list[ColumnElement[bool]]:
    """Build the condition that a parameter takes no choices from a run: all its values would be refused."""
    if kind not in (Run, StandaloneQueryRun):
        return []
    ids = {one.run_id if kind is Run else one.query_run_id for one in choices}
    return [kind.id.not_in(ids - {None})]
