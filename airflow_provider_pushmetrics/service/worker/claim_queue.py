"""A queue of claimed rows: a worker claims rows for its free places, and executes each in a thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic

from airflow_provider_pushmetrics.service.storage.database import Database, is_unavailable
from airflow_provider_pushmetrics.service.worker.claims import (
    ClaimT,
    Selection,
    claim_rows,
    list_claimed,
    release_rows,
)
from airflow_provider_pushmetrics.service.worker.retrying import WorkInterruptedError
from airflow_provider_pushmetrics.serving.background import BackgroundLoop
from airflow_provider_pushmetrics.serving.logs import ThrottledLog

BACKUP_POLL_SECONDS = 15.0
"""The maximum delay of work whose notification did not arrive."""

GATHER_SECONDS = 0.01
"""The pause between two claims. The places that become free in it share one claim."""

RETRY_SECONDS = 1.0

log = logging.getLogger(__name__)


class ClaimQueue(Generic[ClaimT]):
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
        selection: Selection[ClaimT],
        execute: Callable[[ClaimT], bool],
        abandon: Callable[[ClaimT], object] = lambda _: None,
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
        self._active: set[ClaimT] = set()
        self._is_idle = threading.Condition()
        self._was_interrupted = False
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
            has_ended = self._is_idle.wait_for(lambda: not self._active, timeout_seconds)
        return has_ended and not self._was_interrupted

    def is_active(self) -> bool:
        """Return whether any work is active."""
        with self._is_idle:
            return bool(self._active)

    def release_forgotten(self) -> None:
        """
        Release the rows that are claimed for this worker, and not active in it.

        The connection was lost during the commit of the claim, or the work failed.
        """
        for kind in self._selection.kinds:
            claimed = list_claimed(self._database, kind, self._worker_id)
            # The active ones are read last: a row is active before its claim is committed.
            with self._is_idle:
                active = {claim.id for claim in self._active if claim.kind is kind}
            forgotten = set(claimed) - active
            if forgotten:
                log.warning("releasing %s %s: claimed, and not active", kind.__tablename__, sorted(forgotten))
                release_rows(self._database, kind, forgotten, self._worker_id)
                self.wake()

    def claim(self) -> tuple[list[ClaimT], float | None]:
        """
        Claim rows for the free places.

        :return: The claims, and the seconds until more work is due, if known.
        """
        if not self._may_claim():
            return [], RETRY_SECONDS
        with self._is_idle:
            active = list(self._active)
        with self._database.reading() as session:
            shares, wait_seconds = self._selection.choose(session, active)
        if not shares:
            return [], wait_seconds
        with self._registering() as claims, self._database.recording() as session:
            for share in shares:
                ids = [claim.id for claim in active if claim.kind is share.kind]
                claims += claim_rows(session, share, self._worker_id, ids)
            with self._is_idle:
                self._active.update(claims)
        return claims, wait_seconds

    def perform(self, claim: ClaimT) -> None:
        """Do the work of a claim."""
        try:
            if not self._execute(claim):
                release_rows(self._database, claim.kind, [claim.id], self._worker_id)
        except WorkInterruptedError:
            self._was_interrupted = True
        except Exception as error:
            self._fail(claim, error)
        finally:
            self._remove(claim)
            self.wake()

    def _fail(self, claim: ClaimT, error: Exception) -> None:
        name = f"{claim.kind.__tablename__} {claim.id}"
        if is_unavailable(error):
            self._outages.warning("the database is away, and %s is done later: %s", name, error)
            return
        log.error("%s has failed", name, exc_info=error)
        try:
            self._abandon(claim)
        except Exception:
            log.exception("cannot end %s; it is executed again", name)

    @contextmanager
    def _registering(self) -> Iterator[list[ClaimT]]:
        """Register what is claimed in the block as active; not if its commit fails."""
        claims: list[ClaimT] = []
        try:
            yield claims
        except BaseException:
            self._remove(*claims)
            raise

    def _start_claimed(self) -> float:
        while True:
            claims, wait_seconds = self.claim()
            for claim in claims:
                self._start(claim)
            if not claims or self._loop.stopping.is_set():
                return BACKUP_POLL_SECONDS if wait_seconds is None else min(wait_seconds, BACKUP_POLL_SECONDS)

    def _start(self, claim: ClaimT) -> None:
        name = f"{self._name}-{claim.id}"
        try:
            threading.Thread(target=self.perform, args=(claim,), name=name, daemon=True).start()
        except RuntimeError as error:  # there can be no more threads
            self._remove(claim)  # released as forgotten
            self._outages.warning("%s cannot be started: %s", name, error)

    def _remove(self, *claims: ClaimT) -> None:
        with self._is_idle:
            self._active.difference_update(claims)
            self._is_idle.notify_all()
