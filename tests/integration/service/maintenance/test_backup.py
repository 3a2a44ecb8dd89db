"""Backups of a service that works meanwhile, and the service that is restored from one."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, inspect, select, text, update
from typer.testing import CliRunner, Result

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.app import build_app
from airflow_provider_pushmetrics.service.cli import app
from airflow_provider_pushmetrics.service.maintenance.backup import back_up
from airflow_provider_pushmetrics.service.maintenance.spare_ids import ID_GAP, count_spare_ids
from airflow_provider_pushmetrics.service.models import BlockResult, Report, Run, Workspace
from airflow_provider_pushmetrics.service.runtime import ServiceParts
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.serving.backups.postgresql_dump import dump_tables
from tests.fakes.postgres import make_database
from tests.fakes.postgres_programs import add_postgres_programs
from tests.fakes.service_reports import TRIGGER_TOKEN, make_report, sql
from tests.integration.service.conftest import BASE_URL, Api, open_client, run_parts

KEY = "k" * 32


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch, database_kind: str) -> None:
    if database_kind == "postgres":
        add_postgres_programs(monkeypatch)


def run_command(name: str, archive: Path, data_dir: Path, url: str | None, *options: str) -> Result:
    return CliRunner().invoke(
        app,
        [name, str(archive), "--data", str(data_dir), *options],
        env={"PUSHMETRICS_SERVICE_DATABASE_URL": url or "", "PUSHMETRICS_SERVICE_SECRET_KEYS": KEY},
    )


async def run_report(client: httpx.AsyncClient, report_id: int) -> int:
    answer = await client.post(f"/api/v1/report/{report_id}/webhook?token={TRIGGER_TOKEN}")
    return int(answer.raise_for_status().json()["run_id"])


async def wait_for_rows(
    client: httpx.AsyncClient, parts: ServiceParts, report_id: int, run_id: int
) -> list[dict[str, int]]:
    """Wait for the end of a run, and read the rows of its query as a reader does."""
    answer = await Api(client, parts).wait_for(f"/api/reports/{report_id}/run/{run_id}")
    outputs = answer.raise_for_status().json()
    assert outputs["status"] == "success"
    rows: list[dict[str, int]] = (await client.get(outputs["queries"][0]["query_result"])).json()["data"]
    return rows


@pytest.fixture
def restored_url(database_kind: str, request: pytest.FixtureRequest) -> Iterator[str | None]:
    if database_kind == "sqlite":
        yield None
        return
    with make_database(request.getfixturevalue("postgres_server_url")) as url:
        yield url


@pytest.mark.slow
async def test_service_restored_from_a_backup_made_while_it_worked_does_its_job(
    tmp_path: Path, database_url: str | None, restored_url: str | None
) -> None:
    archive, first, second = tmp_path / "backup.tar", tmp_path / "first", tmp_path / "second"
    with run_parts(first, database_url=database_url, secret_keys=(KEY,), public_url=BASE_URL) as parts:
        made = make_report(parts.database, parts.cipher, first, q=sql("SELECT 42 AS n"))
        async with open_client(build_app(parts)) as client:
            run_id = await run_report(client, made.id)
            assert await wait_for_rows(client, parts, made.id, run_id) == [{"n": 42}]
            stopping = asyncio.Event()

            async def keep_running() -> int:
                count = 0
                while not stopping.is_set():
                    await run_report(client, made.id)
                    count += 1
                return count

            writing = asyncio.create_task(keep_running())
            result = await asyncio.to_thread(run_command, "backup", archive, first, database_url)
            stopping.set()
            assert await writing > 0
    assert result.exit_code == 0, result.stderr
    assert "The secret keys are not in it" in result.stdout
    check_archive(archive)
    (second / "sources").mkdir(parents=True)
    shutil.copy(first / "sources" / "empty.duckdb", second / "sources")
    restored = run_command("restore", archive, second, restored_url)
    assert restored.exit_code == 0, restored.stderr
    check_results(second, restored_url)
    with run_parts(second, database_url=restored_url, secret_keys=(KEY,), public_url=BASE_URL) as parts:
        async with open_client(build_app(parts)) as client:
            assert await wait_for_rows(client, parts, made.id, run_id) == [{"n": 42}]
            new_id = await run_report(client, made.id)
            assert new_id > run_id + ID_GAP, "Airflow may know those after the backup"
            assert await wait_for_rows(client, parts, made.id, new_id) == [{"n": 42}]
    again = run_command("restore", archive, second, restored_url)
    assert again.exit_code == 1
    assert "restore to an empty place" in again.stderr


def check_archive(archive: Path) -> None:
    """Check that only its owner can read it, that nothing is beside it, and that no secret is in it."""
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert [path.name for path in archive.parent.iterdir() if "backup" in path.name] == ["backup.tar"]
    content = archive.read_bytes()
    assert KEY.encode() not in content
    assert TRIGGER_TOKEN.encode() not in content


def check_results(data_dir: Path, url: str | None) -> None:
    """Check that exactly the results of the restored database are there."""
    database = Database(url or f"sqlite:///{data_dir}/service.db")
    with database.reading() as session:
        names = set(
            session.scalars(select(BlockResult.result_file).where(BlockResult.result_file.is_not(None)))
        )
        assert session.scalars(select(Run.id)).first() is not None
    database.close()
    found = {
        str(path.relative_to(data_dir / "results")) for path in (data_dir / "results").glob("*/*.parquet")
    }
    assert found == names


def test_backup_of_nothing_is_refused(tmp_path: Path, database_url: str | None) -> None:
    result = run_command("backup", tmp_path / "a.tar", tmp_path / "none", database_url)
    assert result.exit_code == 1
    assert "there is no service" in result.stderr or "no tables of a service" in result.stderr
    assert not (tmp_path / "a.tar").exists()


async def test_backup_without_its_results_is_refused(tmp_path: Path, database_url: str | None) -> None:
    """On PostgreSQL a wrong data folder has none of them; one that is there can have lost some."""
    data_dir, archive = tmp_path / "data", tmp_path / "a.tar"
    with run_parts(data_dir, database_url=database_url, secret_keys=(KEY,), public_url=BASE_URL) as parts:
        made = make_report(parts.database, parts.cipher, data_dir, q=sql("SELECT 42 AS n"))
        async with open_client(build_app(parts)) as client:
            run_id = await run_report(client, made.id)
            await wait_for_rows(client, parts, made.id, run_id)
    results = data_dir / "results"
    results.rename(tmp_path / "elsewhere")
    result = await asyncio.to_thread(run_command, "backup", archive, data_dir, database_url)
    assert result.exit_code == 1
    assert "there is no folder" in result.stderr
    assert not results.exists(), "a folder that nobody meant is not made"
    results.mkdir()
    # In the second, it is not old enough to be deleted.
    backups = [
        asyncio.to_thread(back_up, settings, tmp_path / f"{settings.result_retention_days}.tar")
        for settings in (
            ServiceSettings(data_dir, database_url=database_url, result_retention_days=days)
            for days in (None, 7)
        )
    ]
    for refusal in await asyncio.gather(*backups, return_exceptions=True):
        assert isinstance(refusal, PushMetricsConfigurationError)
        assert f"1 results of the database are not in the folder {str(results)!r}, such as" in str(refusal)
    assert {path.name for path in (archive.parent).iterdir()} == {"data", "elsewhere"}
    database = Database(database_url or f"sqlite:///{data_dir}/service.db")
    with database.writing() as session:
        session.execute(update(BlockResult).values(finished_on=get_now() - timedelta(days=7)))
    database.close()
    options = ("--result-retention-days", "7")
    result = await asyncio.to_thread(run_command, "backup", archive, data_dir, database_url, *options)
    assert result.exit_code == 0, result.stderr
    assert "0 results. 1 more had been deleted." in result.stdout


def test_restored_service_gives_no_id_that_was_given_after_the_backup(
    database: Database, tmp_path: Path, database_url: str | None, restored_url: str | None
) -> None:
    """Also in a table that had no row then."""
    archive, target = tmp_path / "a.tar", tmp_path / "target"
    (tmp_path / "results").mkdir()
    with database.writing() as session:
        session.add(Workspace(name="before"))
    assert run_command("backup", archive, tmp_path, database_url).exit_code == 0
    restored = run_command("restore", archive, target, restored_url)
    assert restored.exit_code == 0, restored.stderr
    opened = Database(restored_url or f"sqlite:///{target}/service.db")
    with opened.writing() as session:
        workspace = Workspace(name="after")
        session.add(workspace)
        session.flush()
        report = Report(workspace_id=workspace.id, name="the first")
        session.add(report)
        session.flush()
        assert min(workspace.id, report.id) > ID_GAP
    opened.close()


def test_restore_is_refused_at_the_end_of_the_ids(
    database: Database, tmp_path: Path, database_url: str | None, restored_url: str | None
) -> None:
    if restored_url is None:
        pytest.skip("SQLite's ids have 64 bits")
    archive, target = tmp_path / "a.tar", tmp_path / "target"
    (tmp_path / "results").mkdir()
    with database.writing() as session:
        session.add(Workspace(name="before"))
        session.execute(text("SELECT setval('run_id_seq', 2147000000)"))
    assert run_command("backup", archive, tmp_path, database_url).exit_code == 0
    result = run_command("restore", archive, target, restored_url)
    assert result.exit_code == 1
    assert "the ids of the table 'run' end at 2,147,483,647" in result.stderr
    opened = Database(restored_url)
    assert inspect(opened.engine).get_table_names() == []
    opened.close()


def test_backup_made_long_ago_leaves_out_more_ids() -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert count_spare_ids("2026-01-01T00:00:00+00:00", now) == ID_GAP + 86_400
    assert count_spare_ids("2026-01-03T00:00:00+00:00", now) == ID_GAP


def test_damaged_backup_restores_nothing(
    database: Database, tmp_path: Path, database_url: str | None, restored_url: str | None
) -> None:
    archive, target = tmp_path / "a.tar", tmp_path / "target"
    (tmp_path / "results").mkdir()
    assert run_command("backup", archive, tmp_path, database_url).exit_code == 0
    archive.write_bytes(archive.read_bytes()[:-15_000])
    result = run_command("restore", archive, target, restored_url)
    assert result.exit_code == 1
    assert "not whole" in result.stderr or "cannot be read" in result.stderr
    assert list(target.rglob("*.db")) == []
    if restored_url:
        assert run_command("backup", tmp_path / "b.tar", target, restored_url).exit_code == 1


@pytest.mark.postgres
def test_password_is_in_no_list_of_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in the place of pg_dump writes down its arguments and its environment."""
    program = tmp_path / "pg_dump"
    program.write_text(
        f'#!/bin/sh\n(echo "$@"; env; cat $PGSERVICEFILE) > {tmp_path}/seen\necho no >&2\nexit 1\n'
    )
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    engine = create_engine("postgresql+psycopg://u:s3cret%40@db.example/d?sslmode=require")
    with pytest.raises(PushMetricsConfigurationError, match="pg_dump failed: no"):
        dump_tables(engine, ["run"], tmp_path / "dump", snapshot="0-1")
    before, _, service_file = (tmp_path / "seen").read_text().partition("[pushmetrics]")
    assert "s3cret" not in before
    assert {"password=s3cret@", "user=u", "host=db.example", "dbname=d", "sslmode=require"} <= set(
        service_file.split()
    )


def test_missing_program_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_url: str | None
) -> None:
    if database_url is None:
        pytest.skip("PostgreSQL only")
    database = Database(database_url)
    database.migrate()
    database.close()
    (tmp_path / "results").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run_command("backup", tmp_path / "a.tar", tmp_path, database_url)
    assert result.exit_code == 1
    assert "'pg_dump' is not there: install the client programs" in result.stderr
    assert list(tmp_path.glob("*.tar*")) == []
