"""The rate limit of token exchanges, where it is set."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from airflow_provider_pushmetrics.service.app import build_app
from tests.fakes.service_process import run_ready_service
from tests.integration.service.conftest import BASE_URL, open_client, run_parts


async def test_one_call_too_many_is_told_when_to_come_back(tmp_path: Path, database_url: str | None) -> None:
    with run_parts(tmp_path, database_url=database_url, exchange_rate=1) as parts:
        async with open_client(build_app(parts)) as client:
            exchanged = [await client.post("/api/v1/security/exchange") for _ in range(2)]
    assert [answer.status_code for answer in exchanged] == [200, 429]
    assert exchanged[-1].json() == {"message": "Too many requests: try again later"}
    assert 0 < int(exchanged[-1].headers["retry-after"]) <= 60


@pytest.mark.slow
def test_a_header_of_the_client_gives_it_no_other_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUSHMETRICS_SERVICE_EXCHANGE_RATE", "2")
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")  # meant for Airflow's API server
    with run_ready_service(tmp_path / "data") as service:
        answers = [
            service.client.post("/api/v1/security/exchange", headers={"X-Forwarded-For": f"192.0.2.{number}"})
            for number in range(3)
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 429]


async def test_addresses_of_one_network_are_one_client(tmp_path: Path) -> None:
    with run_parts(tmp_path, exchange_rate=1) as parts:
        statuses = []
        for address in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1"):
            transport = httpx.ASGITransport(build_app(parts), client=(address, 1))
            async with httpx.AsyncClient(transport=transport, base_url=BASE_URL) as client:
                statuses.append((await client.post("/api/v1/security/exchange")).status_code)
    assert statuses == [401, 429, 401]
