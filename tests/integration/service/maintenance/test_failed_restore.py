"""A restore that fails at each of its steps leaves nothing, or says what, and can be repeated."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from s3fs import S3FileSystem  # type: ignore[import-untyped]
from sqlalchemy import create_engine, inspect, select, text

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.app import build_app
from airflow_provider_pushmetrics.service.maintenance.backup import back_up
from airflow_provider_pushmetrics.service.maintenance.restore import REPEAT, restore
from airflow_provider_pushmetrics.service.maintenance.spare_ids import ID_GAP
from airflow_provider_pushmetrics.service.models import Run, Workspace
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.storage.database import SCHEMA_VERSION_TABLE, Database
from airflow_provider_pushmetrics.service.storage.schema import UNFINISHED_RESTORE, prepare_schema
from tests.fakes.fault_proxy import MOMENTS, Cut, FaultProxy, Moment, Statement
from tests.fakes.object_storage import BUCKET, S3Server, run_s3
from tests.fakes.postgres import make_database
from tests.fakes.postgres_programs import add_postgres_programs
from tests.fakes.service_reports import make_report, sql
from tests.integration.service.conftest import BASE_URL, open_client, run_parts
from tests.integration.service.maintenance.test_backup import KEY, run_command, run_report, wait_for_rows

RUNS = 3


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch, database_kind: str) -> None:
    if database_kind == "postgres":
        add_postgres_programs(monkeypatch)


@pytest.fixture
async def archive(tmp_path: Path, database_url: str | None) -> Path:
    """Give a backup of a service with some results."""
    first = tmp_path / "first"
    with run_parts(first, database_url=database_url, secret_keys=(KEY,), public_url=BASE_URL) as parts:
        made = make_report(parts.database, parts.cipher, first, q=sql("SELECT 42 AS n"))
        async with open_client(build_app(parts)) as client:
            for _ in range(RUNS):
                run_id = await run_report(client, made.id)
                await wait_for_rows(client, parts, made.id, run_id)
    back_up(ServiceSettings(first, database_url=database_url), tmp_path / "a.tar")
    return tmp_path / "a.tar"


def list_results(data_dir: Path) -> list[Path]:
    return list((data_dir / "results").glob("*/*.parquet"))


def check_nothing_is_left(data_dir: Path) -> None:
    assert [path for path in (data_dir / "results").rglob("*") if path.is_file()] == []
    assert list(data_dir.glob("service.db*")) == []
    assert list(data_dir.glob(".restore-*")) == []


def check_restored(settings: ServiceSettings) -> None:
    with closing(Database(settings.store_url)) as database, database.writing() as session:
        assert len(session.scalars(select(Run.id)).all()) == RUNS
        workspace = Workspace(name="after")
        session.add(workspace)
        session.flush()
        assert workspace.id > ID_GAP


only_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)


@only_sqlite
async def test_results_that_cannot_be_written_leave_nothing_behind(archive: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    in_the_way = target / "results" / f"run-{RUNS}"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.touch()
    failed = run_command("restore", archive, target, None)
    assert failed.exit_code == 1
    assert "the backup was not restored: " in failed.stderr
    assert str(in_the_way) in failed.stderr
    assert REPEAT in failed.stderr
    in_the_way.unlink()
    check_nothing_is_left(target)
    assert run_command("restore", archive, target, None).exit_code == 0
    check_restored(ServiceSettings(target))


def fail_to_name(*_: Any, **__: Any) -> None:
    raise OSError(28, "No space left on device")


def start_a_service_before(link: Callable[..., None]) -> Callable[..., None]:
    def name(source: Any, target: Any) -> None:
        Path(target).write_bytes(b"the service's")
        link(source, target)

    return name


@only_sqlite
async def test_database_that_cannot_be_named_leaves_nothing_behind(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", fail_to_name)
        failed = run_command("restore", archive, target, None)
    assert failed.exit_code == 1
    assert "No space left on device" in failed.stderr
    assert REPEAT in failed.stderr
    check_nothing_is_left(target)
    assert run_command("restore", archive, target, None).exit_code == 0
    check_restored(ServiceSettings(target))


@only_sqlite
async def test_interrupt_behind_the_last_step_leaves_nothing_behind(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    sync = os.fsync

    def interrupt_if_named(descriptor: int) -> None:
        if (target / "service.db").exists():
            raise KeyboardInterrupt
        sync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt_if_named)
        assert run_command("restore", archive, target, None).exit_code != 0
    check_nothing_is_left(target)
    assert run_command("restore", archive, target, None).exit_code == 0
    check_restored(ServiceSettings(target))


@only_sqlite
async def test_service_that_starts_meanwhile_keeps_its_database(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    monkeypatch.setattr(os, "link", start_a_service_before(os.link))
    failed = run_command("restore", archive, target, None)
    assert failed.exit_code == 1
    assert "a service has started meanwhile" in failed.stderr
    assert (target / "service.db").read_bytes() == b"the service's"
    assert list_results(target) == []


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with run_s3() as server:
        yield server


@only_sqlite
async def test_object_storage_that_refuses_a_result_keeps_none_of_the_backup(
    archive: Path, tmp_path: Path, server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    target, url = tmp_path / "target", f"s3://{BUCKET}/{tmp_path.name}"
    upload, names = S3FileSystem._put_file, list[str]()

    async def refuse_the_last(self: Any, source: str, path: str, **options: Any) -> None:
        if path.endswith(".parquet"):
            names.append(path)
            if len(names) == RUNS:
                raise PermissionError("Access Denied")
        await upload(self, source, path, **options)

    with monkeypatch.context() as patch:
        patch.setattr(S3FileSystem, "_put_file", refuse_the_last)
        failed = run_command("restore", archive, target, None, "--results-url", url)
    assert failed.exit_code == 1
    assert len(names) == RUNS, "some were written before"
    assert REPEAT in failed.stderr
    check_nothing_is_left(target)
    results = ResultStore.connect(target / "results", url)
    assert not results.has_any()
    assert results.list_owners() == []
    restored = run_command("restore", archive, target, None, "--results-url", url)
    assert restored.exit_code == 0, restored.stderr
    check_restored(ServiceSettings(target, results_url=url))


def list_cuts(sent: Mapping[Statement, int]) -> list[Cut]:
    """Choose the last statement of each kind that matters; of commits, also the first."""

    def choose(kind: str, moment: Moment, place: int = -1) -> Cut:
        found = [statement for statement in sent if statement[-1].lstrip().startswith(kind)]
        return Cut(found[place], 1, moment)

    return [
        choose("COMMIT", "after", 0),
        choose("TRUNCATE", "before"),
        choose("COPY", "before"),
        choose("SELECT setval", "after"),
        choose("UPDATE", "after"),
        *(choose("COMMIT", moment) for moment in MOMENTS),
    ]


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
async def test_database_that_breaks_off_at_a_statement_has_nothing_and_takes_the_backup_afterwards(
    archive: Path, tmp_path: Path, postgres_server_url: str
) -> None:
    with make_database(postgres_server_url) as url, FaultProxy.open(url) as proxy:
        through = ServiceSettings(tmp_path / "dry", database_url=proxy.url)
        proxy.arm()
        restore(through, archive)
        cuts = list_cuts(proxy.disarm())
    for number, cut in enumerate(cuts):
        with make_database(postgres_server_url) as url, FaultProxy.open(url) as proxy:
            target = tmp_path / str(number)
            proxy.arm(cut)
            with pytest.raises(PushMetricsConfigurationError) as failed:
                restore(ServiceSettings(target, database_url=proxy.url), archive)
            proxy.disarm()
            assert REPEAT in str(failed.value), str(cut)
            check_nothing_is_left(target)
            engine = create_engine(url)
            assert inspect(engine).get_table_names() == [], str(cut)
            engine.dispose()
            if cut is cuts[-1]:
                direct = ServiceSettings(target, database_url=url)
                restore(direct, archive)
                check_restored(direct)


@pytest.mark.postgres
@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
def test_no_service_starts_on_a_database_whose_restore_was_killed(database: Database, tmp_path: Path) -> None:
    mark = text(f"UPDATE {SCHEMA_VERSION_TABLE} SET version_num = :revision")
    with database.writing() as session:
        session.execute(mark, {"revision": UNFINISHED_RESTORE})
    for use in (
        lambda: prepare_schema(database, 0),
        lambda: back_up(ServiceSettings(tmp_path, database_url=database.url), tmp_path / "a.tar"),
    ):
        with pytest.raises(PushMetricsConfigurationError, match="was not restored to its end"):
            use()
