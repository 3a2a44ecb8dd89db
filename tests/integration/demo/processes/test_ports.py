from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from airflow_provider_pushmetrics.demo.processes.ports import (
    SERVICE_PORT,
    choose_ports,
    find_free_port_set,
    find_free_ports,
    is_port_free,
)
from airflow_provider_pushmetrics.exceptions import DemoError


@pytest.fixture(name="taken", params=["127.0.0.1", ""])
def take_port(request: pytest.FixtureRequest) -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((request.param, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_taken_port_is_not_free(taken: int) -> None:
    assert not is_port_free(taken)


def test_a_taken_port_is_named_with_the_variable_that_changes_it(taken: int) -> None:
    with pytest.raises(
        DemoError, match=rf"port {taken} of 127.0.0.1 is in use.*PUSHMETRICS_DEMO_SERVICE_PORT=\d+"
    ):
        SERVICE_PORT.require_free(taken)


def test_the_chosen_ports_are_taken_from_the_environment() -> None:
    service, airflow = find_free_ports(2)
    environ = {"PUSHMETRICS_DEMO_SERVICE_PORT": str(service), "PUSHMETRICS_DEMO_AIRFLOW_PORT": str(airflow)}
    ports = choose_ports(environ)
    assert (ports.service, ports.airflow) == (service, airflow)
    assert len({ports.service, ports.airflow, ports.worker_logs, ports.triggerer_logs}) == 4


def test_free_ports_are_different_and_free() -> None:
    ports = find_free_port_set()
    numbers = {ports.service, ports.airflow, ports.worker_logs, ports.triggerer_logs}
    assert len(numbers) == 4
    assert all(is_port_free(number) for number in numbers)
