from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from demo.errors import DemoError
from demo.folder import DemoFolder
from demo.settings import (
    DemoCredentials,
    build_airflow_environment,
    build_base_environment,
    choose_ports,
    find_free_ports,
)

FOLDER = DemoFolder(Path("/somewhere/.demo"))
CREDENTIALS = replace(DemoCredentials(), trigger_token="trigger", signing_secret="whsec_c2VjcmV0")
SERVICE_VARIABLE, AIRFLOW_VARIABLE = "PUSHMETRICS_DEMO_SERVICE_PORT", "PUSHMETRICS_DEMO_AIRFLOW_PORT"


def build_base(**environ: str) -> dict[str, str]:
    return build_base_environment(environ, FOLDER, Path("/venv/bin"))


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
    assert name not in build_base(**{name: "x"})


def test_other_variables_are_kept_and_programs_and_folders_are_the_demos() -> None:
    base = build_base(LANG="C.UTF-8", PATH="/usr/bin", HOME="/someone", TMPDIR="/tmp")
    assert (base["LANG"], base["PATH"]) == ("C.UTF-8", "/venv/bin:/usr/bin")
    assert {base["HOME"], base["TMPDIR"], base["AIRFLOW_HOME"]} == {
        "/somewhere/.demo/home",
        "/somewhere/.demo/tmp",
        "/somewhere/.demo/airflow",
    }


def test_the_connection_and_the_receiver_have_what_they_need() -> None:
    airflow = build_airflow_environment(FOLDER, "http://127.0.0.1:9001", 9002, Path("/dags"), CREDENTIALS)
    assert json.loads(airflow["AIRFLOW_CONN_PUSHMETRICS_DEFAULT"]) == {
        "conn_type": "pushmetrics",
        "host": "http://127.0.0.1:9001",
        "password": CREDENTIALS.api_token,
        "extra": {
            "trigger_tokens": {"1": "trigger"},
            "receiver_url": "http://127.0.0.1:9002/pushmetrics",
            "receiver_token": CREDENTIALS.reader_token,
        },
    }
    assert {name: value for name, value in airflow.items() if name.startswith("AIRFLOW__PUSHMETRICS__")} == {
        "AIRFLOW__PUSHMETRICS__SOURCE": "demo",
        "AIRFLOW__PUSHMETRICS__SIGNING_SECRETS": "whsec_c2VjcmV0",
        "AIRFLOW__PUSHMETRICS__READER_TOKEN": CREDENTIALS.reader_token,
    }
    assert airflow["AIRFLOW__API__PORT"] == "9002"
    logs = {airflow[f"AIRFLOW__LOGGING__{part}_LOG_SERVER_PORT"] for part in ("WORKER", "TRIGGER")}
    assert len(logs - {"9001", "9002"}) == 2


def test_the_credentials_are_new_for_each_demo_and_do_not_show() -> None:
    other = DemoCredentials()
    secrets = [*CREDENTIALS.list_secrets(), *other.list_secrets()]
    assert len(set(secrets)) == 6 + 4
    assert [secret for secret in secrets if secret in repr(CREDENTIALS) + repr(other)] == []
    assert other.api_token.startswith("pmpat_")


@pytest.mark.parametrize("text", ["0", "65536", "-1", "http", "80.5", "9" * 5000])
def test_what_is_no_port_is_refused_with_the_variables_name(text: str) -> None:
    with pytest.raises(DemoError, match=rf"{SERVICE_VARIABLE}=.* is not a port: set a number from 1"):
        choose_ports({SERVICE_VARIABLE: text})


@pytest.mark.parametrize("address", ["127.0.0.1", ""])
def test_a_taken_port_is_named_with_the_variable_that_changes_it(address: str) -> None:
    with socket.socket() as listener:
        listener.bind((address, 0))
        listener.listen()
        taken = str(listener.getsockname()[1])
        message = rf"port {taken} of 127.0.0.1 is in use.*{SERVICE_VARIABLE}=\d+"
        with pytest.raises(DemoError, match=message):
            choose_ports({SERVICE_VARIABLE: taken})


def test_the_chosen_ports_are_those_of_the_environment_and_different() -> None:
    service, airflow = find_free_ports(2)
    assert choose_ports({SERVICE_VARIABLE: str(service), AIRFLOW_VARIABLE: f" {airflow} "}) == [
        service,
        airflow,
    ]
    with pytest.raises(DemoError, match=f"port {service} of 127.0.0.1 is in use.*{AIRFLOW_VARIABLE}="):
        choose_ports(dict.fromkeys((SERVICE_VARIABLE, AIRFLOW_VARIABLE), str(service)))
