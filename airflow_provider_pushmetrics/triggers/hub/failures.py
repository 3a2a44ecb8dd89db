"""What a hub does when a server does not answer, or refuses what it answered before."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from airflow_provider_pushmetrics.client.wait_budget import FailureBackoff
from airflow_provider_pushmetrics.compat import get_async_connection
from airflow_provider_pushmetrics.exceptions import PushMetricsApiError, PushMetricsUnavailableError
from airflow_provider_pushmetrics.hooks.masking import aread_settings
from airflow_provider_pushmetrics.hooks.settings import PushMetricsSettings
from airflow_provider_pushmetrics.storable import describe_error
from airflow_provider_pushmetrics.triggers.hub.wait_index import (
    ConnectionChangedError,
    PendingWait,
    WaitIndex,
)

log = logging.getLogger(__name__)


class HubFailures:
    """
    The failures of a hub's polls.

    :param settings: The connection.
    :param index: All waits of the hub.
    """

    def __init__(self, settings: PushMetricsSettings, index: WaitIndex) -> None:
        self.latest: PushMetricsApiError | None = None
        self._settings = settings
        self._index = index

    def clear(self) -> None:
        """Forget the latest failure: a poll has succeeded."""
        self.latest = None

    async def back_off(
        self, backoff: FailureBackoff, error: PushMetricsApiError, dependents: Iterable[PendingWait]
    ) -> None:
        """Pause after a failure; after too many in a row, fail the waits that depend on this server."""
        self.latest = error
        if not isinstance(error, PushMetricsUnavailableError) and await self._has_changed():
            fail_waits(self._index, ConnectionChangedError(str(error)))
        try:
            pause = backoff.compute_pause(error)
        except PushMetricsApiError:
            backoff.reset()
            fail_waits(dependents, error)
        else:
            await asyncio.sleep(pause.seconds)

    async def _has_changed(self) -> bool:
        """Return whether the connection has changed since the hub began; False if it cannot be read."""
        try:
            connection = await get_async_connection(self._settings.conn_id)
            return await aread_settings(connection) != self._settings
        except Exception as error:  # whatever Airflow raises: the refusal is tolerated for a while
            log.warning("The connection %r cannot be read: %s", self._settings.conn_id, describe_error(error))
            return False


def fail_waits(waits_to_fail: Iterable[PendingWait], error: Exception) -> None:
    """Fail each wait with a copy of the error."""
    for wait in waits_to_fail:
        wait.fail(error)
