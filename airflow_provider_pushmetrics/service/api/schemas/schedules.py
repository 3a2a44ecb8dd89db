"""Schedules: the requests that create and change them, and the answers that show them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import Field
from typing_extensions import TypeAliasType, TypedDict

from airflow_provider_pushmetrics.service.api.conventions.fields import (
    Id,
    Moment,
    Name,
    ShortText,
    Uid,
    one_of,
)
from airflow_provider_pushmetrics.service.api.conventions.shapes import (
    One,
    Page,
    RequestBody,
    Wrapped,
    answer,
)
from airflow_provider_pushmetrics.service.reports.recurrence import Recurrence


class ScheduleChange(RequestBody):
    """The changes of a schedule. A field that is not given stays."""

    name: Name | None = None
    first_start: datetime | None = None
    """The first time, in the future; without an offset, it is in the time zone of the schedule."""
    time_zone: ShortText | None = Field(None, examples=["Europe/Berlin"])
    """The time zone, by its IANA name. Without a new first time, the times of day stay the same in it."""
    recurrence: Recurrence | None = None
    cron: ShortText | None = Field(None, examples=["30 6 * * MON-FRI"])
    """The cron expression, of five fields, of a schedule with the recurrence ``cron``."""
    ends_on: date | None = None
    """The last day."""
    max_runs: int | None = Field(None, ge=1, le=1_000_000)
    """The number of runs after which the schedule ends."""
    success_recipients: list[ShortText] | None = None
    """The mail addresses that are notified of a run that succeeded."""
    failure_recipients: list[ShortText] | None = None
    """The mail addresses that are notified of a run that failed."""


class NewSchedule(ScheduleChange):
    """A new schedule of a report or of one of its queries."""

    report_id: int | ShortText = Field(examples=[1])
    """The id or uid of the report."""
    query_id: int | None = None
    """The id of the query; without it, the whole report runs."""
    name: Name = "Schedule"
    first_start: datetime = Field(examples=["2030-03-01T06:00:00+01:00"])
    """The first time, in the future; without an offset, it is in the time zone of the schedule."""
    time_zone: ShortText | None = Field(None, examples=["Europe/Berlin"])
    """The time zone, by its IANA name; that of the report, unless given."""
    recurrence: Recurrence = Field(Recurrence.DAILY, examples=["cron"])


@answer
class ScheduleRow(TypedDict):
    """A schedule of a report or of one of its queries."""

    id: Id
    uid: Uid
    name: Annotated[str, Field(examples=["Every morning"])]
    report_id: Id
    report_uid: Uid
    query_id: Annotated[int | None, Field(examples=[None])]
    """The id of the query, if not the whole report runs."""
    active: Annotated[bool, Field(examples=[True])]
    """False while the schedule is paused."""
    first_start: Moment
    time_zone: Annotated[str, Field(examples=["Europe/Berlin"])]
    recurrence: Annotated[str, one_of(*(one.value for one in Recurrence)), Field(examples=["cron"])]
    cron: Annotated[str | None, Field(examples=["30 6 * * MON-FRI"])]
    """The cron expression of a schedule with the recurrence ``cron``."""
    ends_on: Annotated[str | None, Field(json_schema_extra={"format": "date"}, examples=["2030-12-31"])]
    """The last day."""
    max_runs: Annotated[int | None, Field(examples=[None])]
    """The number of runs after which the schedule ends."""
    run_count: Annotated[int, Field(examples=[3])]
    """The number of runs so far."""
    next_run_on: Moment | None
    """The moment of the next run; none if the schedule is paused or has ended."""
    success_recipients: Annotated[list[str], Field(examples=[[]])]
    """The mail addresses that are notified of a run that succeeded."""
    failure_recipients: Annotated[list[str], Field(examples=[["ops@example.com"]])]
    """The mail addresses that are notified of a run that failed."""
    created_on: Moment


ScheduleList = TypeAliasType("ScheduleList", Page[ScheduleRow])
ScheduleResponse = TypeAliasType("ScheduleResponse", One[ScheduleRow])


@answer
class StartedScheduleRun(TypedDict):
    """A run that was started."""

    run_id: Id
    """The id of the run of the report, or of the query if the schedule is one of a query."""
    noteflow_run_uid: Annotated[str | None, Field(examples=["kQ3vX8mWz1aB"])]
    """The uid of the run of the report."""


StartedScheduleRunResponse = TypeAliasType("StartedScheduleRunResponse", Wrapped[StartedScheduleRun])
