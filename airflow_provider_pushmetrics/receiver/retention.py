"""How long events are kept."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError

MAX_KEEP_DAYS = 36_500
"""A hundred years. Python's calendar begins with the year 1."""

MAX_EVENTS = 2**62
"""More than all ids that are ever assigned; SQLite's integers end soon after."""


@dataclass(frozen=True)
class Retention:
    """
    How long events are kept.

    :param days: The maximum age; None for no limit.
    :param events: The maximum number; None for no limit.
    """

    days: float | None = None
    events: int | None = None

    def __post_init__(self) -> None:
        is_right = (self.days is None or 0 < self.days <= MAX_KEEP_DAYS) and (
            self.events is None or 0 < self.events <= MAX_EVENTS
        )
        if not is_right:
            raise PushMetricsConfigurationError(
                f"events cannot be kept for {self.days!r} days and {self.events!r} at most: both must be more"
                f" than 0 and at most {MAX_KEEP_DAYS} days and {MAX_EVENTS} events."
                " Leave one out for no limit."
            )

    def is_limited(self) -> bool:
        """Return whether events are ever deleted."""
        return self.days is not None or self.events is not None
