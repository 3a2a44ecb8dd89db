"""The provider's metadata. Airflow reads it in every process, so it imports nothing of Airflow."""

from __future__ import annotations

from typing import Any

from airflow_provider_pushmetrics.receiver.settings import MountedOptions
from airflow_provider_pushmetrics.serving.options import DeclaredOption, list_options

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
                    "relabeling": {"host": "Host", "password": "API token"},
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


IN_AIRFLOW_CFG = (
    " In ``airflow.cfg`` write ``%`` as ``%%``: a single one stops every Airflow process when it starts."
    " Better keep it in the connection of ``receiver_connection`` or in the environment, where ``%`` stands"
    " for itself."
)
"""Airflow interpolates sensitive options when it is imported, and does not catch the error (3.4.0b2 too)."""


def _describe_option(option: DeclaredOption) -> dict[str, Any]:
    # The URL of an inbox may hold a password, with a ``%`` that must not stop Airflow.
    is_sensitive = option.is_secret and option.name != "inbox"
    return {
        "description": option.help + (IN_AIRFLOW_CFG if is_sensitive else ""),
        "version_added": "0.1.0",
        "type": "string",
        "example": None,
        "default": option.default or None,
        "sensitive": is_sensitive,
    }


CONFIG_OPTIONS = {option.name: _describe_option(option) for option in list_options(MountedOptions)}
"""The options of ``[pushmetrics]``."""
