"""
The inbox: every accepted event, in the order of its ids, until it is deleted.

All functions block, so none of them is called on an event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import timedelta
from itertools import accumulate

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    case,
    delete,
    func,
    insert,
    select,
    true,
    update,
)

from airflow_provider_pushmetrics.event_matching import EventFilter, Subject
from airflow_provider_pushmetrics.receiver.inbox.connection_timeouts import (
    DEFAULT_TIMEOUTS,
    OpenSockets,
    PostgresqlTimeouts,
)
from airflow_provider_pushmetrics.receiver.inbox.consumer_gaps import Deleted, store_gaps
from airflow_provider_pushmetrics.receiver.inbox.database import create_inbox_engine, open_engine
from airflow_provider_pushmetrics.receiver.inbox.recording import (
    CHANNEL,
    DELIVERY_FIELDS,
    Clock,
    get_now,
    lock_last_id,
    record,
)
from airflow_provider_pushmetrics.receiver.inbox.records import (
    Consumer,
    EventPage,
    EventSummary,
    IncomingWebhook,
    Recorded,
    StoredEvent,
)
from airflow_provider_pushmetrics.receiver.inbox.rejections import MAX_KEPT, Rejection
from airflow_provider_pushmetrics.receiver.inbox.sqlite_recording import record_in_sqlite
from airflow_provider_pushmetrics.receiver.inbox.tables import consumers, events, rejections, state
from airflow_provider_pushmetrics.serving.commit_signals import Changes, open_changes
from airflow_provider_pushmetrics.serving.sqlite import IMMEDIATE, FileIdentity

MAX_PAGE_BYTES = 8 * 1024 * 1024
"""The maximum size of the bodies of a page; a page contains at least one event."""


class Inbox:
    """
    The durable store, on SQLite or PostgreSQL.

    :param url: Its SQLAlchemy URL. The database is opened and migrated.
    :param clock: Returns the time; None for that of PostgreSQL, or of the machine on SQLite.
    :param timeouts: How long to wait for PostgreSQL.
    :param listen_url: The URL of the same database without a pooler, if there is a pooler.

    If the file of SQLite was removed or replaced, every use raises an OperationalError: what is stored in it
    is lost, and others do not see it.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        timeouts: PostgresqlTimeouts = DEFAULT_TIMEOUTS,
        listen_url: str | None = None,
    ) -> None:
        self._engine: Engine = open_engine(url, timeouts)
        self._sockets = OpenSockets(self._engine, timeouts.stuck_seconds)
        self._file = FileIdentity(self._engine)
        self._file.check()
        self._listen_engine = create_inbox_engine(listen_url, timeouts) if listen_url else None
        self._clock = clock

    def close(self) -> None:
        """Close the database's connections."""
        self._engine.dispose()
        if self._listen_engine is not None:
            self._listen_engine.dispose()

    def hang_up(self) -> None:
        """Close all connections to PostgreSQL at once: waiting calls raise an error. SQLite has none."""
        self._sockets.hang_up()

    def hang_up_if_stuck(self) -> None:
        """Close all connections to PostgreSQL if a call has waited for too long."""
        self._sockets.hang_up_if_stuck()

    def record(
        self, deliveries: Sequence[IncomingWebhook], *, add_waiting: Callable[[], None] | None = None
    ) -> list[Recorded]:
        """
        Store new webhooks, in one transaction, and return when it is committed.

        Ids follow the order of commits, across processes: the row that assigns them stays locked until the
        commit. So a reader that has seen an id never sees a smaller one later.

        :param add_waiting: Called when that row is locked; may add to the webhooks. So one process collects
            while another commits.
        :return: The result for each, in the given order.
        """
        if self._engine.dialect.name == "sqlite":
            recorded = record_in_sqlite(self._engine, deliveries, self._clock or get_now, add_waiting)
            self._file.check()  # after the commit, as in _begin_write
            return recorded
        with self._begin_write() as connection:
            return record(connection, deliveries, self._clock, add_waiting)

    def fetch_page(self, wanted: EventFilter, *, after: int, limit: int) -> EventPage:
        """
        Fetch the events after an id, at most ``limit`` of them.

        A cursor beyond the newest id is from another inbox: the page is then empty, and its cursor is the
        newest id.
        """
        with self._begin_read() as connection:
            # Read before the events: later commits are for the next page.
            last_id = connection.execute(select(state.c.last_event_id)).scalar_one()
            ids = _fetch_page_ids(connection, wanted, after=after, last_id=last_id, limit=limit)
            found = _fetch_events(connection, ids.chosen)
        return EventPage(found, ids.chosen[-1] if ids.is_cut else last_id)

    def fetch_last_id(self) -> int:
        """Fetch the newest assigned id; 0 before the first."""
        with self._begin_read() as connection:
            last_id: int = connection.execute(select(state.c.last_event_id)).scalar_one()
            return last_id

    def fetch_subjects(self, *, after: int, limit: int) -> list[Subject]:
        """Fetch the facts of the events after an id."""
        columns = (events.c[field.name] for field in fields(Subject))
        query = select(*columns).where(events.c.id > after).order_by(events.c.id).limit(limit)
        with self._begin_read() as connection:
            return [Subject(*row) for row in connection.execute(query)]

    def count_events(self) -> int:
        """Count the events kept, by their ids: only those up to ``last_deleted_id`` have gaps."""
        gapless = state.c.last_event_id - state.c.last_deleted_id
        others = select(func.count()).where(events.c.id <= state.c.last_deleted_id).scalar_subquery()
        with self._begin_read() as connection:
            count: int = connection.execute(select(gapless + others)).scalar_one()
            return count

    def find_delivery(self, event_id: int) -> IncomingWebhook | None:
        columns = (events.c[name].label(field) for name, field in DELIVERY_FIELDS.items())
        with self._begin_read() as connection:
            row = connection.execute(select(*columns).where(events.c.id == event_id)).mappings().one_or_none()
        return None if row is None else IncomingWebhook(**{**row, "body": bytes(row["body"])})

    def find_event(self, event_id: int) -> StoredEvent | None:
        with self._begin_read() as connection:
            found = _fetch_events(connection, [event_id])
        return found[0] if found else None

    def fetch_consumer(self, name: str) -> Consumer:
        """Fetch a named consumer's position: 0 for one that never stored any."""
        with self._begin_read() as connection:
            row = connection.execute(select(consumers).where(consumers.c.name == name)).one_or_none()
        return Consumer(name, 0, None) if row is None else Consumer(*row)

    def store_consumer(
        self, name: str, position: int, taken_by: str | None = None, *, only_forwards: bool = False
    ) -> Consumer | None:
        """
        Store a named consumer's position, forwards or backwards, and who claimed the event there.

        :param only_forwards: Store nothing unless the position is after the stored one: a process that was
            frozen does not know that others have moved it.
        :return: The consumer as it is stored now, or None if the position is beyond the newest event and
            nothing was stored.
        """
        with self._begin_write() as connection:
            # The lock also serializes two first positions of one name.
            last_id, now = lock_last_id(connection, self._clock)
            if position > last_id:
                return None
            values = {"position": position, "updated_at": now, "taken_by": taken_by}
            find = select(consumers).where(consumers.c.name == name)
            known = connection.execute(find).one_or_none()
            if known is None:
                connection.execute(insert(consumers).values(name=name, **values))
            elif not only_forwards or position > known.position:
                connection.execute(update(consumers).where(consumers.c.name == name).values(values))
            return Consumer(*connection.execute(find).one())

    def fetch_newest(self, wanted: EventFilter, *, before: int | None, limit: int) -> list[EventSummary]:
        """Fetch the newest events, or the newest before an id; the newest first."""
        columns = (events.c[field.name] for field in fields(EventSummary))
        conditions = [events.c[name] == value for name, value in wanted.get_wanted().items()]
        if before is not None:
            conditions.append(events.c.id < before)
        query = select(*columns).where(*conditions).order_by(events.c.id.desc()).limit(limit)
        with self._begin_read() as connection:
            return [EventSummary(*row) for row in connection.execute(query)]

    def fetch_bodies(self, ids: Sequence[int], *, max_bytes: int) -> dict[int, bytes]:
        """Fetch the bodies of some events; those of larger ones are left out."""
        query = select(events.c.id, events.c.body)
        query = query.where(events.c.id.in_(ids), events.c.body_bytes <= max_bytes)
        with self._begin_read() as connection:
            return {row.id: bytes(row.body) for row in connection.execute(query)}

    def fetch_consumers(self) -> list[Consumer]:
        """Fetch every named consumer that stored a position."""
        with self._begin_read() as connection:
            rows = connection.execute(select(consumers).order_by(consumers.c.name))
            return [Consumer(*row) for row in rows]

    def count_unread(self) -> dict[str, int]:
        """Count the events after the position of each named consumer."""
        last_deleted_id = state.c.last_deleted_id
        position = case((consumers.c.position < last_deleted_id, last_deleted_id), else_=consumers.c.position)
        before_gap = events.c.id.between(consumers.c.position + 1, last_deleted_id)
        others = select(func.count()).where(before_gap).scalar_subquery()  # of a restored inbox
        unread = state.c.last_event_id - position + others
        with self._begin_read() as connection:
            rows = connection.execute(select(consumers.c.name, unread).join_from(consumers, state, true()))
            return {name: max(0, count) for name, count in rows}

    def delete_oldest(self, *, keep: timedelta, limit: int) -> Deleted:
        """
        Delete events that are older than a time to keep, the oldest first.

        Their keys are deleted too: a copy that arrives again would be new. No consumer is waited
        for, but unread events of an active one are counted as missed.

        :return: How many were deleted, at most ``limit``, and who had not read them.
        """
        with self._begin_write() as connection:
            # The writers' lock, so that SQLite and PostgreSQL behave alike.
            before = lock_last_id(connection, self._clock)[1] - keep
            old = select(events.c.id).where(events.c.received_at < before)
            ids = connection.execute(old.order_by(events.c.id).limit(limit)).scalars().all()
            if not ids:
                return Deleted()
            gaps = store_gaps(connection, ids, since=before)
            connection.execute(delete(events).where(events.c.id.in_(ids)))
            is_newer = state.c.last_deleted_id < ids[-1]
            connection.execute(update(state).where(is_newer).values(last_deleted_id=ids[-1]))
            return Deleted(len(ids), gaps)

    def store_rejections(self, refused: Sequence[Rejection]) -> None:
        """Store rejected webhooks, and keep only the newest of all."""
        with self._begin_write() as connection:
            connection.execute(insert(rejections), [vars(rejection) for rejection in refused])
            oldest = select(rejections.c.id).order_by(rejections.c.id.desc()).offset(MAX_KEPT).limit(1)
            connection.execute(delete(rejections).where(rejections.c.id <= oldest.scalar_subquery()))

    def fetch_rejections(self, *, limit: int) -> list[Rejection]:
        """Fetch the newest rejected webhooks, the newest first."""
        columns = (rejections.c[field.name] for field in fields(Rejection))
        query = select(*columns).order_by(rejections.c.id.desc()).limit(limit)
        with self._begin_read() as connection:
            return [Rejection(*row) for row in connection.execute(query)]

    def open_changes(self) -> Changes:
        """Start to listen for commits, including those of other processes."""
        with self._sockets.use():
            return open_changes(self._engine, CHANNEL, listen_engine=self._listen_engine)

    def check(self) -> None:
        """Raise an SQLAlchemyError if the inbox cannot be read now, or if its file was taken away."""
        self.fetch_last_id()

    def check_write(self) -> None:
        """
        Raise an SQLAlchemyError if nothing can be stored now: a full disk, a standby, a read-only file.

        A row is stored and deleted in one transaction. An update to the same value would write nothing.
        """
        row = vars(Rejection(get_now(), "", "", 0, "check", ""))
        with self._begin_write() as connection:
            (row_id,) = connection.execute(insert(rejections), row).inserted_primary_key or (None,)
            connection.execute(delete(rejections).where(rejections.c.id == row_id))

    @contextmanager
    def _begin_read(self) -> Iterator[Connection]:
        self._file.check()
        with self._sockets.use(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _begin_write(self) -> Iterator[Connection]:
        with (
            self._sockets.use(),
            self._engine.connect().execution_options(**{IMMEDIATE: True}) as connection,
            connection.begin(),
        ):
            yield connection
        self._file.check()  # after the commit: a file that is removed before it must not be acknowledged


@dataclass(frozen=True)
class _PageIds:
    chosen: tuple[int, ...]
    is_cut: bool


def _fetch_page_ids(
    connection: Connection, wanted: EventFilter, *, after: int, last_id: int, limit: int
) -> _PageIds:
    """Choose the events of a page before reading their bodies, so that no page is too large for memory."""
    conditions: list[ColumnElement[bool]] = [events.c.id > after, events.c.id <= last_id]
    conditions += [events.c[name] == value for name, value in wanted.get_wanted().items()]
    query = select(events.c.id, events.c.body_bytes).where(*conditions).order_by(events.c.id).limit(limit)
    rows = connection.execute(query).all()
    sizes = accumulate(row.body_bytes for row in rows)
    chosen = [row.id for row, size in zip(rows, sizes, strict=True) if size <= MAX_PAGE_BYTES]
    if rows and not chosen:
        chosen = [rows[0].id]
    return _PageIds(tuple(chosen), is_cut=len(chosen) < len(rows) or len(rows) == limit)


def _fetch_events(connection: Connection, ids: Sequence[int]) -> tuple[StoredEvent, ...]:
    if not ids:
        return ()
    names = ("id", "source", "received_at", "replay_of", "body", "traceparent")
    columns = [events.c[name] for name in names]
    rows = connection.execute(select(*columns).where(events.c.id.in_(ids)).order_by(events.c.id))
    return tuple(
        StoredEvent(row.id, row.source, row.received_at, row.replay_of, bytes(row.body), row.traceparent)
        for row in rows
    )
