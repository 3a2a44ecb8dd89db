from __future__ import annotations

import sys
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.commands.doctor.cli import write_lines
from airflow_provider_pushmetrics.commands.doctor.environment import (
    check_event_filters,
    check_versions,
    list_extras,
    list_missing,
)
from airflow_provider_pushmetrics.commands.doctor.scheduling import judge_heartbeat
from airflow_provider_pushmetrics.hooks.connection_check import Finding, Status


def test_versions_are_those_of_this_environment() -> None:
    versions, extras = check_versions()
    assert versions.status is Status.OK
    assert f"Python {sys.version_info.major}.{sys.version_info.minor}" in versions.text
    assert extras.status is Status.OK


def test_extra_is_complete_only_if_all_that_it_needs_is_installed() -> None:
    assert {"receiver", "service", "snowflake"} <= set(list_extras())
    assert list_missing("openlineage") == []
    assert list_missing("snowflake") == ["adbc-driver-snowflake"]


@pytest.fixture(name="dags")
def write_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "filters_in_dags.py").write_text("def is_wanted(body):\n    return True\n", "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_event_filter_is_imported_here(dags: Path) -> None:
    found = check_event_filters(["os.path.exists", "filters_in_dags.is_wanted", "nowhere.f"], [dags])
    by_text = {finding.text.split()[0]: finding for finding in found}
    assert by_text["os.path.exists"].status is Status.OK
    assert by_text["filters_in_dags.is_wanted"].status is Status.WARNING
    (failed,) = [finding for finding in by_text.values() if finding.status is Status.FAILED]
    assert "'nowhere.f'" in failed.text


def test_event_filter_that_a_module_in_the_dags_folder_only_imports_is_in_it_too(dags: Path) -> None:
    (dags / "filters_of_others.py").write_text("from os.path import exists\n", "utf-8")
    (finding,) = check_event_filters([" filters_of_others.exists "], [dags])
    assert (finding.status, "filters_of_others.exists is in" in finding.text) == (Status.WARNING, True)


def test_event_filter_that_is_installed_in_an_environment_in_the_dags_folder_is_right(
    dags: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = dags / ".venv" / "lib" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "filters_installed.py").write_text("def is_wanted(body):\n    return True\n", "utf-8")
    monkeypatch.syspath_prepend(str(packages))
    (finding,) = check_event_filters(["filters_installed.is_wanted"], [dags])
    assert finding.status is Status.OK


@pytest.mark.parametrize(("age", "status"), [(1.0, Status.OK), (7.0, Status.OK), (7.5, Status.WARNING)])
def test_overdue_report_of_the_scheduler_is_a_warning(age: float, status: Status) -> None:
    finding = judge_heartbeat(age, 7.0, 30.0)
    assert finding.status is status
    assert "after which a deferred task is resumed" in finding.text


def test_scheduler_that_has_not_reported_for_longer_than_airflow_allows_is_a_failure() -> None:
    finding = judge_heartbeat(31.0, 40.0, 30.0)
    assert finding.status is Status.FAILED
    assert "no scheduler is alive" in finding.text


def test_row_has_the_latency_and_the_way_out() -> None:
    rows = list(write_lines(Finding("host", Status.FAILED, "no", "Do it.", 0.0123)))
    assert rows[0].split() == ["failed", "host", "no", "(12", "ms)"]
    assert rows[1].strip() == "-> Do it."


def test_row_does_not_repeat_a_long_part_that_its_text_begins_with() -> None:
    part = "trigger token of report '1'"
    assert list(write_lines(Finding(part, Status.OK, f"{part} works"))) == [f"ok       {part} works"]
