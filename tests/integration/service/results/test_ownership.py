"""Whose the results of a place are: of one installation, with all of its machines."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.results.ownership import claim_results, find_installation
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.runtime import assemble
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.storage.database import Database
from tests.fakes.object_storage import BUCKET, S3Server, run_s3
from tests.fakes.waiting import LIMIT_SECONDS
from tests.integration.service.conftest import run_parts

RESULT = "run-1/a-b.parquet"
REFUSED = "has the results of another installation of the service, with another database"


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with run_s3() as server:
        yield server


@pytest.fixture(params=["folder", "object storage"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Give the URL of a place for results."""
    if request.param == "folder":
        return (tmp_path / "shared").as_uri()
    server: S3Server = request.getfixturevalue("server")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{tmp_path.name}"


def open_store(place: str, folder: Path) -> ResultStore:
    """Open the store as a machine does that has a data folder of its own."""
    if place.startswith("file:"):
        return ResultStore(Path(place.removeprefix("file://")))
    return ResultStore.connect(folder, place)


def fail_to_start(data_dir: Path, place: str) -> str:
    """Start a service, which must be refused, and give the reason."""
    parts = assemble(ServiceSettings(data_dir, results_url=place, executes=False))
    with pytest.raises(PushMetricsConfigurationError, match=REFUSED) as refused:
        parts.start()
    assert parts.stop()
    return str(refused.value)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_service_does_not_start_on_results_of_another_database(
    place: str, tmp_path: Path, database_kind: str
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for _ in range(2):  # also at its second start
        with run_parts(first, results_url=place, executes=False) as parts:
            parts.results.write_bytes(RESULT, b"rows")
    (owner,) = parts.results.list_owners()
    for _ in range(2):
        assert f"'owner/{owner}' (since 20" in fail_to_start(second, place)
    assert parts.results.find(RESULT) is not None
    parts.results.delete_owner(owner)  # as the message says
    with run_parts(second, results_url=place, executes=False) as parts:
        assert parts.results.find(RESULT) is not None
    fail_to_start(first, place)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
def test_place_with_results_of_a_version_without_marks_is_taken(
    place: str, tmp_path: Path, database_kind: str
) -> None:
    open_store(place, tmp_path / "results").write_bytes(RESULT, b"rows")
    with run_parts(tmp_path, results_url=place, executes=False) as parts:
        assert parts.results.list_owners() == [find_installation(parts.database)]
        assert parts.results.find(RESULT) is not None


@pytest.mark.postgres
@pytest.mark.parametrize("database_kind", ["postgres"], indirect=True)
def test_machines_of_one_installation_share_a_place(
    place: str, tmp_path: Path, database_url: str | None
) -> None:
    settings = {"database_url": database_url, "results_url": place, "executes": False}
    with run_parts(tmp_path / "1", **settings) as first, run_parts(tmp_path / "2", **settings) as second:
        assert first.results.list_owners() == second.results.list_owners() != []


def test_processes_that_start_at_once_agree_on_the_installation_and_its_mark(
    database: Database, url: str, tmp_path: Path
) -> None:
    found: list[str] = []
    barrier = threading.Barrier(4, timeout=LIMIT_SECONDS)

    def start() -> None:
        own = Database(url)
        barrier.wait()
        uid = find_installation(own)
        claim_results(ResultStore(tmp_path / "results"), uid)
        found.append(uid)
        own.close()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [find_installation(database)] * 4
    assert ResultStore(tmp_path / "results").list_owners() == [find_installation(database)]


class MeetingStore(ResultStore):
    """Lets both of two installations find no mark before either writes its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.barrier = threading.Barrier(2, timeout=LIMIT_SECONDS)
        self.have_met = threading.local()

    def list_owners(self) -> list[str]:
        owners = super().list_owners()
        if not hasattr(self.have_met, "here"):
            self.have_met.here = True
            self.barrier.wait()
        return owners


def test_of_two_installations_that_mark_a_place_at_once_none_is_unaware_of_the_other(tmp_path: Path) -> None:
    store = MeetingStore(tmp_path / "results")
    taken: list[str] = []
    refusals: list[str] = []

    def claim(uid: str) -> None:
        try:
            claim_results(store, uid)
        except PushMetricsConfigurationError as refused:
            refusals.append(str(refused))
        else:
            taken.append(uid)

    threads = [threading.Thread(target=claim, args=(uid,)) for uid in ("first", "second")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) <= 1
    assert len(refusals) == 2 - len(taken)
    assert all(REFUSED in refusal for refusal in refusals)
    assert ResultStore(tmp_path / "results").list_owners() == taken


def test_mark_in_a_folder_whose_file_system_is_not_mounted_does_not_look_like_results(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    store = ResultStore(tmp_path / "results")
    claim_results(store, "first")
    with pytest.raises(FileNotFoundError, match="not mounted"):
        store.delete_folders(["run-1"])
    shutil.rmtree(tmp_path / "results" / "owner")
    claim_results(store, "second")
    assert store.list_owners() == ["second"]
