"""The page with the Python API: Sphinx reads the docstrings."""

from __future__ import annotations

PACKAGE = "airflow_provider_pushmetrics"

CLASSES = {
    "Operators": {
        "operators.pushmetrics": ["PushMetricsTriggerReportOperator"],
        "transfers.pushmetrics": ["PushMetricsToObjectStorageOperator"],
    },
    "Sensors": {"sensors.pushmetrics": ["PushMetricsRunSensor"]},
    "Triggers": {
        "triggers.pushmetrics": [
            "PushMetricsRunTrigger",
            "PushMetricsSensorTrigger",
            "PushMetricsEventTrigger",
        ]
    },
    "Notifiers": {"notifications.pushmetrics": ["PushMetricsNotifier"]},
    "Retry policy": {"tasks.retry_policy": ["PushMetricsRetryPolicy"]},
    "Links": {"links.pushmetrics": ["PushMetricsRunLink", "PushMetricsReportLink", "PushMetricsEventLink"]},
    "Message queue": {"queues.pushmetrics": ["PushMetricsMessageQueueProvider"]},
}
"""Classes that Airflow calls: their parameters are what users need."""

MEMBERS = {
    "Hook": {"hooks.pushmetrics": ["PushMetricsHook"], "hooks.result_reader": ["ResultReader"]},
    "Client for triggers and async callbacks": {"hooks.async_client": ["PushMetricsAsyncClient"]},
    "Event filters": {"event_matching": ["EventFilter"]},
    "Testing": {"testing.kit": ["PushMetricsKit", "ExampleReport"]},
}
"""Classes whose methods users call."""

FUNCTIONS = {
    "Assets": {"assets.pushmetrics": ["build_run_asset"], "assets.uris": ["create_asset"]},
    "Tracing": {"tracing": ["link_asset_events"]},
    "Events": {"events": ["parse_event"]},
}

ABOUT = """# Python API

What Dags and their tests import. Errors are on [a page of their own](errors.md).

"""


def build_python_api() -> str:
    """Build the page."""
    parts = [ABOUT]
    for groups, directive, options in (
        (CLASSES, "autoclass", ()),
        (MEMBERS, "autoclass", (":members:",)),
        (FUNCTIONS, "autofunction", ()),
    ):
        for title, modules in groups.items():
            parts.append(f"## {title}\n\n")
            parts += [
                write_directive(directive, f"{PACKAGE}.{module}.{name}", *options)
                for module, names in modules.items()
                for name in names
            ]
    return "".join(parts)


def write_directive(name: str, argument: str, *options: str) -> str:
    """Write a directive of reStructuredText."""
    lines = [f".. {name}:: {argument}", *(f"   {option}" for option in options)]
    return "```{eval-rst}\n" + "\n".join(lines) + "\n```\n\n"
