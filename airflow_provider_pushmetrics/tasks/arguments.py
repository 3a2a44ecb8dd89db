"""Checks of arguments that operators and triggers share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError

TRUNCATIONS = ("warn", "fail")
"""The allowed values of ``on_truncated``."""


def check_seconds(name: str, value: object, *, allows_zero: bool = False, minimum: float = 0.0) -> None:
    """
    Check a duration.

    :param allows_zero: Whether it may be 0.
    :param minimum: The smallest allowed number of seconds.
    :raises PushMetricsParameterError: if it is not a positive, finite number of seconds or such a timedelta.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if allows_zero and is_number and seconds == 0:
        return
    if not is_number or not 0 < seconds < math.inf:  # type: ignore[operator]
        raise PushMetricsParameterError(f"{name} is {value!r}: it must be a positive number of seconds.")
    if seconds < minimum:  # type: ignore[operator]
        raise PushMetricsParameterError(f"{name} is {value!r}: it must be at least {minimum:g} seconds.")


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """
    Check a parameter that must be one of a few values.

    :raises PushMetricsParameterError: if it is not.
    """
    if value not in choices:
        raise PushMetricsParameterError(f"{name} is {value!r}: it must be one of {', '.join(choices)}.")


def check_choices(block: object, choices: Mapping[str, Sequence[str]]) -> None:
    """
    Check all attributes that must be one of a few values.

    :param choices: The values, by the attribute's name.
    :raises PushMetricsParameterError: for the first that is not.
    """
    for name, words in choices.items():
        check_choice(name, getattr(block, name), words)
