"""Two restores to one place at once: the second one is refused, and the first one is whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.service.maintenance.restore import restore
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.storage.data_folder import lock_folder
from tests.fakes.archive_reading import act_when_an_archive_is_read
from tests.integration.service.conftest import run_parts
from tests.integration.service.maintenance.test_backup import KEY, restored_url, run_command
from tests.integration.service.maintenance.test_failed_restore import (
    RUNS,
    archive,
    check_restored,
    list_results,
    programs,
)

__all__ = ["archive", "programs", "restored_url"]  # fixtures


async def test_second_restore_to_a_place_is_refused_and_the_first_one_is_whole(
    archive: Path, tmp_path: Path, restored_url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ServiceSettings(tmp_path / "target", database_url=restored_url)
    refusals: list[str] = []

    def restore_too() -> None:
        with pytest.raises(PushMetricsConfigurationError) as refused:
            restore(settings, archive)
        refusals.append(str(refused.value))

    act_when_an_archive_is_read(monkeypatch, restore_too)
    first = run_command("restore", archive, settings.data_dir, restored_url)
    assert first.exit_code == 0, first.output
    (refusal,) = refusals
    assert ("in use by another service or restore" in refusal) == (restored_url is None)
    assert ("another restore to this database is running" in refusal) == (restored_url is not None)
    assert len(list_results(settings.data_dir)) == RUNS
    check_restored(settings)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_restore_of_another_database_to_the_same_results_is_refused_and_the_first_one_is_whole(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one begins when the first one has found the place empty, and written no result."""
    shared = (tmp_path / "shared").as_uri()
    first, second = (ServiceSettings(tmp_path / name, results_url=shared) for name in ("target", "other"))
    refusals: list[str] = []

    def restore_too() -> None:
        with pytest.raises(PushMetricsConfigurationError) as refused:
            restore(second, archive)
        refusals.append(str(refused.value))

    act_when_a_result_is_put(monkeypatch, restore_too)
    assert restore(first, archive) == RUNS
    (refusal,) = refusals
    assert "has the results of another installation" in refusal
    assert "Choose another place with --results-url" in refusal
    assert len(list((tmp_path / "shared").glob("*/*.parquet"))) == RUNS
    assert not second.database_file.exists()
    check_restored(first)
    with run_parts(first.data_dir, results_url=shared, secret_keys=(KEY,)) as parts:
        assert len(parts.results.list_owners()) == 1


def act_when_a_result_is_put(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Act once, before the next result gets its name."""
    rename, due = Path.rename, [act]

    def rename_(path: Path, target: Path) -> Path:
        if due and target.suffix == ".parquet":
            due.pop()()
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", rename_)


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True)
async def test_no_service_starts_on_a_folder_to_which_a_backup_is_restored(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ServiceSettings(tmp_path / "target")

    def start() -> None:
        with pytest.raises(PushMetricsConfigurationError, match="in use by another service or restore"):
            lock_folder(settings.data_dir)

    act_when_an_archive_is_read(monkeypatch, start)
    assert restore(settings, archive) == RUNS
    with lock_folder(settings.data_dir):
        check_restored(settings)


@pytest.mark.slow
async def test_results_that_another_restore_has_written_meanwhile_are_kept(
    archive: Path, tmp_path: Path, restored_url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one to the same results, and to another database."""
    settings = ServiceSettings(tmp_path / "target", database_url=restored_url)
    other = settings.data_dir / "results" / "run-1" / "of-another-restore.parquet"

    def write() -> None:
        other.parent.mkdir(parents=True)
        other.write_bytes(b"rows")

    act_when_an_archive_is_read(monkeypatch, write)
    refused = run_command("restore", archive, settings.data_dir, restored_url)
    assert refused.exit_code == 1
    assert "has results: restore to an empty place" in refused.stderr
    assert list_results(settings.data_dir) == [other]
