"""Schedules: when they are due, that each time is started once, and who is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.app import build_app
from airflow_provider_pushmetrics.service.models import (
    OutgoingMessage,
    Report,
    ReportSchedule,
    Run,
    StandaloneQueryRun,
)
from airflow_provider_pushmetrics.service.runs.schedules import fire_due
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher
from tests.fakes.service_reports import MadeReport, make_report, sql
from tests.fakes.waiting import until
from tests.integration.service.conftest import Api, open_client, read_result, run_parts

SOON = timedelta(seconds=1.2)
START = datetime(2030, 1, 31, 6, tzinfo=UTC)


async def schedule(api: Api, report_id: int, **fields: Any) -> dict[str, Any]:
    """Make a schedule that must be accepted."""
    first = fields.pop("first_start", START)
    body = {"report_id": report_id, "first_start": first.isoformat(), **fields}
    return read_result(await api.client.post("/api/v1/schedule/", json=body))


async def wait_for_run(
    api: Api, kind: type[Run] | type[StandaloneQueryRun], schedule_id: int
) -> Run | StandaloneQueryRun:
    """Wait until a schedule's run has ended."""
    wanted = select(kind).where(kind.schedule_id == schedule_id, kind.finished_on.is_not(None))

    def find() -> Run | StandaloneQueryRun | None:
        with api.parts.database.reading() as session:
            return cast("Run | StandaloneQueryRun | None", session.scalars(wanted).first())

    return await until(find, "a run of the schedule")


async def test_report_runs_when_it_is_due_and_the_schedule_goes_on(api: Api) -> None:
    made = api.make_report(q=sql("SELECT 1 AS n"))
    first = get_now() + SOON
    row = await schedule(api, made.id, first_start=first, recurrence="hourly")
    run = await wait_for_run(api, Run, row["id"])
    assert (run.status, run.origin, run.report_id) == ("success", "schedule", made.id)
    now = (await api.client.get(f"/api/v1/schedule/{row['uid']}")).json()["result"]
    assert now["run_count"] == 1
    assert datetime.fromisoformat(now["next_run_on"]) == first + timedelta(hours=1)


async def test_query_has_a_schedule_of_its_own_that_ends_after_its_runs(api: Api) -> None:
    made = api.make_report(q=sql("SELECT 1 AS n"), other=sql("SELECT nope"))
    row = await schedule(api, made.id, query_id=made.queries["q"], first_start=get_now() + SOON, max_runs=1)
    run = await wait_for_run(api, StandaloneQueryRun, row["id"])
    assert (run.status, run.origin) == ("success", "schedule")
    assert (await api.client.get(f"/api/v1/schedule/{row['id']}")).json()["result"]["next_run_on"] is None


async def test_schedule_is_paused_resumed_run_now_and_deleted(api: Api) -> None:
    made = api.make_report(q=sql("SELECT 1 AS n"))
    row = await schedule(api, made.id, time_zone="Europe/Berlin", recurrence="cron", cron="30 6 * * MON-FRI")
    assert row["next_run_on"] == "2030-02-01T05:30:00+00:00"
    path = f"/api/v1/schedule/{row['id']}"
    paused = (await api.client.post(f"{path}/pause")).json()["result"]
    assert (paused["active"], paused["next_run_on"]) == (False, None)
    resumed = (await api.client.post(f"{path}/resume")).json()["result"]
    assert (resumed["active"], resumed["next_run_on"]) == (True, row["next_run_on"])
    run = (await api.client.post(f"{path}/run")).json()["result"]
    assert (await api.wait_for(f"/api/reports/{made.id}/run/{run['run_id']}")).json()["status"] == "success"
    changed = await api.client.put(path, json={"recurrence": "daily", "ends_on": "2030-02-02"})
    assert changed.json()["result"]["next_run_on"] == "2030-01-31T06:00:00+00:00"
    assert (await api.client.delete(path)).json() == {"message": "OK"}
    assert (await api.client.get(path)).status_code == 404


@pytest.mark.parametrize(
    ("change", "is_kept"),
    [
        ({"failure_recipients": ["sad@example.com"]}, True),
        ({"name": "other", "time_zone": "UTC"}, True),
        ({"recurrence": "hourly"}, True),
        ({"max_runs": 5}, True),
        ({"recurrence": "cron", "cron": "30 7 * * *"}, False),
    ],
)
async def test_change_of_a_schedule_keeps_the_run_that_is_due(
    tmp_path: Path, database_url: str | None, change: dict[str, Any], is_kept: bool
) -> None:
    """No worker runs now, and whoever is alarmed edits the schedule."""
    with run_parts(tmp_path, database_url=database_url, executes=False) as parts:
        made = make_report(parts.database, parts.cipher, tmp_path, "sqlite", q=sql("SELECT 1 AS n"))
        due = datetime(2026, 1, 31, 6, tzinfo=UTC)
        schedule_id = put_schedule(parts.database, made, due, first_start=due - timedelta(days=30))
        async with open_client(build_app(parts)) as client:
            answer = await client.put(f"/api/v1/schedule/{schedule_id}", json=change)
        row = read_result(answer)
        assert (datetime.fromisoformat(row["next_run_on"]) == due) is is_kept
        assert fire_due(parts.database) == int(is_kept)


@pytest.mark.parametrize(
    ("change", "is_kept"),
    [
        ({"ends_on": "2040-01-01"}, True),
        ({"max_runs": 1}, True),
        ({"ends_on": "2029-12-31"}, False),
        ({"recurrence": "weekly"}, False),
    ],
)
async def test_change_of_the_end_of_a_schedule_keeps_the_retry_of_its_run(
    tmp_path: Path, database_url: str | None, change: dict[str, Any], is_kept: bool
) -> None:
    with run_parts(tmp_path, database_url=database_url, executes=False) as parts:
        made = make_report(parts.database, parts.cipher, tmp_path, "sqlite", q=sql("SELECT 1 AS n"))
        first = START - timedelta(days=3650)
        schedule_id = put_schedule(parts.database, made, START, first_start=first)
        set_zone(parts.database, schedule_id, "Mars/Olympus")
        assert fire_due(parts.database, lambda _: START) == 0
        set_zone(parts.database, schedule_id, "UTC")
        async with open_client(build_app(parts)) as client:
            row = read_result(await client.put(f"/api/v1/schedule/{schedule_id}", json=change))
        retry = START + timedelta(minutes=1)
        assert (datetime.fromisoformat(row["next_run_on"]) == retry) is is_kept


async def test_change_of_the_time_zone_alone_keeps_the_time_of_day(api: Api) -> None:
    made = api.make_report(q=sql("SELECT 1 AS n"))
    first = datetime.fromisoformat("2030-01-31T06:00:00+01:00")
    row = await schedule(api, made.id, first_start=first, time_zone="Europe/Berlin", recurrence="daily")
    path = f"/api/v1/schedule/{row['id']}"
    changed = read_result(await api.client.put(path, json={"name": "n", "time_zone": "America/New_York"}))
    assert changed["first_start"] == changed["next_run_on"] == "2030-01-31T11:00:00+00:00"
    both = {"time_zone": "Europe/Berlin", "first_start": "2030-02-01T11:00:00+00:00"}
    changed = read_result(await api.client.put(path, json=both))
    assert changed["first_start"] == changed["next_run_on"] == "2030-02-01T11:00:00+00:00", "both are given"


@pytest.mark.parametrize("times", [("hourly", None), ("cron", "*/5 * * * *")], ids=["hourly", "cron"])
async def test_change_of_the_time_zone_does_not_stop_a_schedule_that_has_begun(
    tmp_path: Path, database_url: str | None, times: tuple[str, str | None]
) -> None:
    with run_parts(tmp_path, database_url=database_url, executes=False) as parts:
        made = make_report(parts.database, parts.cipher, tmp_path, "sqlite", q=sql("SELECT 1 AS n"))
        now = get_now()
        schedule_id = put_schedule(parts.database, made, now, first_start=now - timedelta(minutes=90))
        with parts.database.writing() as session:
            row = session.get_one(ReportSchedule, schedule_id)
            row.recurrence, row.cron = times
        async with open_client(build_app(parts)) as client:
            body = {"time_zone": "America/Los_Angeles"}
            changed = read_result(await client.put(f"/api/v1/schedule/{schedule_id}", json=body))
        assert datetime.fromisoformat(changed["next_run_on"]) < now + timedelta(hours=1, minutes=10)


async def test_schedule_whose_time_zone_is_no_longer_known_can_be_given_another(
    tmp_path: Path, database_url: str | None
) -> None:
    with run_parts(tmp_path, database_url=database_url, executes=False) as parts:
        made = make_report(parts.database, parts.cipher, tmp_path, "sqlite", q=sql("SELECT 1 AS n"))
        schedule_id = put_schedule(parts.database, made, START)
        set_zone(parts.database, schedule_id, "Mars/Olympus")
        async with open_client(build_app(parts)) as client:
            path = f"/api/v1/schedule/{schedule_id}"
            changed = read_result(await client.put(path, json={"time_zone": "UTC"}))
        assert changed["next_run_on"] == START.isoformat()


async def test_first_start_that_the_clock_skips_is_refused(api: Api) -> None:
    made = api.make_report(q=sql("SELECT 1 AS n"))
    body = {"report_id": made.id, "time_zone": "Europe/Berlin", "recurrence": "daily"}
    skipped = {**body, "first_start": "2030-03-31T02:30:00"}
    answer = await api.client.post("/api/v1/schedule/", json=skipped)
    assert answer.status_code == 400
    assert "'2030-03-31T02:30:00' does not exist in 'Europe/Berlin'" in answer.text
    before = {**body, "first_start": "2030-03-30T02:30:00"}
    row = read_result(await api.client.post("/api/v1/schedule/", json=before))
    path = f"/api/v1/schedule/{row['id']}"
    assert (await api.client.put(path, json={"first_start": skipped["first_start"]})).status_code == 400
    assert (await api.client.get(path)).json()["result"]["first_start"] == "2030-03-30T01:30:00+00:00"


async def test_mails_of_a_schedule_go_to_whom_they_are_for(api: Api) -> None:
    made = api.make_report(q=sql("SELECT nope"))
    row = await schedule(
        api, made.id, success_recipients=["glad@example.com"], failure_recipients=["sad@example.com"]
    )
    run = (await api.client.post(f"/api/v1/schedule/{row['id']}/run")).json()["result"]["run_id"]
    await api.wait_for(f"/api/reports/{made.id}/run/{run}")
    with api.parts.database.reading() as session:
        mails = session.scalars(
            select(OutgoingMessage).where(OutgoingMessage.subject.contains(f"run {run} "))
        ).all()
    assert [mail.recipient for mail in mails] == ["sad@example.com"]
    made_again = await api.client.post(f"/api/v1/noteflow_run/{run}/re_run")
    again = read_result(made_again)["id"]
    await api.wait_for(f"/api/reports/{made.id}/run/{again}")
    with api.parts.database.reading() as session:
        mails = session.scalars(
            select(OutgoingMessage).where(OutgoingMessage.subject.contains(f"run {again} "))
        ).all()
    assert [mail.recipient for mail in mails] == ["sad@example.com"], "who waits for the result is told"


@pytest.mark.parametrize(
    "fields",
    [
        {"first_start": "2001-01-01T00:00:00+00:00"},
        {"first_start": "2030-01-01T00:00:00", "time_zone": "Mars/Olympus"},
        {"recurrence": "cron"},
        {"recurrence": "cron", "cron": "61 * * * *"},
        {"cron": "* * * * *"},
        {"max_runs": 3, "ends_on": "2031-01-01"},
        {"ends_on": "2029-01-01"},
        {"failure_recipients": ["nobody"]},
    ],
)
async def test_schedule_that_makes_no_sense_is_refused(api: Api, fields: dict[str, Any]) -> None:
    body = {"report_id": 1, "first_start": START.isoformat(), **fields}
    answer = await api.client.post("/api/v1/schedule/", json=body)
    assert answer.status_code == 400, answer.text
    query = {"q": "(filters:!((col:report_id,opr:eq,value:1)))"}
    assert (await api.client.get("/api/v1/schedule/", params=query)).json()["count"] == 0


# --- with several processes ---------------------------------------------------------------------------------


def put_schedule(
    database: Database, made: MadeReport, next_run_on: datetime, *, first_start: datetime = START
) -> int:
    with database.writing() as session:
        row = ReportSchedule(
            workspace_id=1,
            report_id=made.id,
            name="s",
            first_start=first_start,
            time_zone="UTC",
            recurrence="daily",
            next_run_on=next_run_on,
        )
        session.add(row)
        session.flush()
        return row.id


def set_zone(database: Database, schedule_id: int, zone: str) -> None:
    """With one that is unknown, the schedule cannot be started."""
    with database.writing() as session:
        session.get_one(ReportSchedule, schedule_id).time_zone = zone


def test_what_is_due_is_started_once_by_several_workers_and_not_caught_up_with(
    database: Database, tmp_path: Path
) -> None:
    made = make_report(database, Cipher("k" * 32), tmp_path, q=sql("SELECT 1 AS n"))
    ids = [put_schedule(database, made, START) for _ in range(5)]
    now = START + timedelta(days=3, hours=1)  # nothing ran for three days
    barrier, started = threading.Barrier(4), []

    def work() -> None:
        own = Database(database.url)
        barrier.wait()
        started.append(fire_due(own, lambda _: now))
        own.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(started) == 5
    with database.reading() as session:
        assert sorted(run.schedule_id or 0 for run in session.scalars(select(Run))) == ids
        rows = session.scalars(select(ReportSchedule)).all()
    assert {row.next_run_on for row in rows} == {START + timedelta(days=4)}
    assert {row.run_count for row in rows} == {1}
    assert fire_due(database, lambda _: now) == 0


def test_schedule_that_cannot_be_started_keeps_no_other_waiting(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = make_report(database, Cipher("k" * 32), tmp_path, q=sql("SELECT 1 AS n"))
    broken, well = put_schedule(database, made, START), put_schedule(database, made, START)
    set_zone(database, broken, "Mars/Olympus")
    assert fire_due(database, lambda _: START) == 1
    assert f"schedule {broken} cannot be started" in caplog.text
    with database.reading() as session:
        assert [run.schedule_id for run in session.scalars(select(Run))] == [well]
        assert session.get_one(ReportSchedule, broken).next_run_on == START + timedelta(minutes=1)
    assert fire_due(database, lambda _: START + timedelta(seconds=59)) == 0


def test_schedule_whose_report_is_locked_keeps_no_other_waiting(database: Database, tmp_path: Path) -> None:
    if database.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer")
    locked, free = (make_report(database, Cipher("k" * 32), tmp_path, q=sql("SELECT 1")) for _ in range(2))
    first, second = put_schedule(database, locked, START), put_schedule(database, free, START)
    impatient = Database(database.url, session_timeouts={"lock_timeout": 0.2})
    with database.writing() as other:
        other.get_one(Report, locked.id, with_for_update=True)
        assert fire_due(impatient, lambda _: START) == 1
        with database.reading() as session:
            assert [run.schedule_id for run in session.scalars(select(Run))] == [second]
    assert fire_due(impatient, lambda _: START) == 1, "it is started as soon as it can be"
    impatient.close()
    with database.reading() as session:
        assert sorted(run.schedule_id or 0 for run in session.scalars(select(Run))) == [first, second]


def test_schedule_that_cannot_be_started_and_is_paused_meanwhile_gets_no_new_time(
    database: Database, tmp_path: Path
) -> None:
    made = make_report(database, Cipher("k" * 32), tmp_path, q=sql("SELECT 1 AS n"))
    broken = put_schedule(database, made, START)
    set_zone(database, broken, "Mars/Olympus")

    class Paused(Database):
        """Lets a user pause the schedule after each transaction that failed."""

        @contextmanager
        def writing(self) -> Iterator[Session]:
            try:
                with super().writing() as session:
                    yield session
            except Exception:
                with database.writing() as session:
                    row = session.get_one(ReportSchedule, broken)
                    row.active, row.next_run_on = False, None
                raise

    paused = Paused(database.url)
    assert fire_due(paused, lambda _: START) == 0
    paused.close()
    with database.reading() as session:
        assert session.get_one(ReportSchedule, broken).next_run_on is None
