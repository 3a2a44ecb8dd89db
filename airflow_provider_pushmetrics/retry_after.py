"""The response header ``Retry-After`` (RFC 9110, section 10.2.3)."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_READ_SECONDS = 999_999_999.0
"""The maximum, about thirty years; longer times are reduced to it."""


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """
    Parse the seconds that a server asks to wait, given as a number or as a date.

    Callers must limit the result: a server may ask for any time.

    :param now: The time to compare a date with; None for the current time.
    :return: From 0 to ``LONGEST_READ_SECONDS``; None if the header is missing or invalid.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= 9 else LONGEST_READ_SECONDS
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    return min(max(0.0, seconds), LONGEST_READ_SECONDS)
