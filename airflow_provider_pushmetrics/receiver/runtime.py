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
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, ParamSpec, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.receiver.errors import Unavailable
from airflow_provider_pushmetrics.receiver.feed.long_poll import Feed
from airflow_provider_pushmetrics.receiver.feed.waiters import Notifier
from airflow_provider_pushmetrics.receiver.feed.watcher import InboxWatch
from airflow_provider_pushmetrics.receiver.inbox.cleanup import InboxCleanup
from airflow_provider_pushmetrics.receiver.inbox.rejections import Rejection, RejectionLog
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from airflow_provider_pushmetrics.receiver.inbox.writer import InboxWriter
from airflow_provider_pushmetrics.serving.logs import ThrottledLog

log = logging.getLogger(__name__)

READER_THREADS = 4
RETRY_OPEN_SECONDS = 2.0
"""How long to wait after a database could not be opened, however many requests arrive."""

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
    """

    def __init__(
        self,
        inbox_url: str,
        rejections: RejectionLog | None = None,
        keep_days: float | None = None,
        listen_url: str | None = None,
    ) -> None:
        self.inbox = Inbox(inbox_url, listen_url=listen_url)
        self.notifier = Notifier()
        self.watch = InboxWatch(self.inbox, self.notifier)
        self.writer = InboxWriter(self.inbox, self.watch.announce_own)
        self._cleanup = InboxCleanup(self.inbox, rejections or RejectionLog(), keep_days)
        self._threads = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="pushmetrics-inbox-reader")
        self.feed = Feed(self.inbox, self.notifier, self.watch, self.run_blocking)

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
        self._failed_at = -RETRY_OPEN_SECONDS
        self._outage = ThrottledLog(log)
        _reset_after_fork(self)

    async def get(self) -> ReceiverRuntime:
        """
        Get this process's runtime.

        :raises Unavailable: if the inbox cannot be opened now; a later call tries again.
        """
        if self._opened is not None:
            return self._opened
        return await asyncio.to_thread(self.open)

    def open(self) -> ReceiverRuntime:
        """
        Open this process's runtime, unless it is open; blocks.

        :raises Unavailable: if the inbox cannot be opened now.
        """
        with self._lock:
            opened = self._opened or self._open()
            self._opened = opened
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

    def _open(self) -> ReceiverRuntime:
        if time.monotonic() - self._failed_at < RETRY_OPEN_SECONDS:
            raise Unavailable(UNAVAILABLE)
        try:
            return ReceiverRuntime(self._inbox_url, self.rejections, self._keep_days, self._listen_url)
        except (SQLAlchemyError, PushMetricsConfigurationError) as error:
            self._failed_at = time.monotonic()
            self._outage.error("The inbox cannot be opened: %s", getattr(error, "orig", None) or error)
            raise Unavailable(UNAVAILABLE) from None

    def _discard(self) -> None:
        if self._opened is not None:
            _left_behind.append(self._opened)
        self._opened = None
        self._lock = threading.Lock()


def _reset_after_fork(opener: RuntimeOpener) -> None:
    reference = weakref.ref(opener)

    def discard() -> None:
        alive: Any = reference()
        if alive is not None:
            alive._discard()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=discard)
