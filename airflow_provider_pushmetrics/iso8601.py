"""Dates, times and durations as ISO 8601, including those that Python's types cannot hold."""

from __future__ import annotations

import re
from typing import Final

SECONDS_PER_DAY: Final = 86_400
NANOS_PER_SECOND: Final = 1_000_000_000

DURATION = re.compile(
    r"P(?:(-?\d+)Y)?(?:(-?\d+)M)?(?:(-?\d+)D)?(?:T(?:(-?\d+)H)?(?:(-?\d+)M)?(?:(-?\d+)(?:\.(\d{1,9}))?S)?)?"
)


def write_date(days: int) -> str:
    """
    Write a date of the proleptic Gregorian calendar.

    :param days: Since 1970-01-01.
    :return: ISO 8601; a year outside 1 to 9999 has a sign. The year before 1 is 0, as ISO 8601 counts.
    """
    # https://howardhinnant.github.io/date_algorithms.html#civil_from_days
    shifted = days + 719_468
    era, day_of_era = divmod(shifted, 146_097)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    year = year_of_era + era * 400 + (month <= 2)
    written = f"{year:04d}" if 1 <= year <= 9999 else f"{'-' if year < 0 else '+'}{abs(year):04d}"
    return f"{written}-{month:02d}-{day:02d}"


def write_timestamp(nanos: int, *, offset: str = "") -> str:
    """
    Write a timestamp.

    :param nanos: Nanoseconds since 1970-01-01T00:00:00.
    :param offset: Appended, such as ``+00:00``.
    """
    days, rest = divmod(nanos, SECONDS_PER_DAY * NANOS_PER_SECOND)
    return f"{write_date(days)}T{write_time(rest)}{offset}"


def write_time(nanos: int) -> str:
    """
    Write a time of day, ``24:00:00`` included.

    :param nanos: Nanoseconds since midnight.
    :return: With no fraction of a second, six digits of it, or nine where six are not enough.
    """
    seconds, fraction = divmod(nanos, NANOS_PER_SECOND)
    hours, seconds = divmod(seconds, 3600)
    written = f"{hours:02d}:{seconds // 60:02d}:{seconds % 60:02d}"
    if fraction == 0:
        return written
    return f"{written}.{fraction // 1000:06d}" if fraction % 1000 == 0 else f"{written}.{fraction:09d}"


def write_duration(months: int, days: int, nanos: int) -> str:
    """
    Write an interval: months, days and nanoseconds are kept apart, since a month has no fixed length.

    :return: ISO 8601, each part with its own sign as PostgreSQL writes it: ``P1Y2M``, ``P-1DT2H``, ``PT0S``.
    """
    years, months = _split(months, 12)
    seconds, fraction = _split(nanos, NANOS_PER_SECOND)
    hours, seconds = _split(seconds, 3600)
    minutes, seconds = _split(seconds, 60)
    date_parts = [f"{count}{unit}" for count, unit in ((years, "Y"), (months, "M"), (days, "D")) if count]
    time_parts = [f"{count}{unit}" for count, unit in ((hours, "H"), (minutes, "M")) if count]
    if seconds or fraction:
        sign = "-" if seconds < 0 or fraction < 0 else ""
        digits = f".{abs(fraction):09d}".rstrip("0") if fraction else ""
        time_parts.append(f"{sign}{abs(seconds)}{digits}S")
    written = "P" + "".join(date_parts) + ("T" + "".join(time_parts) if time_parts else "")
    return written if written != "P" else "PT0S"


def parse_duration(text: str) -> tuple[int, int, int]:
    """
    Parse the output of :func:`write_duration`.

    :return: Months, days and nanoseconds.
    :raises ValueError: if the text has another format.
    """
    match = DURATION.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text!r} is not an ISO 8601 duration with whole years, months, days, hours and minutes"
        )
    years, months, days, hours, minutes, seconds = (int(part or 0) for part in match.groups()[:6])
    fraction = int((match[7] or "").ljust(9, "0"))
    if (match[6] or "").startswith("-"):
        fraction = -fraction
    whole = hours * 3600 + minutes * 60 + seconds
    return years * 12 + months, days, whole * NANOS_PER_SECOND + fraction


def _split(count: int, size: int) -> tuple[int, int]:
    """Divide towards zero, so that both parts have the same sign."""
    whole, rest = divmod(abs(count), size)
    return (whole, rest) if count >= 0 else (-whole, -rest)
