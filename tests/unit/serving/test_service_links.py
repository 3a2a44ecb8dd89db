from __future__ import annotations

import pytest

from airflow_provider_pushmetrics.serving.service_links import drop_service_links, find_service_links

OF_SERVICE_PUSHMETRICS = {
    "PUSHMETRICS_SERVICE_HOST": "10.0.0.11",
    "PUSHMETRICS_SERVICE_PORT": "80",
    "PUSHMETRICS_SERVICE_PORT_HTTP": "80",
    "PUSHMETRICS_PORT": "tcp://10.0.0.11:80",
    "PUSHMETRICS_PORT_80_TCP": "tcp://10.0.0.11:80",
    "PUSHMETRICS_PORT_80_TCP_ADDR": "10.0.0.11",
}
OF_SERVICE_RECEIVER = {
    "PUSHMETRICS_RECEIVER_SERVICE_HOST": "10.0.0.12",
    "PUSHMETRICS_RECEIVER_SERVICE_PORT": "8091",
    "PUSHMETRICS_RECEIVER_PORT": "tcp://10.0.0.12:8091",
    "PUSHMETRICS_RECEIVER_PORT_8091_TCP": "tcp://10.0.0.12:8091",
}
HOST_AND_PORT = ["PUSHMETRICS_SERVICE_HOST", "PUSHMETRICS_SERVICE_PORT"]


@pytest.mark.parametrize(
    ("environment", "found"),
    [
        ({}, []),
        (OF_SERVICE_PUSHMETRICS, HOST_AND_PORT),
        (OF_SERVICE_RECEIVER, ["PUSHMETRICS_RECEIVER_PORT"]),
        ({**OF_SERVICE_PUSHMETRICS, **OF_SERVICE_RECEIVER}, ["PUSHMETRICS_RECEIVER_PORT", *HOST_AND_PORT]),
        ({"PUSHMETRICS_SERVICE_PORT": "tcp://10.0.0.13:8090"}, ["PUSHMETRICS_SERVICE_PORT"]),
        ({"PUSHMETRICS_RECEIVER_PORT": "tcp://[fd00::1]:8091"}, ["PUSHMETRICS_RECEIVER_PORT"]),
        (
            {
                "PUSHMETRICS_SERVICE_HOST": "fd00::1",
                "PUSHMETRICS_SERVICE_PORT": "80",
                "PUSHMETRICS_PORT": "tcp://[fd00::1]:80",
            },
            HOST_AND_PORT,
        ),
    ],
)
def test_what_kubernetes_sets_is_found(environment: dict[str, str], found: list[str]) -> None:
    assert find_service_links(environment) == found


@pytest.mark.parametrize(
    "environment",
    [
        {"PUSHMETRICS_SERVICE_HOST": "0.0.0.0", "PUSHMETRICS_SERVICE_PORT": "8090"},
        {"PUSHMETRICS_RECEIVER_PORT": "8091"},
        {"PUSHMETRICS_RECEIVER_PORT": ""},
        {"PUSHMETRICS_RECEIVER_PORT": "tcp://"},
        {
            "PUSHMETRICS_SERVICE_HOST": "0.0.0.0",
            "PUSHMETRICS_SERVICE_PORT": "8090",
            "PUSHMETRICS_PORT": "tcp://10.0.0.11:80",
        },
    ],
)
def test_what_a_person_has_set_is_an_option(environment: dict[str, str]) -> None:
    assert find_service_links(environment) == []
    assert drop_service_links(environment) is None


def test_what_is_dropped_is_named_with_the_way_out() -> None:
    environment = {**OF_SERVICE_RECEIVER, "PUSHMETRICS_RECEIVER_TOKEN": "t"}
    warning = drop_service_links(environment)
    assert warning is not None
    assert warning.startswith("Warning: ignored PUSHMETRICS_RECEIVER_PORT: ")
    assert "enableServiceLinks: false" in warning
    assert environment.keys() == {*OF_SERVICE_RECEIVER, "PUSHMETRICS_RECEIVER_TOKEN"} - {
        "PUSHMETRICS_RECEIVER_PORT"
    }
