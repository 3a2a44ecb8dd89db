"""The rate limit of token exchanges, where it is set."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from airflow_provider_pushmetrics.service.app import build_app
from airflow_provider_pushmetrics.service.runtime import assemble
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from tests.fakes.service_process import API_TOKEN
from tests.integration.service.conftest import BASE_URL


async def test_one_call_too_many_is_told_when_to_come_back(tmp_path: Path, database_url: str | None) -> None:
    settings = ServiceSettings(
        tmp_path, database_url=database_url, bootstrap_token=API_TOKEN, exchange_rate=1
    )
    parts = assemble(settings)
    await asyncio.to_thread(parts.start)
    headers = {"Authorization": f"Bearer {API_TOKEN}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(build_app(parts)), base_url=BASE_URL, headers=headers
    ) as client:
        exchanged = [await client.post("/api/v1/security/exchange") for _ in range(2)]
    assert [answer.status_code for answer in exchanged] == [200, 429]
    assert exchanged[-1].json() == {"message": "Too many requests: try again later"}
    assert 0 < int(exchanged[-1].headers["retry-after"]) <= 60
    assert await asyncio.to_thread(parts.stop)
