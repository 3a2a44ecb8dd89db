"""Checks of arguments that operators and triggers share."""

from __future__ import annotations

import math
from datetime import timedelta

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError


def check_seconds(name: str, value: object) -> None:
    """
    Check a duration.

    :raises PushMetricsParameterError: if it is no positive, finite number of seconds and no such timedelta.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not 0 < seconds < math.inf:  # type: ignore[operator]
        raise PushMetricsParameterError(f"{name} is {value!r}: it must be a positive number of seconds.")
