"""Where a command gets its connection: a connection of Airflow, or a URL and the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError

if TYPE_CHECKING:
    from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook

TOKEN_VARIABLE = "PUSHMETRICS_API_TOKEN"  # noqa: S105 (a name, not a secret)

UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        help="The URL of PushMetrics, instead of an Airflow connection; the API token is in the environment"
        f" variable {TOKEN_VARIABLE}.",
    ),
]


def open_hook(conn_id: str, url: str | None, environ: Mapping[str, str] = os.environ) -> PushMetricsHook:
    """
    Open the hook of a connection of Airflow, or of a URL.

    :raises PushMetricsConfigurationError: if there is no such connection, no token, or it is invalid.
    """
    from airflow.models.connection import Connection

    from airflow_provider_pushmetrics.hooks.masking import read_settings
    from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook

    if url is None:
        connection = _get_connection(conn_id)
    else:
        token = environ.get(TOKEN_VARIABLE)
        if not token:
            raise PushMetricsConfigurationError(
                f"--url needs an API token in the environment variable {TOKEN_VARIABLE}. A token is never an"
                " argument, because a list of processes shows arguments."
            )
        connection = Connection(conn_id=conn_id, conn_type="pushmetrics", host=url, password=token)
    hook = PushMetricsHook(conn_id)
    hook.settings = read_settings(connection)
    return hook


def _get_connection(conn_id: str) -> object:
    from airflow.models.connection import Connection

    from airflow_provider_pushmetrics.compat import AirflowException

    try:
        return Connection.get_connection_from_secrets(conn_id)
    except (AirflowException, ValueError) as error:
        raise PushMetricsConfigurationError(
            f"connection {conn_id!r} cannot be read ({type(error).__name__}): create it in this Airflow,"
            " once 'airflow db migrate' has made its tables, or name another one with --conn-id."
            " 'pushmetrics dag' takes --url instead."
        ) from None
