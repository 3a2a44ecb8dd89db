"""Connections of Airflow, read in the API server, which has no supervisor to ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, ParamSpec, TypeVar

from cryptography.fernet import InvalidToken

from airflow_provider_pushmetrics.client.transports import MAX_RESPONSE_BYTES
from airflow_provider_pushmetrics.exceptions import MalformedConnectionError, PushMetricsConfigurationError
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient, open_async_transport
from airflow_provider_pushmetrics.hooks.masking import aread_settings

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


def find_connection(connection_id: str) -> Any | None:
    """
    Find a connection; None if no backend has it.

    ``Connection.get_connection_from_secrets`` does not distinguish a missing connection from a
    failing backend (Airflow 3.3.2 swallows its error). Here they must be distinguished: the first
    rejects a sender, the second must not.

    :raises MalformedConnectionError: if a backend has it, and it cannot be parsed or decrypted.
    :raises Exception: any error of a backend.
    """
    from airflow.configuration import ensure_secrets_loaded

    for backend in ensure_secrets_loaded():
        with _translating_malformed():
            found = backend.get_connection(connection_id)
            if found is not None:
                _ = found.password, found.extra_dejson  # decrypted and parsed on access
                return found
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
