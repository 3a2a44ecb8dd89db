"""What a sensor waits for, and why it did not find it, in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError

NAMES = {"report_id": "report", "query_id": "query", "run_id": "run", "workspace_id": "workspace"}
"""The words for the arguments that narrow an event down."""


def describe_wanted(sensor: Any) -> str:
    """Describe the event that a sensor waits for, with the ids that narrow it down."""
    values = {word: getattr(sensor, name) for name, word in NAMES.items()}
    found = ", ".join(f"{word} {value!r}" for word, value in values.items() if value is not None)
    return f"{sensor.event} of {found or 'any report'}"


def describe_cause(cause: object) -> str:
    """Describe why the last poll failed, to follow a sentence; nothing if it did not."""
    return "" if cause is None else f", as far as known: the last poll failed. {cause}"


def refuse_empty_templates(sensor: Any, names: Iterable[str]) -> None:
    """
    Refuse templates that rendered to nothing, because None stands for any.

    :param names: The arguments that were set.
    :raises PushMetricsParameterError: for the first one.
    """
    for name in names:
        value = getattr(sensor, name)
        if str(value).strip() in ("", "None"):
            raise PushMetricsParameterError(
                f"{name} is {value!r}, although it was set: its template rendered to nothing. Leave it"
                " out to match any."
            )
