"""Results saved to files, against PushMetrics faked at the wire."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from airflow_provider_pushmetrics.exceptions import (
    PushMetricsRunFailed,
    PushMetricsUnavailableError,
    PushMetricsUntrustedUrlError,
)
from airflow_provider_pushmetrics.hooks.results import FORMATS
from airflow_provider_pushmetrics.transfers.pushmetrics import PushMetricsToObjectStorageOperator
from tests.fakes.pushmetrics import FakePushMetrics
from tests.integration.provider.conftest import Connect

CONTEXT: Any = {}
BODY = b"carrier,flights\nUA,12\n" * 50_000


@pytest.fixture(autouse=True)
def whole_connection(connect_whole: Connect) -> None:
    connect_whole()


def save(**kwargs: Any) -> list[dict[str, Any]]:
    return PushMetricsToObjectStorageOperator(task_id="a_task", **kwargs).execute(CONTEXT)


def serve(pushmetrics: FakePushMetrics, file_format: str, body: bytes = BODY) -> None:
    pushmetrics.results[FORMATS[file_format]] = Response(body)


@pytest.mark.parametrize("file_format", [None, *FORMATS])
@pytest.mark.parametrize("is_event", [True, False])
def test_the_results_of_a_run_are_saved(
    pushmetrics: FakePushMetrics, tmp_path: Path, file_format: str | None, is_event: bool
) -> None:
    serve(pushmetrics, file_format or "parquet")
    run = pushmetrics.start_run()
    outputs_url = f"{pushmetrics.url}/api/reports/1/run/1"
    report_run = pushmetrics.build_event(run) if is_event else {"outputs_url": outputs_url, "queries": []}
    path = tmp_path / "new" / f"by_carrier.{file_format or 'parquet'}"
    assert save(report_run=report_run, path=str(tmp_path / "new"), file_format=file_format) == [
        {
            "query_name": "by_carrier",
            "path": str(path),
            "rows": 12,
            "bytes": len(BODY),
            "sha256": hashlib.sha256(BODY).hexdigest(),
        }
    ]
    assert path.read_bytes() == BODY
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == [path]


def test_the_result_of_one_query_is_saved_in_the_format_of_the_files_ending(
    pushmetrics: FakePushMetrics, tmp_path: Path
) -> None:
    serve(pushmetrics, "csv")
    url = pushmetrics.build_result_url(pushmetrics.start_run())
    (saved,) = save(query_result=url, path=str(tmp_path / "result.csv"))
    assert (saved["query_name"], saved["rows"], saved["bytes"]) == (None, None, len(BODY))
    assert (tmp_path / "result.csv").read_bytes() == BODY


def test_a_second_try_replaces_the_file(pushmetrics: FakePushMetrics, tmp_path: Path) -> None:
    url, path = pushmetrics.build_result_url(pushmetrics.start_run()), tmp_path / "result.csv"
    serve(pushmetrics, "csv", b"first")
    save(query_result=url, path=str(path))
    serve(pushmetrics, "csv", b"2")
    assert save(query_result=url, path=str(path))[0]["bytes"] == 1
    assert path.read_bytes() == b"2"


def test_a_result_that_breaks_off_leaves_no_file(pushmetrics: FakePushMetrics, tmp_path: Path) -> None:
    pushmetrics.results[FORMATS["csv"]] = JSONResponse(
        {"message": "maintenance"}, 503, {"Retry-After": "999"}
    )
    url = pushmetrics.build_result_url(pushmetrics.start_run())
    with pytest.raises(PushMetricsUnavailableError, match="maintenance"):
        save(query_result=url, path=str(tmp_path / "result.csv"))
    assert list(tmp_path.iterdir()) == []


def test_a_query_that_failed_fails_the_task_with_its_message(
    pushmetrics: FakePushMetrics, tmp_path: Path
) -> None:
    pushmetrics.outcomes = ["failed"]
    event = pushmetrics.build_event(pushmetrics.start_run())
    with pytest.raises(PushMetricsRunFailed, match=r"by_carrier.*failed: division by zero"):
        save(report_run=event, path=str(tmp_path))


def test_a_forged_result_gets_no_token(tmp_path: Path, pushmetrics: FakePushMetrics) -> None:
    with pytest.raises(PushMetricsUntrustedUrlError):
        save(query_result="https://evil.example/api/reports/1/queries/1/run/1", path=str(tmp_path / "x.csv"))
    assert pushmetrics.seen == []
