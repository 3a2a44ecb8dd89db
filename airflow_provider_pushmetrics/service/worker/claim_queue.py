"""A queue of claimed rows: a worker claims rows for its free places, and executes each in a thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial

from sqlalchemy import and_

from airflow_provider_pushmetrics.service.storage.database import Database, is_unavailable
from airflow_provider_pushmetrics.service.worker.claims import Claim, claim_rows, release
from airflow_provider_pushmetrics.service.worker.retry_loop import WorkInterruptedError
from airflow_provider_pushmetrics.service.worker.selection import Selection
from airflow_provider_pushmetrics.serving.background import BackgroundLoop, ReusedThreads
from airflow_provider_pushmetrics.serving.logs import ThrottledLog, logging_about

BACKUP_POLL_SECONDS = 15.0
"""The maximum delay of work whose notification did not arrive."""

GATHER_SECONDS = 0.01
"""The pause between two claims. The places that become free in it share one claim."""

RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)


class ClaimQueue:
    """
    Claims rows for this worker, and executes their work.

    :param name: The name of its threads.
    :param worker_id: The name of this worker.
    :param selection: Decides what is claimed.
    :param execute: Does the work of a row, and returns whether it recorded the end of the claim. If not, the
        claim is released. It raises :class:`WorkInterruptedError` if this process stops first.
    :param abandon: Ends a row whose work raised an unexpected error. By default the work is repeated.
    :param may_claim: Returns whether the heartbeats of this worker are current. If not, it claims nothing.
    """

    def __init__(
        self,
        name: str,
        database: Database,
        worker_id: str,
        selection: Selection,
        execute: Callable[[Claim], bool],
        abandon: Callable[[Claim], object] = lambda _: None,
        *,
        may_claim: Callable[[], bool] = lambda: True,
    ) -> None:
        self._name = name
        self._database = database
        self._worker_id = worker_id
        self._selection = selection
        self._execute = execute
        self._abandon = abandon
        self._may_claim = may_claim
        self._active: set[Claim] = set()
        self._is_idle = threading.Condition()
        self._has_more = False
        self._threads = ReusedThreads(name)
        self._outages = ThrottledLog(log)
        self._loop = BackgroundLoop(
            f"claim-{name}",
            self._start_claimed,
            starts_at_once=True,
            pause_seconds=GATHER_SECONDS,
            retry_seconds=RETRY_SECONDS,
        )

    def start(self) -> None:
        """Start to claim."""
        self._loop.start()

    def wake(self) -> None:
        """Look for work now."""
        self._loop.wake()

    def stop_claiming(self) -> bool:
        """
        Stop claiming. Active work continues.

        :return: Whether the thread that claims has ended.
        """
        return self._loop.stop()

    def wait_until_idle(self, timeout_seconds: float) -> bool:
        """Wait for active work, and return whether all of it has ended."""
        with self._is_idle:
            return self._is_idle.wait_for(lambda: not self._active, timeout_seconds)

    def list_active(self) -> list[Claim]:
        """List the active claims. A claim is active before its commit."""
        with self._is_idle:
            return list(self._active)

    def claim(self) -> tuple[list[Claim], float | None]:
        """
        Claim rows for the free places.

        :return: The claims, and the seconds until more work is due, if known.
        """
        if not self._may_claim():
            return [], RETRY_SECONDS
        self._has_more = True  # until it is known: a place may become free meanwhile
        active = self.list_active()
        with self._database.reading() as session:
            choice = self._selection.choose(session, active)
        claims: list[Claim] = []
        if choice.groups:
            try:
                with self._database.recording() as session:
                    for group, count in choice.groups.items():
                        found = claim_rows(session, group, count, self._worker_id, choice.now)
                        # Others may have released an active row while this worker was frozen.
                        claims += [claim for claim in found if claim not in active]
                    self._change_active(claims, [])
            except BaseException:
                self._change_active([], claims)
                raise
        self._has_more = choice.has_more
        # Some of the chosen rows are due later, or others claim them: the next choice does not count them.
        if 0 < len(claims) < choice.groups.total():
            return claims, 0.0
        return claims, choice.wait_seconds

    def perform(self, claim: Claim) -> None:
        """Do the work of a claim."""
        with logging_about(**{f"{claim.kind.__tablename__}_id": claim.id}):
            self._perform(claim)

    def _perform(self, claim: Claim) -> None:
        is_recorded = False
        try:
            is_recorded = self._execute(claim)
            if not is_recorded:
                self._release(claim)
        except WorkInterruptedError:
            log.info("%s was interrupted; another worker or the next start continues it", claim)
        except Exception as error:
            self._fail(claim, error)
        finally:
            self._change_active([], [claim])
            if self._has_more or not is_recorded:
                self.wake()

    def _release(self, claim: Claim) -> None:
        with self._database.recording() as session:
            mine = and_(claim.kind.id == claim.id, claim.kind.worker_id == self._worker_id)
            release(session, lambda _: mine, kinds=(claim.kind,))

    def _fail(self, claim: Claim, error: Exception) -> None:
        if is_unavailable(error):
            self._outages.warning("the database is away, and %s is done later: %s", claim, error)
            return
        log.error("%s has failed", claim, exc_info=error)
        try:
            self._abandon(claim)
        except Exception:
            log.exception("cannot end %s; it is executed again", claim)

    def _start_claimed(self) -> float:
        claims, wait_seconds = self.claim()
        for claim in claims:
            self._start(claim)
        return BACKUP_POLL_SECONDS if wait_seconds is None else min(wait_seconds, BACKUP_POLL_SECONDS)

    def _start(self, claim: Claim) -> None:
        try:
            self._threads.start(partial(self.perform, claim))
        except RuntimeError as error:  # there can be no more threads
            self._change_active([], [claim])  # it is released at the next heartbeat
            self._outages.warning("%s cannot be started: %s", claim, error)

    def _change_active(self, begun: list[Claim], ended: list[Claim]) -> None:
        with self._is_idle:
            self._active.update(begun)
            self._active.difference_update(ended)
            self._is_idle.notify_all()
