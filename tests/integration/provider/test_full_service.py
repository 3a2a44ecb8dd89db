"""The hook against a real service that has no room for one more run."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytest.importorskip("fastapi", reason="the service's libraries")
pytest.importorskip("sqlalchemy", minversion="2.0", reason="the service's libraries")

from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.service.app import build_app
from airflow_provider_pushmetrics.service.runtime import ServiceParts, assemble
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from tests.fakes.loopback import LoopbackServer
from tests.fakes.service_process import API_TOKEN
from tests.fakes.service_reports import TRIGGER_TOKEN, make_report, text
from tests.fakes.waiting import LIMIT_SECONDS, wait_until
from tests.integration.provider.conftest import Connect


@pytest.fixture
def parts(tmp_path: Path, server: LoopbackServer, connect: Connect) -> Iterator[ServiceParts]:
    """Serve a service without a worker, in which one run may wait, and connect to it."""
    parts = assemble(ServiceSettings(tmp_path, bootstrap_token=API_TOKEN, executes=False, max_pending_runs=1))
    parts.start()
    server.app = build_app(parts)
    made = make_report(parts.database, parts.cipher, tmp_path, note=text("hello"))
    connect(password=API_TOKEN, trigger_tokens={str(made.id): TRIGGER_TOKEN})
    yield parts
    parts.stop()


@pytest.mark.slow  # it waits as long as the service asks
def test_hook_waits_for_room_and_starts_its_run_once(
    parts: ServiceParts, server: LoopbackServer, caplog: pytest.LogCaptureFixture
) -> None:
    first = PushMetricsHook().trigger_report(1).run_id

    def make_room() -> None:
        wait_until(lambda: "retrying" in caplog.text)
        headers = {"Authorization": f"Bearer {API_TOKEN}"}
        url = f"{server.url}/api/v1/noteflow_run/{first}/cancel"
        httpx.post(url, headers=headers, timeout=LIMIT_SECONDS).raise_for_status()

    other = threading.Thread(target=make_room)
    other.start()
    second = PushMetricsHook().trigger_report(1).run_id
    other.join()
    assert [run.id for run in PushMetricsHook().fetch_runs(1)] == [second, first]
    assert "wait for a worker, and at most 1 may" in caplog.text
    assert "retrying in 10.0 s (attempt 1)" in caplog.text
    assert "attempt 2" not in caplog.text
    assert TRIGGER_TOKEN not in caplog.text
