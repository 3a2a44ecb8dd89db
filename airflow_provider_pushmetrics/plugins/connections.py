"""Connections of Airflow, read in the API server, which has no supervisor to ask."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, ParamSpec, TypeVar

from cryptography.fernet import InvalidToken

from airflow_provider_pushmetrics.client.transports import MAX_RESPONSE_BYTES
from airflow_provider_pushmetrics.exceptions import MalformedConnectionError, PushMetricsConfigurationError
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient, open_async_transport
from airflow_provider_pushmetrics.hooks.masking import aread_settings
from airflow_provider_pushmetrics.serving.logs import ThrottledLog

log = logging.getLogger(__name__)

KEEP_SECONDS = 60.0
"""How long a connection counts that a secrets backend had and does not find any more."""

AIRFLOWS_OWN = "airflow.secrets."
"""The package of the backends that raise an error in an outage: the environment's and the database's."""

P = ParamSpec("P")
T = TypeVar("T")

_threads = ThreadPoolExecutor(4, "pushmetrics-connections")


async def run_in_own_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """
    Run a function in one of a few threads, whose number limits how many backends can hang at a time.

    A hanging secrets backend must not occupy the threads of the whole API server. A thread is free again
    when its function has ended, even if nobody waits for it any more.
    """
    return await asyncio.get_running_loop().run_in_executor(_threads, partial(function, *args, **kwargs))


@dataclass(frozen=True)
class _Found:
    """
    A connection, and where it is.

    :param place: The place of its backend among those that are asked.
    :param is_airflows: Whether that is one of Airflow's own.
    """

    connection: Any
    place: int
    is_airflows: bool


def find_connection(connection_id: str) -> Any | None:
    """
    Find a connection; None if no backend has it.

    ``Connection.get_connection_from_secrets`` does not distinguish a missing connection from a
    failing backend (Airflow 3.3.2 swallows its error). Here they must be distinguished: the first
    rejects a sender, the second must not.

    :raises MalformedConnectionError: if a backend has it, and it cannot be parsed or decrypted.
    :raises Exception: any error of a backend.
    """
    found = _ask_backends(connection_id)
    return found.connection if found else None


class KeptConnections:
    """
    Finds connections again and again; one that a secrets backend does not find any more counts for a while.

    Some backends say of some failures that there is no such connection: that of AWS Secrets Manager if the
    key of a secret cannot be used, that of Google if it has no permission.

    :param clock: Returns monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, _Found] = {}
        self._missing_since: dict[str, float] = {}
        self._missing = ThrottledLog(log)

    def find(self, connection_id: str) -> Any | None:
        """
        Find a connection; None if no backend has it, or has had it within the last minute.

        :raises MalformedConnectionError: if a backend has it, and it cannot be parsed or decrypted.
        :raises Exception: any error of a backend.
        """
        try:
            found = _ask_backends(connection_id)
        except MalformedConnectionError:
            self._accept(connection_id, None)
            raise
        last = self._last.get(connection_id)
        if last is None or last.is_airflows or (found is not None and found.place <= last.place):
            return self._accept(connection_id, found)
        now = self._clock()
        if now - self._missing_since.setdefault(connection_id, now) >= KEEP_SECONDS:
            return self._accept(connection_id, found)
        self._missing.warning(
            "The secrets backend does not find the connection %r any more: it was deleted, or the backend"
            " fails. What was last known of it counts for %g seconds.",
            connection_id,
            KEEP_SECONDS,
        )
        return last.connection

    def _accept(self, connection_id: str, found: _Found | None) -> Any | None:
        self._missing_since.pop(connection_id, None)
        if found is None:
            self._last.pop(connection_id, None)
            return None
        self._last[connection_id] = found
        return found.connection


def _ask_backends(connection_id: str) -> _Found | None:
    from airflow.configuration import ensure_secrets_loaded

    for place, backend in enumerate(ensure_secrets_loaded()):
        with _translating_malformed():
            found = backend.get_connection(connection_id)
            if found is not None:
                _ = found.password, found.extra_dejson  # decrypted and parsed on access
                return _Found(found, place, type(backend).__module__.startswith(AIRFLOWS_OWN))
    return None


@contextmanager
def _translating_malformed() -> Iterator[None]:
    """Distinguish a malformed connection from an outage. Its text may be secret, so it is left out."""
    try:
        yield
    except OSError:  # also the ValueError of requests for a response that is not JSON
        raise
    except (ValueError, InvalidToken) as error:
        raise MalformedConnectionError(
            f"it cannot be parsed or decrypted ({type(error).__name__}): save it again."
        ) from None


@asynccontextmanager
async def open_client(
    conn_id: str, *, max_body_bytes: int = MAX_RESPONSE_BYTES
) -> AsyncIterator[PushMetricsAsyncClient]:
    """
    Open a client of a connection.

    :param max_body_bytes: The maximum size of a response.
    :raises PushMetricsConfigurationError: if there is no such connection, or it is invalid.
    """
    connection = await run_in_own_thread(find_connection, conn_id)
    if connection is None:
        raise PushMetricsConfigurationError(
            f"connection {conn_id!r} does not exist: create it, with an API token as its password."
        )
    settings = await aread_settings(connection)
    async with open_async_transport(settings, max_body_bytes=max_body_bytes) as transport:
        yield PushMetricsAsyncClient(settings, transport)
