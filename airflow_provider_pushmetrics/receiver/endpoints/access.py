"""
The current credentials of senders and readers, which can change while the receiver runs.

Airflow keeps connections in its database or in a secrets backend, which may be slow or unavailable. So
they are read in a separate thread, and a request waits for that only if the known ones are too old.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

from airflow_provider_pushmetrics.receiver.endpoints.authentication import (
    ReaderAuthenticator,
    SenderAuthenticator,
)
from airflow_provider_pushmetrics.receiver.endpoints.limits import NetworkList, build_rate_limit
from airflow_provider_pushmetrics.receiver.errors import Unavailable
from airflow_provider_pushmetrics.receiver.settings import SourceSettings
from airflow_provider_pushmetrics.serving.group_commit import start_daemon
from airflow_provider_pushmetrics.serving.http.rate_limit import RateLimit
from airflow_provider_pushmetrics.serving.logs import ThrottledLog, describe_fault

log = logging.getLogger(__name__)

UNREADABLE = "The credentials cannot be read now. Try again later."


@dataclass(frozen=True)
class Access:
    """
    The credentials.

    :param sources: The sources, which may send webhooks.
    :param reader_token: The Bearer token of readers; if empty, nobody may read.
    """

    sources: tuple[SourceSettings, ...]
    reader_token: str = field(repr=False)


@dataclass(frozen=True)
class Ages:
    """
    The age limits of credentials, in seconds since they were read.

    :param refresh: After this a request lets them be read again in the background.
    :param wait: After this a request waits for that: a replaced credential is rejected within a minute.
    :param background: How often they are read if there is no request.
    :param discard: How long the last known ones are used while they cannot be read, because an outage of the
        secrets backend must not lose webhooks; then every request is rejected.
    :param patience: How long after the beginning of a reading a request waits for it.
    :param give_up: After this a reading counts as failed and another may begin: a connection that hangs may
        never end.
    """

    refresh: float = 20.0
    wait: float = 50.0
    background: float = 50.0
    discard: float = 3600.0
    patience: float = 5.0
    give_up: float = 60.0


AGES = Ages()
MAX_GIVEN_UP = 3
"""How many readings may hang; each keeps a thread."""


class Authenticators:
    """
    The authenticators of requests, built from one reading of the credentials.

    :param access: The credentials.
    :param previous: The previous authenticators, whose rate limits continue.
    """

    def __init__(self, access: Access, previous: Authenticators | None = None) -> None:
        self.access = access
        self.senders = SenderAuthenticator(access.sources)
        self.reader = ReaderAuthenticator(access.reader_token)
        self.sources = {source.name: source for source in access.sources}
        self.networks = {source.name: NetworkList(source) for source in access.sources}
        self.rates = {source.name: _build_rate(source, previous) for source in access.sources}

    def list_secrets(self) -> list[str]:
        """List every secret, for redaction."""
        tokens = [source.token for source in self.access.sources if source.token]
        signing = [secret for source in self.access.sources for secret in source.signing_secrets]
        return [self.access.reader_token, *tokens, *signing]


class CurrentAccess:
    """
    Returns the authenticators for a request, with credentials that are at most a minute old.

    :param access: The credentials when the receiver is built.
    :param reload: Reads the credentials again; None if they never change. May block, and may raise any error.
    :param clock: Returns monotonic seconds.
    """

    def __init__(
        self,
        access: Access,
        reload: Callable[[], Access] | None = None,
        *,
        ages: Ages = AGES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.gates = Authenticators(access)
        self._reload = reload
        self._ages = ages
        self._clock = clock
        self._read_at = self._tried_at = clock()
        self._unread_since: float | None = None
        self._under_way: Future[None] | None = None
        self._given_up = 0
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._outage = ThrottledLog(log)
        if reload is not None:
            self._start_background()

    async def get(self) -> Authenticators:
        """
        Get the authenticators.

        :raises Unavailable: if the credentials could not be read for too long.
        """
        if self._reload is None or self._get_age() < self._ages.refresh:
            return self.gates
        reading = self._begin()
        if reading is not None and self._get_age() >= self._ages.wait:
            left = self._tried_at + self._ages.patience - self._clock()
            await asyncio.wait({asyncio.wrap_future(reading)}, timeout=max(0.0, left))
        if self._get_outage() >= self._ages.discard:
            raise Unavailable(UNREADABLE)
        return self.gates

    def _get_age(self) -> float:
        return self._clock() - self._read_at

    def _get_outage(self) -> float:
        """Return how long ago the first reading began since which none has ended well."""
        since = self._unread_since
        return 0.0 if since is None else self._clock() - since

    def _start_background(self) -> None:
        """Read also without requests: the first one after a rest finds credentials that are still valid."""
        target = partial(_keep_reading, weakref.ref(self), self._ages.background)
        try:
            start_daemon("pushmetrics-credentials-background", target)
        except RuntimeError as error:  # there can be no more threads now
            log.warning("The credentials of the receiver are read at requests only: %s", error)

    def _begin(self) -> Future[None] | None:
        """Begin to read, unless a read is running or was tried a moment ago; return the running read."""
        with self._lock:
            if self._process != os.getpid():  # a fork has no threads of its parent
                self._process, self._under_way, self._given_up = os.getpid(), None, 0
                self._start_background()
            self._give_up()
            if self._under_way is None and self._clock() - self._tried_at >= self._ages.refresh:
                self._tried_at = self._clock()
                if self._unread_since is None:
                    self._unread_since = self._tried_at
                reading = Future[None]()
                try:
                    start_daemon("pushmetrics-credentials", partial(self._read, reading))
                except RuntimeError as error:  # there can be no more threads now
                    self._report_outage(str(error))
                    return None
                self._under_way = reading
            return self._under_way

    def _give_up(self) -> None:
        """Give up the running read if it hangs; its thread goes on."""
        if self._under_way is None or self._clock() - self._tried_at < self._ages.give_up:
            return
        self._report_outage(f"reading them has not ended after {self._ages.give_up:g} s")
        if self._given_up < MAX_GIVEN_UP:
            self._under_way, self._given_up = None, self._given_up + 1

    def _read(self, reading: Future[None]) -> None:
        began = self._clock()
        try:
            assert self._reload is not None
            access = self._reload()
            self._accept(access, began)
        except Exception as error:  # any error of a secrets backend: the next attempt may succeed
            self._report_outage(describe_fault(error))
        else:
            self._outage.end("The credentials of the receiver can be read again.")
        finally:
            with self._lock:
                if self._under_way is reading:
                    self._under_way = None
                elif self._given_up:
                    self._given_up -= 1
            reading.set_result(None)

    def _accept(self, access: Access, began: float) -> None:
        """Accept what was read, unless a reading that began later has ended before."""
        gates = self.gates if access == self.gates.access else Authenticators(access, self.gates)
        with self._lock:
            if began < self._read_at:
                return
            is_new, self.gates, self._read_at = gates is not self.gates, gates, began
            self._unread_since = None
        if is_new:
            log.info("The credentials have changed; sources: %s", ", ".join(gates.sources) or "none")

    def _report_outage(self, reason: str) -> None:
        self._outage.error(
            "The credentials of the receiver cannot be read: %s. Those last known are valid for %g minutes.",
            reason,
            self._ages.discard / 60,
        )


def _keep_reading(reference: weakref.ref[CurrentAccess], seconds: float) -> None:
    """Read again and again, until nobody uses the credentials any more."""
    while True:
        time.sleep(seconds)
        current = reference()
        if current is None:
            return
        current._begin()
        del current


def _build_rate(source: SourceSettings, previous: Authenticators | None) -> RateLimit:
    before = previous.sources.get(source.name) if previous else None
    if previous and before and before.rate_per_minute == source.rate_per_minute:
        return previous.rates[source.name]
    return build_rate_limit(source)
