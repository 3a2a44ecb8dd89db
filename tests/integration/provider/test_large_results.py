"""Proof 18: neither a worker's memory nor an XCom grows with the result."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from starlette.responses import Response

from airflow_provider_pushmetrics.hooks.results import FORMATS
from airflow_provider_pushmetrics.transfers.pushmetrics import PushMetricsToObjectStorageOperator
from tests.fakes.pushmetrics import FakePushMetrics
from tests.fakes.service_process import API_TOKEN, run_service
from tests.integration.provider.conftest import Connect

MEGABYTES = 100
MAX_MIB = 48
MAX_XCOM_BYTES = 48_000
MANY = 100


@pytest.mark.slow
def test_a_worker_needs_no_more_memory_for_a_large_result(tmp_path: Path) -> None:
    pytest.importorskip("duckdb", reason="the benchmark's parts need the service's libraries")
    from benchmarks.provider_results import WARM_UP, run_side
    from benchmarks.servers import TOKEN, serve_results

    with serve_results() as url:
        large = WARM_UP.removesuffix("1") + str(MEGABYTES)
        side = run_side(url, TOKEN, str(tmp_path), WARM_UP, large)
    assert (tmp_path / "operator.parquet").stat().st_size >= MEGABYTES * 1_000_000
    assert side.mib <= MAX_MIB
    assert side.returned_bytes <= MAX_XCOM_BYTES


@pytest.mark.slow
def test_a_worker_needs_no_more_memory_for_many_rows_of_the_service(tmp_path: Path) -> None:
    pytest.importorskip("duckdb", reason="the service's libraries")
    from benchmarks.provider_results import run_side
    from benchmarks.service import prepare, run_query

    with prepare() as bench, run_service(bench.folder) as service:
        service.wait_until_ready()
        tiny, _ = run_query(bench, service, bench.trivial, "one")
        many, _ = run_query(bench, service, bench.wide, "rows")
        side = run_side(str(service.client.base_url), API_TOKEN, str(tmp_path), tiny, many)
    assert side.mib <= MAX_MIB
    assert side.returned_bytes <= MAX_XCOM_BYTES


def test_what_a_task_returns_is_small_for_many_queries(
    pushmetrics: FakePushMetrics, connect_whole: Connect, tmp_path: Path
) -> None:
    connect_whole()
    pushmetrics.results[FORMATS["csv"]] = Response(b"n\n1\n")
    url = pushmetrics.build_result_url(pushmetrics.start_run())
    queries = [
        {"query_id": number, "query_name": f"query {number}", "query_result": url} for number in range(MANY)
    ]
    operator = PushMetricsToObjectStorageOperator(
        task_id="a_task", report_run={"queries": queries}, path=str(tmp_path), file_format="csv"
    )
    saved = operator.execute({})
    assert len(saved) == MANY
    assert len(json.dumps(saved)) <= MAX_XCOM_BYTES
