"""The files of deleted runs go after their rows, also if the storage is away at that moment; others stay."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from airflow_provider_pushmetrics.service.app import build_app
from airflow_provider_pushmetrics.service.models import DeletedFolder, Report, Run, StandaloneQueryRun
from airflow_provider_pushmetrics.service.results.files.objects import ObjectFiles
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.results.stored_result import ResultError
from airflow_provider_pushmetrics.service.retention.cleanup import Cleanup
from airflow_provider_pushmetrics.service.retention.deleted_folders import FOLDER_BATCH, FolderDeletion
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.object_store import ObjectStore, ObjectStoreError
from tests.fakes.object_storage import BUCKET, S3Server, run_s3
from tests.fakes.relay import Relay
from tests.fakes.service_reports import MadeReport, sql
from tests.fakes.waiting import LIMIT_SECONDS
from tests.integration.service.conftest import Api, open_client, read_accepted, run_parts
from tests.integration.service.retention.test_cleanup import LONG_AGO, count_rows, put_runs

LATER, A_DAY_LATER = timedelta(minutes=6), timedelta(days=1, minutes=1)
YAML = {"Content-Type": "application/yaml"}
DELETED = ("report", "block", "workspace", "config")


@pytest.fixture
async def idle(tmp_path: Path, database_url: str | None) -> AsyncIterator[Api]:
    """Give a service without a worker: its test deletes the folders itself."""
    with run_parts(tmp_path / "data", database_url=database_url, executes=False) as parts:
        async with open_client(build_app(parts)) as client:
            yield Api(client, parts)


def delete_folders(
    database: Database, results: ResultStore, after: timedelta = timedelta(), *, workers: int = 1
) -> None:
    """Delete the folders that are due, as workers do after some time."""
    deletions = [
        FolderDeletion(database, results, clock=lambda _: datetime.now(UTC) + after) for _ in range(workers)
    ]
    if workers == 1:
        return deletions[0].run_once()
    threads = [threading.Thread(target=one.run_once) for one in deletions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def record_folders(database: Database, count: int) -> None:
    """Record folders of runs that are not there."""
    row = {"kind": "run", "due_on": LONG_AGO}
    with database.writing() as session:
        session.execute(insert(DeletedFolder), [{**row, "run_id": number + 1} for number in range(count)])


async def run_block(api: Api, made: MadeReport) -> str:
    """Record a run of a block that has ended, with a result, and give the name of its file."""
    run_id = await api.run_block(made.blocks["q"])
    with api.parts.database.writing() as session:
        session.execute(update(StandaloneQueryRun).values(status="success", finished_on=LONG_AGO))
    name = f"query-run-{run_id}/{made.blocks['q']}-a.parquet"
    api.parts.results.write_bytes(name, b"rows")
    return name


async def delete(api: Api, made: MadeReport, deleted: str) -> None:
    """Delete what a run is of, which must be a success."""
    if deleted == "config":
        path = f"/api/v1/report/{made.id}/config"
        answer = await api.client.put(path, content="name: emptied\nblocks: []", headers=YAML)
    else:
        reference = {"report": made.id, "block": made.blocks["q"], "workspace": 1}[deleted]
        answer = await api.client.delete(f"/api/v1/{deleted}/{reference}")
    read_accepted(answer)


@pytest.mark.parametrize("deleted", DELETED)
async def test_results_of_what_was_deleted_are_deleted_when_their_folder_is_back(
    idle: Api, tmp_path: Path, deleted: str
) -> None:
    made, parts = idle.make_report(q=sql("SELECT 1 AS n")), idle.parts
    name = await run_block(idle, made)
    folder, elsewhere = parts.settings.results_dir, tmp_path / "elsewhere"
    folder.rename(elsewhere)
    await delete(idle, made, deleted)
    assert count_rows(parts.database, StandaloneQueryRun, DeletedFolder) == [0, 1]
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            delete_folders(parts.database, parts.results, LATER)
        assert count_rows(parts.database, DeletedFolder) == [1]
        with parts.database.writing() as session:
            session.execute(update(DeletedFolder).values(due_on=LONG_AGO))
    elsewhere.rename(folder)
    assert (folder / name).exists()
    delete_folders(parts.database, parts.results)
    assert not (folder / name).parent.exists()
    assert count_rows(parts.database, DeletedFolder) == [0]


def test_nothing_is_forgotten_while_the_folder_of_results_is_not_mounted(
    database: Database, tmp_path: Path
) -> None:
    """The folder that something is mounted on stays, and is empty."""
    folder, elsewhere = tmp_path / "results", tmp_path / "elsewhere"
    store = ResultStore(folder)
    store.write_bytes("run-1/a.parquet", b"rows")
    record_folders(database, 1)
    folder.rename(elsewhere)
    folder.mkdir()
    for unmounted in (store, ResultStore(folder)):  # before and after a start of the service
        with pytest.raises(FileNotFoundError, match="not mounted"):
            delete_folders(database, unmounted, LATER)
        assert count_rows(database, DeletedFolder) == [1]
        with database.writing() as session:
            session.execute(update(DeletedFolder).values(due_on=LONG_AGO))
    folder.rmdir()
    elsewhere.rename(folder)
    delete_folders(database, store)
    assert not (folder / "run-1").exists()
    assert count_rows(database, DeletedFolder) == [0]


def test_folders_of_runs_without_results_are_forgotten(database: Database, tmp_path: Path) -> None:
    record_folders(database, 1)
    delete_folders(database, ResultStore(tmp_path / "new"))
    assert count_rows(database, DeletedFolder) == [0]


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with run_s3() as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("deleted", DELETED)
async def test_deletion_does_not_wait_for_object_storage_and_its_objects_go_when_it_is_back(
    server: S3Server, tmp_path: Path, database_url: str | None, deleted: str
) -> None:
    place = f"s3://{BUCKET}/{tmp_path.name}"
    with Relay.open(server.url) as relay, pytest.MonkeyPatch.context() as patch:
        for name, value in {**server.environment, "AWS_ENDPOINT_URL": relay.url}.items():
            patch.setenv(name, value)
        objects = ObjectStore.connect(place, monotonic=itertools.count(0, 100).__next__)
        impatient = ResultStore(tmp_path / "impatient", ObjectFiles(objects))
        settings = {"database_url": database_url, "results_url": place, "executes": False}
        with run_parts(tmp_path / "data", **settings) as parts:
            async with open_client(build_app(parts)) as client:
                api = Api(client, parts)
                made = api.make_report(q=sql("SELECT 1 AS n"))
                await run_block(api, made)
                with relay.be_down():
                    await delete(api, made, deleted)
                    assert count_rows(parts.database, StandaloneQueryRun, DeletedFolder) == [0, 1]
                    with pytest.raises(ObjectStoreError, match="does not answer"):
                        delete_folders(parts.database, impatient)
                    assert count_rows(parts.database, DeletedFolder) == [1]
                assert parts.results.has_any()
                delete_folders(parts.database, parts.results, LATER)
                assert not parts.results.has_any()
                assert count_rows(parts.database, DeletedFolder) == [0]


def test_object_storage_that_is_away_holds_up_no_row_beyond_the_retention(
    server: S3Server, database: Database, tmp_path: Path
) -> None:
    """Also with a retention of results of their own, whose files are listed first."""
    with Relay.open(server.url) as relay, pytest.MonkeyPatch.context() as patch:
        for name, value in {**server.environment, "AWS_ENDPOINT_URL": relay.url}.items():
            patch.setenv(name, value)
        objects = ObjectStore.connect(
            f"s3://{BUCKET}/{tmp_path.name}", monotonic=itertools.count(0, 100).__next__
        )
        store = ResultStore(tmp_path / "impatient", ObjectFiles(objects))
        put_runs(database, 3, status="success", created_on=LONG_AGO, finished_on=LONG_AGO)
        cleanup = Cleanup(database, store, ServiceSettings(tmp_path, result_retention_days=7))
        with relay.be_down(), pytest.raises(ObjectStoreError, match="does not answer"):
            cleanup.run_once()
        assert count_rows(database, Run, DeletedFolder) == [0, 3]


async def test_only_the_results_of_what_was_deleted_go(idle: Api) -> None:
    first, second = (idle.make_report(q=sql("SELECT 1 AS n")) for _ in range(2))
    gone, kept = [await run_block(idle, made) for made in (first, second)]
    await delete(idle, first, "report")
    delete_folders(idle.parts.database, idle.parts.results)
    assert idle.parts.results.find(gone) is None
    assert idle.parts.results.find(kept) is not None


async def test_result_that_a_worker_writes_after_the_deletion_is_deleted_a_day_later(idle: Api) -> None:
    made, parts = idle.make_report(q=sql("SELECT 1 AS n")), idle.parts
    token = await idle.get_trigger_token(made.id)
    answer = await idle.client.post(f"/api/v1/report/{made.id}/webhook?token={token}")
    name = f"run-{read_accepted(answer)['run_id']}/{made.blocks['q']}-late.parquet"
    await delete(idle, made, "report")
    delete_folders(parts.database, parts.results)
    assert count_rows(parts.database, Run, DeletedFolder) == [0, 1]
    parts.results.write_bytes(name, b"the worker was killed before it could record it")
    delete_folders(parts.database, parts.results, LATER)
    assert parts.results.find(name) is not None
    delete_folders(parts.database, parts.results, A_DAY_LATER)
    assert parts.results.find(name) is None
    assert count_rows(parts.database, DeletedFolder) == [0]


class WatchedStore(ResultStore):
    """Lets others write to the database while it deletes, and counts the transactions that are open then."""

    def __init__(self, folder: Path, database: Database) -> None:
        super().__init__(folder)
        self.database = database
        self.names: list[str] = []
        self.open_transactions: list[int] = []

    def delete_folders(self, names: Iterable[str]) -> None:
        names = list(names)
        self.open_transactions.append(self.database.engine.pool.checkedout())  # type: ignore[attr-defined]
        writer = threading.Thread(target=self._write, daemon=True)
        writer.start()
        writer.join(LIMIT_SECONDS)
        assert not writer.is_alive(), "others cannot write"
        self.names += names
        super().delete_folders(names)

    def _write(self) -> None:
        with self.database.writing() as session:
            session.execute(update(Report).values(name="written meanwhile"))


def test_no_transaction_is_open_while_the_storage_is_asked(database: Database, tmp_path: Path) -> None:
    count = FOLDER_BATCH + 3
    put_runs(database, count, status="success", created_on=LONG_AGO, finished_on=LONG_AGO)
    store = WatchedStore(tmp_path / "results", database)
    Cleanup(database, store, ServiceSettings(tmp_path)).run_once()
    delete_folders(database, store)
    assert sorted(store.names) == sorted(f"run-{number + 1}" for number in range(count))
    assert set(store.open_transactions) == {0}
    assert count_rows(database, Run, DeletedFolder) == [0, 0]


class CountingStore(ResultStore):
    """Counts how often each folder is deleted."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def delete_folders(self, names: Iterable[str]) -> None:
        names = list(names)
        with self._lock:
            self.counts.update(names)
        super().delete_folders(names)


def test_workers_that_delete_at_once_share_the_folders(database: Database, tmp_path: Path) -> None:
    count = 3 * FOLDER_BATCH + 7
    record_folders(database, count)
    store = CountingStore(tmp_path / "results")
    delete_folders(database, store, workers=3)
    assert store.counts == {f"run-{number + 1}": 1 for number in range(count)}
    assert count_rows(database, DeletedFolder) == [0]


def test_folder_of_a_run_that_is_there_again_is_kept(database: Database, tmp_path: Path) -> None:
    """Such as after the restore of a table by hand."""
    put_runs(database, 1, status="success", finished_on=datetime.now(UTC))
    store = ResultStore(tmp_path / "results")
    for folder in ("run-1", "run-2", "query-run-1"):
        store.write_bytes(f"{folder}/a.parquet", b"rows")
    record_folders(database, 2)
    delete_folders(database, store)
    assert [store.find(f"run-{number}/a.parquet") is None for number in (1, 2)] == [False, True]
    assert store.find("query-run-1/a.parquet") is not None
    assert count_rows(database, Run, DeletedFolder) == [1, 0]


def test_folder_that_cannot_be_deleted_keeps_no_other_one(database: Database, tmp_path: Path) -> None:
    store, in_the_way = ResultStore(tmp_path / "results"), tmp_path / "results" / "run-2"
    names = [f"run-{number}/a.parquet" for number in (1, 3, FOLDER_BATCH + 1)]
    for name in names:
        store.write_bytes(name, b"rows")
    in_the_way.touch()
    record_folders(database, FOLDER_BATCH + 1)
    with pytest.raises(NotADirectoryError):
        delete_folders(database, store)
    delete_folders(database, store)
    assert [store.find(name) for name in names] == [None] * 3
    assert count_rows(database, DeletedFolder) == [FOLDER_BATCH], "they are tried again"
    in_the_way.unlink()
    delete_folders(database, store, LATER)
    assert count_rows(database, DeletedFolder) == [0]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "run-1/..", "run-1/../../outside", "../outside", "/outside", "run-1/", "run-1\n"]
)
@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_nothing_outside_of_the_folder_of_results_is_deleted(
    database: Database, tmp_path: Path, name: str
) -> None:
    store, outside = ResultStore(tmp_path / "results"), tmp_path / "outside"
    store.write_bytes("run-1/a.parquet", b"rows")
    outside.mkdir()
    with pytest.raises(ResultError, match="is not the name of a folder of results"):
        store.delete_folders(["run-1", name])
    with database.writing() as session:  # SQLite stores a text in a column of integers
        row = {"kind": "run", "run_id": f"1/../{name}", "due_on": "2020-01-01 00:00:00.000000"}
        session.connection().exec_driver_sql(
            "INSERT INTO deleted_folder VALUES (:kind, :run_id, :due_on, 1)", row
        )
    with pytest.raises(ResultError):
        delete_folders(database, store)
    assert outside.is_dir()
    assert store.find("run-1/a.parquet") is not None
