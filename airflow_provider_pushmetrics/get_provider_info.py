"""The provider's metadata. Airflow reads it in every process, so it imports nothing of Airflow."""

from __future__ import annotations

from typing import Any

INTEGRATION = "PushMetrics"
_PACKAGE = "airflow_provider_pushmetrics"

LINKS = ("PushMetricsRunLink", "PushMetricsReportLink", "PushMetricsEventLink")


def get_provider_info() -> dict[str, Any]:
    """Get the metadata that Airflow discovers by the entry point ``apache_airflow_provider``."""
    return {
        "package-name": "airflow-provider-pushmetrics",
        "name": "PushMetrics",
        "description": "Run reports and wait for them: `PushMetrics <https://pushmetrics.io/>`__",
        "integrations": [
            {
                "integration-name": INTEGRATION,
                "external-doc-url": "https://pushmetrics.io/",
                "tags": ["service"],
            }
        ],
        **{kind: [_list_module(kind)] for kind in ("hooks", "operators", "sensors", "triggers")},
        "transfers": [
            {
                "source-integration-name": INTEGRATION,
                "target-integration-name": INTEGRATION,
                "python-module": f"{_PACKAGE}.transfers.pushmetrics",
            }
        ],
        "connection-types": [
            {
                "connection-type": "pushmetrics",
                "hook-class-name": f"{_PACKAGE}.hooks.pushmetrics.PushMetricsHook",
                "hook-name": "PushMetrics",
                "ui-field-behaviour": {
                    "hidden-fields": ["login", "schema", "port"],
                    "relabeling": {"password": "API token"},
                    "placeholders": {"host": "https://pushmetrics.io", "password": "pmpat_…"},
                },
                "conn-fields": CONNECTION_FIELDS,
            }
        ],
        "asset-uris": [ASSET_URIS],
        "dataset-uris": [ASSET_URIS],  # for Airflow 2
        "queues": [f"{_PACKAGE}.queues.pushmetrics.PushMetricsMessageQueueProvider"],
        "notifications": [f"{_PACKAGE}.notifications.pushmetrics.PushMetricsNotifier"],
        "extra-links": [f"{_PACKAGE}.links.pushmetrics.{name}" for name in LINKS],
        "config": {"pushmetrics": {"description": CONFIG_DESCRIPTION, "options": CONFIG_OPTIONS}},
    }


def _list_module(kind: str) -> dict[str, Any]:
    return {"integration-name": INTEGRATION, "python-modules": [f"{_PACKAGE}.{kind}.pushmetrics"]}


ASSET_URIS: dict[str, Any] = {
    "schemes": ["pushmetrics"],
    "handler": f"{_PACKAGE}.assets.uris.sanitize_uri",
    "factory": f"{_PACKAGE}.assets.uris.create_asset",
    "to_openlineage_converter": f"{_PACKAGE}.assets.uris.convert_asset_to_openlineage",
}
"""How Airflow handles a URI such as ``pushmetrics://pushmetrics.io/reports/1``."""

CONNECTION_FIELDS: dict[str, Any] = {
    "trigger_tokens": {
        "label": "Trigger tokens",
        "description": 'The token of each report\'s webhook trigger, by report id: {"1": "…"}',
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "receiver_url": {
        "label": "Receiver URL",
        "description": "Base URL of the webhook receiver, such as https://airflow.example.com/pushmetrics",
        "schema": {"type": ["string", "null"], "format": "url"},
    },
    "receiver_token": {
        "label": "Receiver token",
        "description": "The receiver's reader token",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "trusted_origins": {
        "label": "Trusted origins",
        "description": "Further origins that serve results and may see the API token, separated by commas",
        "schema": {"type": ["string", "null"]},
    },
}
"""The extras of a PushMetrics connection that have a field in Airflow's form."""

CONFIG_DESCRIPTION = (
    "The webhook receiver that the plugin serves in Airflow's API server, under ``/pushmetrics``."
)


def _describe_option(
    description: str, *, default: str | None = None, sensitive: bool = False
) -> dict[str, Any]:
    return {
        "description": description,
        "version_added": "0.1.0",
        "type": "string",
        "example": None,
        "default": default,
        "sensitive": sensitive,
    }


IN_AIRFLOW_CFG = (
    " In ``airflow.cfg`` write ``%`` as ``%%``: a single one stops every Airflow process when it starts."
    " Better keep it in the connection of ``receiver_connection`` or in the environment, where ``%`` stands"
    " for itself."
)
"""Airflow interpolates sensitive options when it is imported, and does not catch the error (3.4.0b2 too)."""

CONFIG_OPTIONS: dict[str, Any] = {
    "receiver_connection": _describe_option(
        "The id of the connection that configures the receiver. Its password is the reader token; its extra"
        " may hold every other option by its name, and ``networks``, ``rate_per_minute`` and"
        " ``lenient_content_type`` of the source. It counts before the options here. Its credentials are read"
        " again within a minute."
    ),
    "inbox": _describe_option(
        "Where arriving events are kept: a SQLAlchemy URL of SQLite or PostgreSQL.",
        default="sqlite:///{AIRFLOW_HOME}/pushmetrics-inbox.db",
    ),
    "source": _describe_option(
        "The name of the source: its webhooks go to ``/pushmetrics/webhooks/<source>``.",
        default="pushmetrics",
    ),
    "token": _describe_option(
        "The token of a sender that does not sign: in the URL as ``?token=``, as Bearer or as Basic"
        " password." + IN_AIRFLOW_CFG,
        sensitive=True,
    ),
    "signing_secrets": _describe_option(
        "The Standard Webhooks secrets (``whsec_…``) of a sender that signs, separated by commas; several"
        " during a rotation." + IN_AIRFLOW_CFG,
        sensitive=True,
    ),
    "reader_token": _describe_option(
        "The Bearer token of those who read events: what the connection's extra ``receiver_token`` holds."
        + IN_AIRFLOW_CFG,
        sensitive=True,
    ),
    "sources": _describe_option(
        "Further senders: a JSON list of objects with ``name``, ``token``, ``signing_secrets``, ``networks``,"
        " ``rate_per_minute`` and ``lenient_content_type``, or the name of a file that holds one."
        + IN_AIRFLOW_CFG,
        sensitive=True,
    ),
    "source_connections": _describe_option(
        "Further senders that are connections: their ids, separated by commas. The password is the token."
        " They are read again within a minute."
    ),
    "lenient_content_type": _describe_option(
        "``true`` to take JSON of the source also as ``text/plain``, as a list of types and with a UTF-8 BOM."
    ),
    "keep_days": _describe_option("Delete events that are older than so many days; by default none."),
    "keep_events": _describe_option("Delete the oldest events beyond so many; by default none."),
}
"""The options of ``[pushmetrics]``, each declared here and nowhere else."""
