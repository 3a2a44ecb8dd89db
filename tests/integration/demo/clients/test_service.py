from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_pushmetrics.demo.clients.service import ServiceApi
from airflow_provider_pushmetrics.exceptions import DemoError
from tests.integration.demo.conftest import FakeServer


@pytest.fixture(name="service")
def make_service(server: FakeServer) -> Iterator[ServiceApi]:
    service = ServiceApi(server.url, "pmpat_x")
    yield service
    service.close()


def offer_trigger(server: FakeServer, *, report_id: int = 1, active: bool = True) -> None:
    server.will_answer("GET", "/api/v1/webhook/", {"count": 1, "ids": [3], "result": [{"id": 3}]})
    row = {"id": 3, "report_id": report_id, "active": active, "token": "trigger"}
    server.will_answer("GET", "/api/v1/webhook/3", {"id": 3, "result": row})


def test_readiness_is_not_there_until_it_is(server: FakeServer, service: ServiceApi) -> None:
    assert service.find_readiness() is None
    server.will_answer("GET", "/health/ready", {"status": "ok"})
    assert service.find_readiness() is True


def test_opening_the_report_gives_its_trigger_and_the_signing_secret(
    server: FakeServer, service: ServiceApi
) -> None:
    offer_trigger(server)
    server.will_answer("POST", "/api/v1/webhook_subscription/", {"id": 1, "signing_secret": "whsec_x"}, 201)
    access = service.open_report("http://127.0.0.1:1/pushmetrics/webhooks/demo")
    assert (access.report_id, access.trigger_token, access.signing_secret) == ("1", "trigger", "whsec_x")
    assert server.requests[-1][3] == {
        "name": "Airflow",
        "url": "http://127.0.0.1:1/pushmetrics/webhooks/demo",
        "events": ["report.run"],
        "active": True,
    }
    assert all(headers["Authorization"] == "Bearer pmpat_x" for _, _, headers, _ in server.requests)


@pytest.mark.parametrize(("report_id", "active"), [(2, True), (1, False)])
def test_a_report_without_an_enabled_trigger_is_an_error(
    server: FakeServer, service: ServiceApi, report_id: int, active: bool
) -> None:
    offer_trigger(server, report_id=report_id, active=active)
    with pytest.raises(DemoError, match="report 1 has no enabled trigger"):
        service.open_report("http://127.0.0.1:1/")
