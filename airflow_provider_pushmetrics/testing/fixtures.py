"""The fixtures: load this module as a plugin of pytest."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_pushmetrics.testing.ids import keep_ids_free
from airflow_provider_pushmetrics.testing.isolation import SUBSCRIPTION
from airflow_provider_pushmetrics.testing.kit import PushMetricsKit
from airflow_provider_pushmetrics.testing.servers import (
    RunningReceiver,
    RunningService,
    run_receiver_in,
    run_service,
)

EVENTS = ["report.run", "query.run"]
"""Those that sensors and assets wait for."""


@pytest.fixture(scope="session")
def pushmetrics_receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningReceiver]:
    """Give a receiver, which runs until the last test."""
    with run_receiver_in(tmp_path_factory.mktemp("pushmetrics-receiver")) as receiver:
        yield receiver


@pytest.fixture(scope="session")
def pushmetrics_service(
    tmp_path_factory: pytest.TempPathFactory, pushmetrics_receiver: RunningReceiver
) -> Iterator[RunningService]:
    """Give a service with a worker, which runs until the last test and sends its events to the receiver."""
    with run_service(tmp_path_factory.mktemp("pushmetrics-service")) as service:
        keep_ids_free(service.database)
        kit = PushMetricsKit(service, pushmetrics_receiver, lambda name, value: None)
        kit.request(
            "POST",
            "/api/v1/webhook_subscription/",
            {"name": SUBSCRIPTION, "url": pushmetrics_receiver.delivery_url, "events": EVENTS},
        )
        kit.close()
        yield service


@pytest.fixture
def pushmetrics(
    pushmetrics_service: RunningService,
    pushmetrics_receiver: RunningReceiver,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[PushMetricsKit]:
    """Give the kit; the connection ``pushmetrics_default`` leads to its service during the test."""
    kit = PushMetricsKit(pushmetrics_service, pushmetrics_receiver, monkeypatch.setenv)
    kit.refuse_another_connection()
    yield kit
    kit.close()
