from __future__ import annotations

from pathlib import Path

import pytest

from airflow_provider_pushmetrics.commands.doctor.configuration import check_configuration, find_config_file
from airflow_provider_pushmetrics.get_provider_info import CONFIG_OPTIONS
from airflow_provider_pushmetrics.hooks.connection_check import Status

SECRET = "secret-token-0123456789"


def check(folder: Path, text: str, **environ: str) -> list[tuple[Status, str]]:
    (folder / "airflow.cfg").write_text(text, "utf-8")
    findings = check_configuration({"AIRFLOW_HOME": str(folder), **environ})
    said = "".join(finding.text + finding.way_out for finding in findings)
    assert SECRET not in said
    return [(finding.status, finding.text) for finding in findings]


@pytest.mark.parametrize("option", CONFIG_OPTIONS)
def test_single_percent_sign_is_found_with_what_it_stops(tmp_path: Path, option: str) -> None:
    ((status, text),) = check(tmp_path, f"[pushmetrics]\n{option} = {SECRET}%x\n")
    assert status is Status.FAILED
    assert f"option {option!r}" in text
    stops = option in {"token", "reader_token", "signing_secrets", "listen_database_url"}
    assert ("stops every Airflow process" in text, "the receiver in Airflow's API" in text) == (
        stops,
        not stops,
    )


@pytest.mark.parametrize(
    "text", ["", "[core]\nx = 5%\n", f"[pushmetrics]\ntoken = {SECRET}%%\n", "[pushmetrics]\n", "[a]\n[a]\n"]
)
def test_other_values_are_right(tmp_path: Path, text: str) -> None:
    assert [status for status, _ in check(tmp_path, text)] == [Status.OK]


def test_environment_takes_precedence_and_needs_no_escape(tmp_path: Path) -> None:
    found = check(tmp_path, "[pushmetrics]\ntoken = 5%\n", AIRFLOW__PUSHMETRICS__TOKEN=f"{SECRET}%")
    assert [status for status, _ in found] == [Status.OK]


@pytest.mark.parametrize("value", [f"~/{SECRET}", f"{SECRET}$HOME"])
def test_what_airflow_expands_is_a_warning(
    tmp_path: Path, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/srv/somebody")
    ((status, text),) = check(tmp_path, "", AIRFLOW__PUSHMETRICS__TOKEN=value)
    assert status is Status.WARNING
    assert "AIRFLOW__PUSHMETRICS__TOKEN" in text
    ((status, text),) = check(tmp_path, f"[pushmetrics]\ntoken = {value}\n")
    assert status is Status.WARNING


def test_file_that_is_no_configuration_is_a_failure(tmp_path: Path) -> None:
    ((status, _),) = check(tmp_path, "no section\n")
    assert status is Status.FAILED


def test_file_is_found_as_airflow_finds_it(tmp_path: Path) -> None:
    assert find_config_file({"AIRFLOW_CONFIG": "/etc/a.cfg", "AIRFLOW_HOME": "/x"}) == Path("/etc/a.cfg")
    assert find_config_file({"AIRFLOW_HOME": "/x"}) == Path("/x/airflow.cfg")
    assert find_config_file({}).name == "airflow.cfg"
    nested = {"AIRFLOW_HOME": "$PLACE/airflow", "PLACE": "${ROOT}/b", "ROOT": "/a"}
    assert find_config_file(nested) == Path("/a/b/airflow/airflow.cfg")
    assert find_config_file({**nested, "AIRFLOW_CONFIG": "$PLACE/x.cfg"}) == Path("/a/b/x.cfg")


def test_variable_that_names_itself_is_not_replaced_without_end() -> None:
    assert find_config_file({"AIRFLOW_HOME": "$AIRFLOW_HOME/x"}).name == "airflow.cfg"


def test_missing_file_or_section_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none.cfg"
    (finding,) = check_configuration({"AIRFLOW_HOME": str(tmp_path)})
    assert (finding.status, "there is no file" in finding.text) == (Status.OK, True)
    (finding,) = check_configuration({"AIRFLOW_CONFIG": str(missing)})
    assert (finding.status, str(missing) in finding.text) == (Status.WARNING, True)
    ((status, text),) = check(tmp_path, "[core]\n")
    assert (status, "has no section [pushmetrics]" in text) == (Status.OK, True)


def test_file_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    (finding,) = check_configuration({"AIRFLOW_CONFIG": str(tmp_path)})
    assert finding.status is Status.FAILED
