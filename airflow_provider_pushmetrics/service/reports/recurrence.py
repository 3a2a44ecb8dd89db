"""
The times of a schedule.

All of it is arithmetic on local times in the schedule's time zone; nothing here reads the clock.
A local time that does not exist when clocks are put forward is shifted, so that 02:30 becomes 03:30; a local
time that occurs twice when clocks are put back counts once, at first (RFC 5545, section 3.3.5). Cron
follows its own rule: a time in the skipped hour is due at its end, and what is due every
hour or every few minutes continues through both.
"""

from __future__ import annotations

import calendar
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

# CronSim reads expressions as Debian's cron does, across changes of the clock too, and does nothing else: no
# dependencies, typed, in daily use at Healthchecks.io by its author. croniter, the other candidate, adds
# fields and letters that no cron knows (random and hashed times), which we would have to find and refuse.
from cronsim import CronSim, CronSimError

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError

LAST_YEAR = 9000
"""The last year: Python's calendar ends soon after."""

MAX_CRON_LENGTH = 255
CRON_FIELDS = 5


class Recurrence(Enum):
    """The recurrence of a schedule."""

    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    ANNUALLY = "annually"
    CRON = "cron"


MONTHS = {Recurrence.MONTHLY: 1, Recurrence.QUARTERLY: 3, Recurrence.ANNUALLY: 12}
DAYS = {Recurrence.DAILY: 1, Recurrence.WEEKLY: 7}


@dataclass(frozen=True)
class Schedule:
    """
    The times of a schedule: from its first start to its end, if any.

    :param first_start: The first time, with its zone. It fixes the time of day, and of longer recurrences the
        day; a month that lacks the day has its run on its last. A cron expression is due from then on.
    :param time_zone: The name of the zone in which days begin, such as ``Europe/Berlin``.
    :param recurrence: How often.
    :param cron: The expression, five fields, with :attr:`Recurrence.CRON`.
    :param ends_on: The last day, in the time zone, on which it is due.
    :param max_runs: After how many runs it ends.
    """

    first_start: datetime
    time_zone: str
    recurrence: Recurrence
    cron: str | None = None
    ends_on: date | None = None
    max_runs: int | None = None


def check_schedule(schedule: Schedule, now: datetime | None = None) -> None:
    """
    Check a schedule; with the current time, also that it begins in the future, as a new one must.

    :raises PushMetricsParameterError: if it is invalid.
    """
    first = schedule.first_start
    zone = find_zone(schedule.time_zone)
    if first.tzinfo is None or first.year >= LAST_YEAR:
        raise PushMetricsParameterError(
            f"the first start {first.isoformat()!r} is invalid: write it with its offset from UTC, and"
            f" before the year {LAST_YEAR}, such as '2030-01-31T06:00:00+01:00'."
        )
    if now is not None and first <= now:
        raise PushMetricsParameterError(
            f"the first start {first.isoformat()!r} is not in the future: choose a later one."
        )
    if schedule.max_runs is not None and (schedule.max_runs < 1 or schedule.ends_on is not None):
        raise PushMetricsParameterError(
            f"a schedule cannot end after {schedule.max_runs} runs"
            f"{' and on a date' if schedule.ends_on else ''}: set a number from 1, or a date, or neither."
        )
    if schedule.ends_on is not None and schedule.ends_on < first.astimezone(zone).date():
        raise PushMetricsParameterError(
            f"the schedule would end on {schedule.ends_on.isoformat()!r}, before its first start: choose a"
            " later date."
        )
    _check_cron(schedule)


def compute_next(schedule: Schedule, after: datetime, runs_so_far: int) -> datetime | None:
    """
    Compute the next time of a schedule.

    Times that were missed during a pause or an outage are skipped.

    :param after: The result is later than this time with a zone.
    :param runs_so_far: How many runs it has had.
    :return: The time in UTC; None if it has ended.
    """
    if schedule.max_runs is not None and runs_so_far >= schedule.max_runs:
        return None
    zone = find_zone(schedule.time_zone)
    moment = _find_next(schedule, after.astimezone(UTC), zone)
    if moment is None or moment.year > LAST_YEAR or has_ended(schedule, moment, runs_so_far):
        return None
    return moment


def has_ended(schedule: Schedule, moment: datetime, runs_so_far: int) -> bool:
    """Return whether a schedule has no run at a moment because it ended before."""
    if schedule.max_runs is not None and runs_so_far >= schedule.max_runs:
        return True
    day = moment.astimezone(find_zone(schedule.time_zone)).date()
    return schedule.ends_on is not None and day > schedule.ends_on


def _find_next(schedule: Schedule, after: datetime, zone: ZoneInfo) -> datetime | None:
    first = schedule.first_start.astimezone(UTC)
    if schedule.recurrence is Recurrence.CRON:
        # Cron's answer is later than what it is asked; the first start itself may be one.
        return _find_next_of_cron(str(schedule.cron), max(after, first - timedelta(microseconds=1)), zone)
    if after < first:
        return first
    if schedule.recurrence is Recurrence.HOURLY:
        # An hour is an hour, also in the night when the clock shows one twice.
        return first + ((after - first) // timedelta(hours=1) + 1) * timedelta(hours=1)
    return _find_next_day(schedule, after, zone)


def _find_next_day(schedule: Schedule, after: datetime, zone: ZoneInfo) -> datetime | None:
    """Search all starts by bisection: they are sorted, so that a schedule of a century takes no longer."""
    local = schedule.first_start.astimezone(zone).replace(tzinfo=None)
    last = datetime(LAST_YEAR, 12, 31)
    if schedule.recurrence in DAYS:
        step = timedelta(days=DAYS[schedule.recurrence])
        count = (last - local) // step + 1

        def compute_start(number: int) -> datetime:
            return _read_clock(local + number * step, zone)

    else:
        months = MONTHS[schedule.recurrence]
        count = ((last.year - local.year) * 12 + last.month - local.month) // months + 1

        def compute_start(number: int) -> datetime:
            return _read_clock(_add_months(local, number * months), zone)

    number = bisect_right(range(count), after, key=compute_start)
    return compute_start(number) if number < count else None


def _add_months(local: datetime, count: int) -> datetime:
    """Add months to the first start, so that the 31st is the 31st again after February."""
    year, month = divmod(local.year * 12 + local.month - 1 + count, 12)
    day = min(local.day, calendar.monthrange(year, month + 1)[1])
    return local.replace(year=year, month=month + 1, day=day)


def _read_clock(local: datetime, zone: ZoneInfo) -> datetime:
    """Convert a local time of the zone to UTC, as the module's docstring describes."""
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def _find_next_of_cron(expression: str, after: datetime, zone: ZoneInfo) -> datetime | None:
    moments = CronSim(expression, after.astimezone(zone))
    for moment in moments:
        # Where a clock is put forward or back, cron's times may come in another order than the moments.
        found = moment.astimezone(UTC)
        if found > after:
            return found
    return None  # such as 30 February, which CronSim looks for in the next fifty years


def _check_cron(schedule: Schedule) -> None:
    if (schedule.recurrence is Recurrence.CRON) != (schedule.cron is not None):
        raise PushMetricsParameterError(
            f"the recurrence is {schedule.recurrence.value!r} and the cron expression is {schedule.cron!r}:"
            " an expression belongs to the recurrence 'cron', and to no other."
        )
    if schedule.cron is None:
        return
    fault = _find_fault(schedule.cron)
    if fault:
        raise PushMetricsParameterError(
            f"{schedule.cron[:MAX_CRON_LENGTH]!r} is not a cron expression: {fault}. Write five fields"
            " (minute,"
            " hour, day of the month, month, day of the week), such as '30 6 * * MON-FRI'."
        )


def _find_fault(expression: str) -> str | None:
    """Find the error in an expression: its form, or that it never matches."""
    if len(expression) > MAX_CRON_LENGTH or not expression.isascii():
        return "it is too long, or not ASCII"
    if len(expression.split()) != CRON_FIELDS:
        return f"it has {len(expression.split())} fields"  # a sixth would be seconds
    try:
        return None if next(CronSim(expression, datetime(2000, 1, 1)), None) else "it never matches"
    except (CronSimError, RecursionError) as error:
        return str(error).lower()


def read_local(local: datetime, time_zone: str) -> datetime:
    """
    Read a local time without an offset in a zone: the first of the two, where the clock shows it twice.

    :raises PushMetricsParameterError: if the zone is unknown, or its clock skips the time. Every later day
        would have the time of day to which it is shifted.
    """
    zone = find_zone(time_zone)
    moment = local.replace(tzinfo=zone, fold=0)
    if not datetime.min.year < local.year < LAST_YEAR:  # check_schedule refuses it
        return moment
    if moment.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != local:
        raise PushMetricsParameterError(
            f"the first start {local.isoformat()!r} does not exist in {time_zone!r}, where clocks are put"
            " forward: choose a time or a day that exists there."
        )
    return moment


def move_to_zone(first_start: datetime, before: str, after: str) -> datetime:
    """
    Move a first start to another zone, where the clock shows the same time.

    :raises PushMetricsParameterError: if the zone is unknown, or its clock skips the time.
    """
    return read_local(first_start.astimezone(find_zone(before)).replace(tzinfo=None), after)


def is_zone(name: str) -> bool:
    """Return whether a time zone is known."""
    try:
        find_zone(name)
    except PushMetricsParameterError:
        return False
    return True


def find_zone(name: str) -> ZoneInfo:
    """
    Find a time zone.

    :raises PushMetricsParameterError: if the name is unknown.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise PushMetricsParameterError(
            f"{name!r} is not a time zone: use a name of the IANA database, such as 'Europe/Berlin' or 'UTC'."
        ) from None
