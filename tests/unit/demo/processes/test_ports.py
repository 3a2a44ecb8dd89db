from __future__ import annotations

import pytest

from airflow_provider_pushmetrics.demo.processes.ports import (
    AIRFLOW_PORT,
    SERVICE_PORT,
    DemoPorts,
    choose_ports,
)
from airflow_provider_pushmetrics.exceptions import DemoError


def test_ports_have_defaults() -> None:
    assert (SERVICE_PORT.read({}), AIRFLOW_PORT.read({})) == (8090, 8080)


def test_an_empty_variable_means_the_default() -> None:
    assert AIRFLOW_PORT.read({"PUSHMETRICS_DEMO_AIRFLOW_PORT": " "}) == 8080


def test_a_variable_sets_the_port() -> None:
    assert SERVICE_PORT.read({"PUSHMETRICS_DEMO_SERVICE_PORT": "9123"}) == 9123


@pytest.mark.parametrize("text", ["0", "65536", "-1", "http", "80.5", "٨٠", "9" * 5000])
def test_what_is_no_port_is_refused_with_the_variables_name(text: str) -> None:
    with pytest.raises(
        DemoError, match=r"PUSHMETRICS_DEMO_AIRFLOW_PORT=.* is not a port: set a number from 1"
    ):
        AIRFLOW_PORT.read({"PUSHMETRICS_DEMO_AIRFLOW_PORT": text})


def test_the_same_port_for_both_is_refused() -> None:
    environ = {"PUSHMETRICS_DEMO_SERVICE_PORT": "9123", "PUSHMETRICS_DEMO_AIRFLOW_PORT": "9123"}
    with pytest.raises(DemoError, match=r"are both 9123: set different ports"):
        choose_ports(environ)


def test_urls_are_on_the_loopback_interface() -> None:
    ports = DemoPorts(service=1, airflow=2, worker_logs=3, triggerer_logs=4)
    assert (ports.service_url, ports.airflow_url) == ("http://127.0.0.1:1", "http://127.0.0.1:2")
