"""
The open resources of one process: the inbox, its writer and its feed, opened at their first use.

An app that is mounted in another gets no lifespan events, may be built before a fork and be used by several
event loops. So nothing is opened when the app is built, and nothing opened before a fork is used after it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.receiver.errors import Unavailable
from airflow_provider_pushmetrics.receiver.feed.long_poll import Feed
from airflow_provider_pushmetrics.receiver.feed.waiters import Notifier
from airflow_provider_pushmetrics.receiver.feed.watcher import InboxWatch
from airflow_provider_pushmetrics.receiver.inbox.cleanup import InboxCleanup
from airflow_provider_pushmetrics.receiver.inbox.connection_timeouts import (
    DEFAULT_TIMEOUTS,
    PostgresqlTimeouts,
)
from airflow_provider_pushmetrics.receiver.inbox.database import parse_inbox_url
from airflow_provider_pushmetrics.receiver.inbox.rejections import Rejection, RejectionLog
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from airflow_provider_pushmetrics.receiver.inbox.writer import InboxWriter
from airflow_provider_pushmetrics.serving.background import BackgroundLoop
from airflow_provider_pushmetrics.serving.group_commit import start_daemon
from airflow_provider_pushmetrics.serving.logs import ThrottledLog
from airflow_provider_pushmetrics.serving.process_start import describe_driver_error, wait_for_postgresql

log = logging.getLogger(__name__)

READER_THREADS = 4
RETRY_OPEN_SECONDS = 2.0
"""How long to wait after a database could not be opened, however many requests arrive."""

CHECKS_WHILE_STUCK = 9
"""How often it is looked for calls that take too long, while the first of them does."""

OPEN_SECONDS = 10.0
"""How long a request waits for the inbox to be opened: less than its client waits."""

CLOSE_PATIENCE_SECONDS = 5.0
"""How long the end of the process waits for the database before it closes the connections."""

UNAVAILABLE = "The inbox cannot be used now. Try again later."

P = ParamSpec("P")
T = TypeVar("T")

_left_behind: list[object] = []
"""What a forked child inherited: kept, because closing copies of SQLite connections damages it."""


class ReceiverRuntime:
    """
    The open inbox, its writer and its feed.

    :param inbox_url: The inbox's SQLAlchemy URL.
    :param rejections: Collects rejected webhooks until they are stored.
    :param keep_days: The age at which events are deleted; None keeps them.
    :param listen_url: The URL of the inbox without a pooler, if there is a pooler.
    :param timeouts: How long to wait for PostgreSQL.
    """

    def __init__(
        self,
        inbox_url: str,
        rejections: RejectionLog | None = None,
        keep_days: float | None = None,
        listen_url: str | None = None,
        timeouts: PostgresqlTimeouts = DEFAULT_TIMEOUTS,
    ) -> None:
        self.inbox = Inbox(inbox_url, listen_url=listen_url, timeouts=timeouts)
        self.notifier = Notifier()
        self.watch = InboxWatch(self.inbox, self.notifier)
        self.writer = InboxWriter(self.inbox, self.watch.announce_own)
        self._cleanup = InboxCleanup(self.inbox, rejections or RejectionLog(), keep_days)
        self._threads = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="pushmetrics-inbox-reader")
        self.feed = Feed(self.inbox, self.notifier, self.watch, self.run_blocking)
        self._freeing = BackgroundLoop(
            "pushmetrics-inbox-freeing",
            self.inbox.hang_up_if_stuck,
            interval_seconds=timeouts.stuck_seconds / CHECKS_WHILE_STUCK,
        )
        if parse_inbox_url(inbox_url).get_backend_name() != "sqlite":
            self._freeing.start()

    async def run_blocking(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a function of the inbox off the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(function, *args, **kwargs))

    def check(self) -> None:
        """
        Check that webhooks can be stored now; blocks.

        :raises Unavailable: if the writer cannot store any.
        :raises sqlalchemy.exc.SQLAlchemyError: if the inbox cannot be used.
        """
        if self.writer.is_failing():
            raise Unavailable(UNAVAILABLE)
        self.inbox.check()
        # On SQLite, a write of the check would wait for the writer that stores one webhook after the other.
        if not self.writer.has_just_stored():
            self.inbox.check_write()

    def fetch_rejections(self, *, limit: int) -> list[Rejection]:
        """Fetch the newest rejected webhooks, including all that this process has rejected."""
        self._cleanup.store_rejections()
        return self.inbox.fetch_rejections(limit=limit)

    def close(self, *, patience_seconds: float = CLOSE_PATIENCE_SECONDS) -> None:
        """Finish accepted work and close the inbox; close the connections to an unresponsive database."""
        self.notifier.close()
        giving_up = threading.Timer(patience_seconds, self._give_up)
        giving_up.daemon = True
        giving_up.start()
        self.writer.close()
        self.watch.close()
        self._cleanup.close()
        self._threads.shutdown(wait=True)
        self._freeing.stop()
        giving_up.cancel()
        self.inbox.close()

    def _give_up(self) -> None:
        log.warning("The inbox does not respond; everything that waits for it is cancelled.")
        self.writer.abandon()
        self.inbox.hang_up()


class RuntimeOpener:
    """
    Opens the runtime of this process at its first use.

    :param inbox_url: The inbox's SQLAlchemy URL.
    :param keep_days: The age at which events are deleted; None keeps them.
    :param listen_url: The URL of the inbox without a pooler, if there is a pooler.
    """

    def __init__(self, inbox_url: str, keep_days: float | None = None, listen_url: str | None = None) -> None:
        self._inbox_url = inbox_url
        self._keep_days = keep_days
        self._listen_url = listen_url
        self.rejections = RejectionLog()
        self._lock = threading.Lock()
        self._opened: ReceiverRuntime | None = None
        self._opening_lock = threading.Lock()
        self._opening: Future[None] | None = None
        self._failed_at = -RETRY_OPEN_SECONDS
        self._outage = ThrottledLog(log)
        _reset_after_fork(self)

    def open(self, wait_seconds: float = 0.0) -> ReceiverRuntime:
        """
        Open the runtime at the start of a process of its own, unless it is open; blocks.

        :param wait_seconds: How long to wait for PostgreSQL.
        :raises PushMetricsConfigurationError: if the inbox cannot be opened.
        """
        with self._lock:
            self._opened = opened = self._opened or self._wait_and_build(wait_seconds)
            return opened

    async def get(self) -> ReceiverRuntime:
        """
        Get this process's runtime.

        All requests wait for one thread, which opens it: an unresponsive database must not take
        the threads of the server in which the receiver is mounted.

        :raises Unavailable: if the inbox cannot be opened now; a later call tries again.
        """
        if self._opened is None:
            if time.monotonic() - self._failed_at < RETRY_OPEN_SECONDS:
                raise Unavailable(UNAVAILABLE)
            await asyncio.wait([asyncio.wrap_future(self._begin_opening())], timeout=OPEN_SECONDS)
        opened = self._opened
        if opened is None:
            raise Unavailable(UNAVAILABLE)
        return opened

    def end_waits(self) -> None:
        """Respond to all waiting readers, because the server is about to stop."""
        if self._opened is not None:
            self._opened.notifier.close()

    def close(self) -> None:
        """Finish accepted work and close; a later use opens again."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    def _begin_opening(self) -> Future[None]:
        """Begin to open the runtime, unless a thread does it already."""
        with self._opening_lock:
            if self._opening is None or self._opening.done():
                opening = Future[None]()
                try:
                    start_daemon("pushmetrics-inbox-opener", partial(self._open, opening))
                except RuntimeError as error:  # there can be no more threads now
                    self._outage.error("The inbox cannot be opened: %s", error)
                    raise Unavailable(UNAVAILABLE) from error
                self._opening = opening
            return self._opening

    def _open(self, opening: Future[None]) -> None:
        try:
            with self._lock:
                self._opened = self._opened or self._build()
        except (SQLAlchemyError, PushMetricsConfigurationError) as error:
            self._failed_at = time.monotonic()
            self._outage.error("The inbox cannot be opened: %s", describe_driver_error(error))
        finally:
            opening.set_result(None)

    def _wait_and_build(self, wait_seconds: float) -> ReceiverRuntime:
        if parse_inbox_url(self._inbox_url).get_backend_name() != "sqlite":
            return wait_for_postgresql(self._build, wait_seconds)
        try:
            return self._build()
        except SQLAlchemyError as error:
            raise PushMetricsConfigurationError(
                f"the inbox cannot be opened: {describe_driver_error(error)}. Choose another with --inbox or"
                " PUSHMETRICS_RECEIVER_INBOX."
            ) from None

    def _build(self) -> ReceiverRuntime:
        return ReceiverRuntime(self._inbox_url, self.rejections, self._keep_days, self._listen_url)

    def _discard(self) -> None:
        if self._opened is not None:
            _left_behind.append(self._opened)
        self._opened = self._opening = None
        self._lock, self._opening_lock = threading.Lock(), threading.Lock()


def _reset_after_fork(opener: RuntimeOpener) -> None:
    reference = weakref.ref(opener)

    def discard() -> None:
        alive: Any = reference()
        if alive is not None:
            alive._discard()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=discard)
