"""The port of a worker for probes and Prometheus."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, event

from airflow_provider_pushmetrics.service.processes.worker_health import build_health_app
from airflow_provider_pushmetrics.service.runtime import assemble
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from tests.fakes.relay import Relay
from tests.fakes.service_process import find_free_port, run_worker
from tests.fakes.waiting import LIMIT_SECONDS, wait_until

pytestmark = pytest.mark.postgres

IDLE_CONNECTIONS = 50


@pytest.mark.slow
def test_worker_tells_how_it_is_and_how_much_work_waits(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = find_free_port()
    with (
        Relay.open(postgres_url) as relay,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=LIMIT_SECONDS, trust_env=False) as client,
    ):
        (tmp_path / "url").write_text(relay.url + "\n", "utf-8")
        monkeypatch.setenv("PUSHMETRICS_SERVICE_DATABASE_URL_FILE", str(tmp_path / "url"))

        def find_status(name: str) -> int:
            try:
                return client.get(f"/health/{name}").status_code
            except httpx.TransportError:
                return 0

        with run_worker(tmp_path / "data", "--health-port", str(port)) as worker:
            wait_until(lambda: find_status("ready") == 200)
            families = text_string_to_metric_families(client.get("/metrics").raise_for_status().text)
            samples = {sample.name: sample.value for family in families for sample in family.samples}
            assert samples["pushmetrics_service_workers"] == 1
            assert samples["pushmetrics_service_work_lag_seconds"] == 0
            with relay.be_down():
                wait_until(lambda: find_status("ready") == 503)
                assert find_status("live") == 200
                assert client.get("/metrics").status_code == 503
            wait_until(lambda: find_status("ready") == 200)
            with ExitStack() as stack:
                address = ("127.0.0.1", port)
                idle = [
                    stack.enter_context(socket.create_connection(address, timeout=LIMIT_SECONDS))
                    for _ in range(IDLE_CONNECTIONS)
                ]
                assert [find_status("live"), find_status("ready")] == [200, 200]
                assert {one.recv(12) for one in idle} == {b"HTTP/1.1 408"}
            worker.terminate()
            assert worker.wait(timeout=LIMIT_SECONDS) == 0


@pytest.mark.parametrize("path", ["/health/ready", "/metrics"])
async def test_requests_at_a_time_share_one_look_at_the_database(
    tmp_path: Path, postgres_url: str, path: str
) -> None:
    """Anybody may ask, so fifty who ask must not take the connections of runs."""
    parts = assemble(ServiceSettings(tmp_path, database_url=postgres_url))
    parts.prepare()
    transport = httpx.ASGITransport(build_health_app(parts))
    begun: list[object] = []

    def record(connection: object) -> None:
        begun.append(connection)

    event.listen(Engine, "begin", record)
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://worker") as client:
            answers = await asyncio.gather(*(client.get(path) for _ in range(50)))
    finally:
        event.remove(Engine, "begin", record)
        parts.stop()
    assert len({answer.content for answer in answers}) == 1
    assert 1 <= len(begun) < 50
