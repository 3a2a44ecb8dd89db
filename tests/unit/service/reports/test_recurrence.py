"""When schedules are due."""

from __future__ import annotations

import calendar
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.reports.recurrence import (
    Recurrence,
    Schedule,
    check_schedule,
    compute_next,
    read_local,
)

BERLIN = "Europe/Berlin"
ZONES = ["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Kathmandu"]
ZONES += ["Pacific/Apia", "Pacific/Chatham", "America/St_Johns", "Africa/Casablanca", "Asia/Beirut"]
CRONS = ["*/15 * * * *", "30 2 * * *", "0 */6 * * *", "0 0 * * *", "15 1-3 * * *", "0 9 * * MON-FRI"]
CRONS += ["0 0 31 * *", "0 12 L * *", "0 0 29 2 *", "59 23 1 1 *", "30 0 * * SUN#1"]
SIMPLE = [one for one in Recurrence if one is not Recurrence.CRON]


def at(text: str, zone: str = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def list_starts(schedule: Schedule, count: int, after: datetime | None = None) -> list[str]:
    """List what comes, as clocks of the zone show it with their offset from UTC."""
    shown: list[str] = []
    moment = after or schedule.first_start - timedelta(days=400)
    while len(shown) < count:
        found = compute_next(schedule, moment, len(shown))
        if found is None:
            return shown
        moment = found
        shown.append(f"{found.astimezone(ZoneInfo(schedule.time_zone)):%Y-%m-%d %H:%M%z}")
    return shown


def daily(text: str, zone: str = BERLIN) -> Schedule:
    return Schedule(at(text, zone), zone, Recurrence.DAILY)


def cron(expression: str, text: str = "2026-01-01 00:00", zone: str = BERLIN) -> Schedule:
    return Schedule(at(text, zone), zone, Recurrence.CRON, expression)


# --- the recurrences


@pytest.mark.parametrize(
    ("recurrence", "expected"),
    [
        (Recurrence.HOURLY, ["2026-01-31 06:15+0100", "2026-01-31 07:15+0100", "2026-01-31 08:15+0100"]),
        (Recurrence.DAILY, ["2026-01-31 06:15+0100", "2026-02-01 06:15+0100", "2026-02-02 06:15+0100"]),
        (Recurrence.WEEKLY, ["2026-01-31 06:15+0100", "2026-02-07 06:15+0100", "2026-02-14 06:15+0100"]),
        (Recurrence.MONTHLY, ["2026-01-31 06:15+0100", "2026-02-28 06:15+0100", "2026-03-31 06:15+0200"]),
        (Recurrence.QUARTERLY, ["2026-01-31 06:15+0100", "2026-04-30 06:15+0200", "2026-07-31 06:15+0200"]),
        (Recurrence.ANNUALLY, ["2026-01-31 06:15+0100", "2027-01-31 06:15+0100", "2028-01-31 06:15+0100"]),
    ],
)
def test_first_start_is_the_first_and_fixes_the_rest(recurrence: Recurrence, expected: list[str]) -> None:
    assert list_starts(Schedule(at("2026-01-31 06:15"), BERLIN, recurrence), 3) == expected


def test_leap_day_is_the_28th_in_other_years_and_comes_back() -> None:
    schedule = Schedule(at("2024-02-29 12:00"), BERLIN, Recurrence.ANNUALLY)
    assert [start[:10] for start in list_starts(schedule, 5)] == [
        "2024-02-29",
        "2025-02-28",
        "2026-02-28",
        "2027-02-28",
        "2028-02-29",
    ]
    monthly = Schedule(at("2023-12-30 12:00"), BERLIN, Recurrence.MONTHLY)
    assert [start[5:10] for start in list_starts(monthly, 4)] == ["12-30", "01-30", "02-29", "03-30"]


def test_the_zone_decides_what_a_day_is() -> None:
    """06:00 in Auckland is another date in UTC; the 31st counts where people live."""
    schedule = Schedule(at("2026-01-31 06:00", "Pacific/Auckland"), "Pacific/Auckland", Recurrence.MONTHLY)
    assert list_starts(schedule, 2) == ["2026-01-31 06:00+1300", "2026-02-28 06:00+1300"]


def test_first_start_may_be_written_in_another_zone() -> None:
    schedule = Schedule(datetime(2026, 3, 1, 5, tzinfo=UTC), BERLIN, Recurrence.MONTHLY)
    assert list_starts(schedule, 2) == ["2026-03-01 06:00+0100", "2026-04-01 06:00+0200"]


def test_answers_are_in_utc_and_later_than_asked() -> None:
    schedule = daily("2026-01-01 06:00")
    assert compute_next(schedule, at("2026-01-01 06:00"), 1) == datetime(2026, 1, 2, 5, tzinfo=UTC)
    found = compute_next(schedule, at("2026-01-01 05:59"), 0)
    assert found is not None
    assert found.tzinfo is UTC


def test_what_was_missed_is_not_caught_up_with() -> None:
    assert list_starts(daily("2020-01-01 06:00"), 1, at("2026-05-05 07:00")) == ["2026-05-06 06:00+0200"]


# --- changes of the clock


def test_time_that_is_skipped_comes_later_that_day_and_the_next_day_on_time() -> None:
    assert list_starts(daily("2026-03-28 02:30"), 3) == [
        "2026-03-28 02:30+0100",
        "2026-03-29 03:30+0200",
        "2026-03-30 02:30+0200",
    ]


def test_time_that_comes_twice_counts_once_at_first() -> None:
    assert list_starts(daily("2026-10-24 02:30"), 3) == [
        "2026-10-24 02:30+0200",
        "2026-10-25 02:30+0200",
        "2026-10-26 02:30+0100",
    ]


def test_first_start_in_the_second_of_two_hours_is_meant() -> None:
    schedule = replace(daily("2026-10-25 02:30"), first_start=at("2026-10-25 02:30").replace(fold=1))
    assert list_starts(schedule, 2) == ["2026-10-25 02:30+0100", "2026-10-26 02:30+0100"]


def test_an_hour_is_an_hour_through_both_changes() -> None:
    spring = Schedule(at("2026-03-29 00:30"), BERLIN, Recurrence.HOURLY)
    assert [start[11:] for start in list_starts(spring, 4)] == [
        "00:30+0100",
        "01:30+0100",
        "03:30+0200",
        "04:30+0200",
    ]
    autumn = Schedule(at("2026-10-25 01:30"), BERLIN, Recurrence.HOURLY)
    assert [start[11:] for start in list_starts(autumn, 4)] == [
        "01:30+0200",
        "02:30+0200",
        "02:30+0100",
        "03:30+0100",
    ]


def test_day_that_a_country_skipped_has_no_run_of_its_own() -> None:
    """Samoa went from 29 to 31 December 2011."""
    assert list_starts(daily("2011-12-29 10:00", "Pacific/Apia"), 3) == [
        "2011-12-29 10:00-1000",
        "2011-12-31 10:00+1400",
        "2012-01-01 10:00+1400",
    ]


def test_cron_time_that_is_skipped_comes_when_the_clock_goes_on() -> None:
    assert list_starts(cron("30 2 * * *"), 2, at("2026-03-28 12:00")) == [
        "2026-03-29 03:00+0200",
        "2026-03-30 02:30+0200",
    ]


def test_cron_time_that_comes_twice_counts_once_at_first() -> None:
    expected = ["2026-10-25 02:45+0200", "2026-10-26 02:45+0100"]
    assert list_starts(cron("45 2 * * *"), 2, at("2026-10-25 00:00")) == expected
    between = at("2026-10-25 02:30").replace(fold=1)
    assert list_starts(cron("45 2 * * *"), 1, between) == expected[1:]


def test_cron_every_half_hour_goes_on_through_both_changes() -> None:
    spring = list_starts(cron("*/30 * * * *"), 3, at("2026-03-29 01:00"))
    assert [start[11:] for start in spring] == ["01:30+0100", "03:00+0200", "03:30+0200"]
    autumn = list_starts(cron("*/30 * * * *"), 5, at("2026-10-25 01:45"))
    assert [start[11:] for start in autumn] == [
        "02:00+0200",
        "02:30+0200",
        "02:00+0100",
        "02:30+0100",
        "03:00+0100",
    ]


# --- cron


def test_cron_begins_at_the_first_start_itself_where_that_fits() -> None:
    assert list_starts(cron("0 6 * * MON-FRI", "2026-01-02 06:00"), 2) == [
        "2026-01-02 06:00+0100",
        "2026-01-05 06:00+0100",
    ]
    assert list_starts(cron("0 6 * * *", "2026-01-02 06:01"), 1) == ["2026-01-03 06:00+0100"]
    late = replace(cron("0 6 * * *"), first_start=at("2026-01-02 06:00:00.500000"))
    assert list_starts(late, 1) == ["2026-01-03 06:00+0100"]


@pytest.mark.parametrize("expression", ["0 0 L * *", "0 0 * * FRI#5", "0 0 29 2 *", "*/7 3-5,9 1,15 * mon"])
def test_cron_expression_is_accepted(expression: str) -> None:
    check_schedule(cron(expression))
    assert len(list_starts(cron(expression), 3)) == 3


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "it has 0 fields"),
        ("@daily", "it has 1 fields"),
        ("0 0 * *", "it has 4 fields"),
        ("0 0 0 * * *", "it has 6 fields"),
        ("60 0 * * *", "bad minute"),
        ("0 24 * * *", "bad hour"),
        ("0 0 30 2 *", "bad day-of-month"),
        ("0 0 */31 2 MON#5", "it never matches"),
        ("0 0 * * FUNDAY", "bad day-of-week"),
        ("0 0 * 13 *", "bad month"),
        ("H H * * *", "bad minute"),
        ("*/0 * * * *", "bad minute"),
        ("², * * * *", "not ASCII"),
        ("," * 300 + " * * * *", "too long"),
        ("0 0 * * *\x00", "bad day-of-week"),
    ],
)
def test_what_is_no_cron_expression_is_refused(expression: str, message: str) -> None:
    with pytest.raises(
        PushMetricsParameterError, match=rf"is not a cron expression: .*{message}.*Write five fields"
    ):
        check_schedule(cron(expression))


@given(st.text(alphabet="0123456789*/,-#L W?MONFRI ", max_size=30))
def test_any_expression_is_accepted_or_refused_and_nothing_else(expression: str) -> None:
    try:
        check_schedule(cron(expression))
    except PushMetricsParameterError:
        return
    assert compute_next(cron(expression), at("2026-01-01 00:00"), 0) is not None


# --- the end


def test_schedule_ends_after_so_many_runs() -> None:
    schedule = replace(daily("2026-01-01 06:00"), max_runs=3)
    assert len(list_starts(schedule, 10)) == 3
    assert compute_next(schedule, at("2026-01-01 07:00"), 2) is not None
    assert compute_next(schedule, at("2026-01-01 07:00"), 3) is None


def test_schedule_ends_on_a_day_of_its_zone_that_day_included() -> None:
    schedule = replace(daily("2026-01-01 00:30"), ends_on=date(2026, 1, 3))
    assert list_starts(schedule, 10)[-1] == "2026-01-03 00:30+0100"  # in UTC that is still the 2nd
    assert len(list_starts(schedule, 10)) == 3


def test_schedule_without_an_end_ends_with_the_calendar() -> None:
    for recurrence in SIMPLE:
        schedule = Schedule(at("2026-01-31 06:00"), BERLIN, recurrence)
        assert compute_next(schedule, at("8999-06-01 00:00"), 0) is not None
        assert compute_next(schedule, at("9998-06-01 00:00"), 0) is None


# --- what is refused

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GOOD = daily("2026-02-01 06:00")


@pytest.mark.parametrize(
    "schedule",
    [
        GOOD,
        replace(GOOD, max_runs=1),
        replace(GOOD, ends_on=date(2026, 2, 1)),
        replace(GOOD, recurrence=Recurrence.CRON, cron="0 6 * * *"),
    ],
)
def test_schedule_that_makes_sense_is_accepted(schedule: Schedule) -> None:
    check_schedule(schedule, NOW)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        (
            replace(GOOD, first_start=datetime(2026, 2, 1)),
            r"'2026-02-01T00:00:00' is invalid: .* offset from UTC",
        ),
        (replace(GOOD, first_start=datetime(9001, 1, 1, tzinfo=UTC)), r"before the year 9000"),
        (
            replace(GOOD, first_start=NOW),
            r"'2026-01-01T00:00:00\+00:00' is not in the future: choose a later",
        ),
        (replace(GOOD, time_zone="Mars/Olympus"), r"'Mars/Olympus' is not a time zone: use a name"),
        (replace(GOOD, time_zone="../../etc/passwd"), r"is not a time zone"),
        (replace(GOOD, time_zone=""), r"'' is not a time zone"),
        (replace(GOOD, time_zone="Europe"), r"'Europe' is not a time zone"),
        (replace(GOOD, max_runs=0), r"after 0 runs: set a number from 1"),
        (replace(GOOD, max_runs=2, ends_on=date(2026, 3, 1)), r"after 2 runs and on a date: set"),
        (replace(GOOD, ends_on=date(2026, 1, 31)), r"end on '2026-01-31', before its first start"),
        (
            replace(GOOD, cron="0 6 * * *"),
            r"'daily' and the cron expression is '0 6 \* \* \*': an expression belongs",
        ),
        (replace(GOOD, recurrence=Recurrence.CRON), r"'cron' and the cron expression is None"),
    ],
)
def test_schedule_that_makes_none_is_refused(schedule: Schedule, message: str) -> None:
    with pytest.raises(PushMetricsParameterError, match=message):
        check_schedule(schedule, NOW)


def test_only_a_new_schedule_must_begin_in_the_future() -> None:
    check_schedule(daily("2020-01-01 06:00"))


@pytest.mark.parametrize("text", ["2027-03-28 02:00", "2027-03-28 02:59:59.999999"])
def test_first_start_that_the_clock_skips_is_refused(text: str) -> None:
    with pytest.raises(PushMetricsParameterError, match="does not exist in 'Europe/Berlin'"):
        read_local(datetime.fromisoformat(text), BERLIN)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2027-03-28 01:59:59", "2027-03-28T01:59:59+01:00"),
        ("2027-03-28 03:00", "2027-03-28T03:00:00+02:00"),
        ("2027-10-31 02:30", "2027-10-31T02:30:00+02:00"),
        ("0001-01-01 00:00", "0001-01-01T00:00:00+00:53:28"),
        ("9999-12-31 00:00", "9999-12-31T00:00:00+01:00"),
    ],
)
def test_first_start_without_an_offset_is_read_in_its_zone(text: str, expected: str) -> None:
    assert read_local(datetime.fromisoformat(text), BERLIN).isoformat() == expected


# --- what holds for all of them

CHANGES = [
    datetime.fromisoformat(text + "+00:00")
    for text in (
        "2026-03-29T01:00",  # Berlin, New York, Lord Howe, Havana and Beirut, forward and back
        "2026-10-25T01:00",
        "2026-03-08T07:00",
        "2026-11-01T06:00",
        "2026-10-03T15:30",
        "2026-04-04T15:00",
        "2026-03-08T05:00",
        "2026-11-01T05:00",
        "2026-03-28T22:00",
        "2026-10-24T21:00",
        "2011-12-30T10:00",  # Apia leaves a day out
        "2026-02-28T12:00",
        "2028-02-28T12:00",
    )
]
MOMENTS = st.one_of(
    st.datetimes(datetime(2005, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC)),
    st.builds(
        lambda change, minutes: change + timedelta(minutes=minutes),
        st.sampled_from(CHANGES),
        st.integers(-1500, 1500),
    ),
)


@st.composite
def schedules(draw: st.DrawFn, recurrences: tuple[Recurrence, ...] = tuple(Recurrence)) -> Schedule:
    recurrence = draw(st.sampled_from(recurrences))
    return Schedule(
        first_start=draw(MOMENTS).replace(second=0, microsecond=0),
        time_zone=draw(st.sampled_from(ZONES)),
        recurrence=recurrence,
        cron=draw(st.sampled_from(CRONS)) if recurrence is Recurrence.CRON else None,
    )


@given(schedules(), MOMENTS)
def test_next_is_later_than_asked_and_not_before_the_first_start(schedule: Schedule, after: datetime) -> None:
    check_schedule(schedule)
    found = compute_next(schedule, after, 0)
    assert found is not None
    assert found > after
    assert found >= schedule.first_start


@given(schedules(), MOMENTS)
def test_nothing_is_due_between_the_question_and_the_answer(schedule: Schedule, after: datetime) -> None:
    found = compute_next(schedule, after, 0)
    assert found is not None
    assert compute_next(schedule, found - timedelta(microseconds=1), 0) == found
    between = min(after + (found - after) / 2, found - timedelta(microseconds=1))
    assert compute_next(schedule, between, 0) == found


@given(schedules(), MOMENTS, MOMENTS)
def test_later_questions_have_later_answers(schedule: Schedule, one: datetime, other: datetime) -> None:
    first, second = compute_next(schedule, min(one, other), 0), compute_next(schedule, max(one, other), 0)
    assert first is not None
    assert second is not None
    assert first <= second


@given(schedules((Recurrence.DAILY, Recurrence.WEEKLY, Recurrence.MONTHLY, Recurrence.ANNUALLY)), MOMENTS)
def test_the_clock_shows_the_time_of_the_first_start_unless_it_skips_it(
    schedule: Schedule, after: datetime
) -> None:
    zone = ZoneInfo(schedule.time_zone)
    found = compute_next(schedule, after, 0)
    assert found is not None
    wanted, shown = schedule.first_start.astimezone(zone), found.astimezone(zone)
    if shown.time() != wanted.time():
        skipped = datetime.combine(shown.date(), wanted.time(), zone)
        assert skipped.astimezone(UTC).astimezone(zone).time() != wanted.time()


@given(schedules((Recurrence.MONTHLY, Recurrence.QUARTERLY, Recurrence.ANNUALLY)), MOMENTS)
def test_months_keep_their_day_or_end_with_it(schedule: Schedule, after: datetime) -> None:
    zone = ZoneInfo(schedule.time_zone)
    found = compute_next(schedule, after, 0)
    assert found is not None
    wanted, shown = schedule.first_start.astimezone(zone), found.astimezone(zone)
    assume(shown.time() == wanted.time())
    assert shown.day == min(wanted.day, calendar.monthrange(shown.year, shown.month)[1])
    step = {Recurrence.MONTHLY: 1, Recurrence.QUARTERLY: 3, Recurrence.ANNUALLY: 12}[schedule.recurrence]
    assert ((shown.year - wanted.year) * 12 + shown.month - wanted.month) % step == 0


@given(schedules((Recurrence.DAILY,)), st.integers(1, 40))
def test_the_search_by_halves_finds_what_going_day_by_day_finds(schedule: Schedule, days: int) -> None:
    zone = ZoneInfo(schedule.time_zone)
    local = schedule.first_start.astimezone(zone).replace(tzinfo=None)
    walked = [(local + timedelta(days=day)).replace(tzinfo=zone).astimezone(UTC) for day in range(days + 1)]
    found: datetime | None = schedule.first_start - timedelta(seconds=1)
    for moment in [schedule.first_start.astimezone(UTC), *dict.fromkeys(walked[1:])]:
        assert found is not None
        found = compute_next(schedule, found, 0)
        assert found == moment


@given(schedules(), st.integers(1, 5), MOMENTS)
def test_end_after_so_many_runs_changes_nothing_before(
    schedule: Schedule, runs: int, after: datetime
) -> None:
    ending = replace(schedule, max_runs=runs)
    assert compute_next(ending, after, runs - 1) == compute_next(schedule, after, 0)
    assert compute_next(ending, after, runs) is None


@given(schedules(), MOMENTS, st.dates(date(2005, 1, 1), date(2060, 1, 1)))
def test_end_on_a_date_changes_nothing_before(schedule: Schedule, after: datetime, last: date) -> None:
    found, ending = compute_next(schedule, after, 0), compute_next(replace(schedule, ends_on=last), after, 0)
    assert found is not None
    is_over = found.astimezone(ZoneInfo(schedule.time_zone)).date() > last
    assert ending == (None if is_over else found)
