"""Reading a connection, and masking its secrets in logs from then on."""

from __future__ import annotations

import itertools
from typing import Any
from urllib.parse import quote, quote_plus

from airflow_provider_pushmetrics.compat import amask_secret, mask_secret, run_in_thread
from airflow_provider_pushmetrics.hooks.settings import AirflowConnection, PushMetricsSettings


def read_settings(connection: Any) -> PushMetricsSettings:
    """Read a connection, and mask every secret in it, raw and URL-encoded."""
    checked: AirflowConnection = connection
    settings = PushMetricsSettings.from_connection(checked, connection.extra_dejson)
    for form in list_secret_forms(settings):
        mask_secret(form)
    return settings


async def aread_settings(connection: Any) -> PushMetricsSettings:
    """
    Read a connection as :func:`read_settings` does, in an event loop.

    Reading the extra and masking call Airflow's supervisor: synchronously, they would block the loop, and
    in a task without greenback's portal, such as that of a shared stream, the call never reaches the
    supervisor.
    """
    checked: AirflowConnection = connection
    if hasattr(connection, "aextra_dejson"):
        extra = await connection.aextra_dejson()
    else:  # before Airflow 3.3.2
        extra = await run_in_thread(lambda: connection.extra_dejson)
    settings = PushMetricsSettings.from_connection(checked, extra)
    for form in list_secret_forms(settings):
        await amask_secret(form)
    return settings


def list_secret_forms(settings: PushMetricsSettings) -> set[str]:
    """List each secret raw and URL-encoded: Airflow masks only the forms that it knows."""
    forms = ((secret, quote(secret, safe=""), quote_plus(secret)) for secret in settings.list_secrets())
    return set(itertools.chain.from_iterable(forms))
