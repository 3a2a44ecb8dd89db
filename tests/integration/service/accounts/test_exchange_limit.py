"""The rate limit of token exchanges, where it is set."""

from __future__ import annotations

from pathlib import Path

from airflow_provider_pushmetrics.service.app import build_app
from tests.integration.service.conftest import open_client, run_parts


async def test_one_call_too_many_is_told_when_to_come_back(tmp_path: Path, database_url: str | None) -> None:
    with run_parts(tmp_path, database_url=database_url, exchange_rate=1) as parts:
        async with open_client(build_app(parts)) as client:
            exchanged = [await client.post("/api/v1/security/exchange") for _ in range(2)]
    assert [answer.status_code for answer in exchanged] == [200, 429]
    assert exchanged[-1].json() == {"message": "Too many requests: try again later"}
    assert 0 < int(exchanged[-1].headers["retry-after"]) <= 60
