"""The port of a worker for probes and Prometheus."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes.relay import open_relay
from tests.fakes.service_process import find_free_port, run_worker
from tests.fakes.waiting import LIMIT_SECONDS, wait_until

pytestmark = pytest.mark.postgres


@pytest.mark.slow
def test_worker_tells_how_it_is_and_how_much_work_waits(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = find_free_port()
    with (
        open_relay(postgres_url) as relay,
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
            worker.terminate()
            assert worker.wait(timeout=LIMIT_SECONDS) == 0
