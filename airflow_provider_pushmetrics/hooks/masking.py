"""Reading a connection, with every secret in it hidden from logs from then on."""

from __future__ import annotations

import itertools
from typing import Any
from urllib.parse import quote, quote_plus

from airflow_provider_pushmetrics.compat import amask_secret, mask_secret, run_in_thread
from airflow_provider_pushmetrics.hooks.settings import AirflowConnection, PushMetricsSettings


def read_settings(connection: Any) -> PushMetricsSettings:
    """Read a connection, and mask every secret in it, as it is and as it looks in a URL."""
    checked: AirflowConnection = connection
    settings = PushMetricsSettings.from_connection(checked, connection.extra_dejson)
    for form in list_secret_forms(settings):
        mask_secret(form)
    return settings


async def aread_settings(connection: Any) -> PushMetricsSettings:
    """
    Read a connection as :func:`read_settings` does, in an event loop.

    Reading the extra and masking talk to Airflow's supervisor: done synchronously, they block the loop, and
    in a task without greenback's portal, such as that of a shared stream, the supervisor is never told.
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
    """List each secret as it is and as it looks in a URL: Airflow masks only the forms that it knows."""
    forms = ((secret, quote(secret, safe=""), quote_plus(secret)) for secret in settings.list_secrets())
    return set(itertools.chain.from_iterable(forms))
