from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_pushmetrics.demo.credentials import DemoCredentials, ReportAccess
from airflow_provider_pushmetrics.demo.environment import (
    build_airflow_environment,
    build_base_environment,
    build_service_environment,
)
from airflow_provider_pushmetrics.demo.folder import DemoFolder
from airflow_provider_pushmetrics.demo.processes.ports import DemoPorts

FOLDER = DemoFolder(Path("/somewhere/.demo"))
PORTS = DemoPorts(service=9001, airflow=9002, worker_logs=9003, triggerer_logs=9004)
CREDENTIALS = DemoCredentials(
    api_token="pmpat_api", reader_token="reader", airflow_password="password", airflow_jwt_secret="jwt"
)
ACCESS = ReportAccess(report_id="1", trigger_token="trigger", signing_secret="whsec_c2VjcmV0")


@pytest.fixture(name="airflow")
def build_airflow() -> dict[str, str]:
    return build_airflow_environment(
        {"PATH": "/bin"},
        folder=FOLDER,
        ports=PORTS,
        dags=Path("/dags"),
        credentials=CREDENTIALS,
        access=ACCESS,
    )


@pytest.mark.parametrize(
    "name",
    [
        "AIRFLOW__CORE__EXECUTOR",
        "AIRFLOW_CONN_PUSHMETRICS_DEFAULT",
        "PUSHMETRICS_SERVICE_PORT",
        "PYTHONPATH",
        "XDG_CACHE_HOME",
        "MAKEFLAGS",
    ],
)
def test_a_persons_own_settings_stay_out(name: str) -> None:
    assert name not in build_base_environment({name: "x"}, FOLDER, Path("/venv/bin"))


def test_other_variables_are_kept() -> None:
    base = build_base_environment({"LANG": "C.UTF-8"}, FOLDER, Path("/venv/bin"))
    assert base["LANG"] == "C.UTF-8"


def test_the_programs_of_the_virtual_environment_come_first() -> None:
    base = build_base_environment({"PATH": "/usr/bin"}, FOLDER, Path("/venv/bin"))
    assert base["PATH"] == "/venv/bin:/usr/bin"


def test_home_and_temporary_files_are_in_the_demos_folder() -> None:
    base = build_base_environment({"HOME": "/root", "TMPDIR": "/tmp"}, FOLDER, Path("/venv/bin"))
    assert {base["HOME"], base["TMPDIR"], base["AIRFLOW_HOME"]} == {
        "/somewhere/.demo/home",
        "/somewhere/.demo/tmp",
        "/somewhere/.demo/airflow",
    }


def test_renamed_processes_keep_the_environment_that_marks_them() -> None:
    assert build_base_environment({}, FOLDER, Path("/venv/bin"))["SPT_NOENV"] == "1"


def test_the_service_gets_its_first_token_and_no_other_credential() -> None:
    env = build_service_environment({"PATH": "/bin"}, CREDENTIALS)
    assert env == {"PATH": "/bin", "PUSHMETRICS_SERVICE_BOOTSTRAP_TOKEN": "pmpat_api"}


def test_the_connection_holds_what_the_provider_needs(airflow: dict[str, str]) -> None:
    assert json.loads(airflow["AIRFLOW_CONN_PUSHMETRICS_DEFAULT"]) == {
        "conn_type": "pushmetrics",
        "host": "http://127.0.0.1:9001",
        "password": "pmpat_api",
        "extra": {
            "trigger_tokens": {"1": "trigger"},
            "receiver_url": "http://127.0.0.1:9002/pushmetrics",
            "receiver_token": "reader",
        },
    }


def test_the_receiver_takes_what_the_service_signs(airflow: dict[str, str]) -> None:
    options = {name: value for name, value in airflow.items() if name.startswith("AIRFLOW__PUSHMETRICS__")}
    assert options == {
        "AIRFLOW__PUSHMETRICS__SOURCE": "demo",
        "AIRFLOW__PUSHMETRICS__SIGNING_SECRETS": "whsec_c2VjcmV0",
        "AIRFLOW__PUSHMETRICS__READER_TOKEN": "reader",
    }


def test_airflow_listens_on_the_chosen_ports(airflow: dict[str, str]) -> None:
    assert airflow["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert airflow["AIRFLOW__API__PORT"] == "9002"
    assert airflow["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:9002/execution/"
    assert airflow["AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT"] == "9003"
    assert airflow["AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT"] == "9004"


def test_a_demos_credentials_do_not_show_in_its_description() -> None:
    described = repr(CREDENTIALS) + repr(ACCESS)
    assert not [
        secret
        for secret in ("pmpat_api", "reader'", "password'", "jwt'", "trigger'", "whsec")
        if secret in described
    ]


def test_the_api_token_has_the_shape_of_a_personal_access_token() -> None:
    token = DemoCredentials.generate().api_token
    assert token.startswith("pmpat_")
    assert 40 <= len(token.removeprefix("pmpat_")) <= 64


def test_two_demos_share_no_credential() -> None:
    one, other = DemoCredentials.generate(), DemoCredentials.generate()
    assert one.api_token != other.api_token
    assert one.reader_token != other.reader_token
    assert one.airflow_password != other.airflow_password
