from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from demo.errors import DemoError
from demo.settings import choose_ports, find_free_ports

SERVICE_VARIABLE, AIRFLOW_VARIABLE = "PUSHMETRICS_DEMO_SERVICE_PORT", "PUSHMETRICS_DEMO_AIRFLOW_PORT"


@pytest.fixture(name="taken", params=["127.0.0.1", ""])
def take_port(request: pytest.FixtureRequest) -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((request.param, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_taken_port_is_named_with_the_variable_that_changes_it(taken: int) -> None:
    with pytest.raises(
        DemoError, match=rf"port {taken} of 127.0.0.1 is in use.*PUSHMETRICS_DEMO_SERVICE_PORT=\d+"
    ):
        choose_ports({SERVICE_VARIABLE: str(taken)})


def test_the_chosen_ports_are_those_of_the_environment() -> None:
    service, airflow = find_free_ports(2)
    assert choose_ports({SERVICE_VARIABLE: str(service), AIRFLOW_VARIABLE: str(airflow)}) == (
        service,
        airflow,
    )
