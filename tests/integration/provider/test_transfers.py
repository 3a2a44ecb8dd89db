"""Results saved to files, against PushMetrics faked at the wire."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException
from starlette.responses import JSONResponse, Response

from airflow_provider_pushmetrics.client.models import SavedResult
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsNoResultsError,
    PushMetricsRunFailed,
    PushMetricsTruncatedResultError,
    PushMetricsUnavailableError,
    PushMetricsUntrustedUrlError,
)
from airflow_provider_pushmetrics.hooks.results import FORMATS
from airflow_provider_pushmetrics.transfers.pushmetrics import PushMetricsToObjectStorageOperator
from tests.fakes.pushmetrics import FakePushMetrics

pytestmark = pytest.mark.usefixtures("whole_connection")

CONTEXT: Any = {}
BODY = b"carrier,flights\nUA,12\n" * 50_000


def save(**kwargs: Any) -> list[SavedResult]:
    return PushMetricsToObjectStorageOperator(task_id="a_task", **kwargs).execute(CONTEXT)


def serve(pushmetrics: FakePushMetrics, file_format: str, body: bytes = BODY) -> None:
    pushmetrics.results[FORMATS[file_format]] = Response(body)


@pytest.mark.parametrize("file_format", [None, *FORMATS])
@pytest.mark.parametrize("shape", ["body", "event", "operator", "not-waited-for"])
def test_the_results_of_a_run_are_saved(
    pushmetrics: FakePushMetrics, tmp_path: Path, file_format: str | None, shape: str
) -> None:
    serve(pushmetrics, file_format or "json")
    body = pushmetrics.build_event(pushmetrics.start_run())
    report_run = {
        "body": body,
        "event": {"id": 1, "source": "demo", "received_at": "2026-01-01T00:00:00+00:00", "body": body},
        "operator": {"outputs_url": f"{pushmetrics.url}/api/reports/1/run/1", "queries": []},
        "not-waited-for": {"report_id": "1", "run_id": 1, "outputs_url": None, "queries": []},
    }[shape]
    path = tmp_path / "new" / f"by_carrier.{file_format or 'json'}"
    assert save(report_run=report_run, path=str(tmp_path / "new"), file_format=file_format) == [
        {
            "query_name": "by_carrier",
            "path": str(path),
            "rows": 12,
            "bytes": len(BODY),
            "sha256": hashlib.sha256(BODY).hexdigest(),
            "is_truncated": False,
            "row_limit": None,
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


# A run that has nothing, and results that lack rows


def build_empty_run(pushmetrics: FakePushMetrics) -> dict[str, Any]:
    pushmetrics.has_queries = False
    return pushmetrics.build_event(pushmetrics.start_run())


def test_a_run_without_queries_is_never_a_silent_success(
    pushmetrics: FakePushMetrics, tmp_path: Path
) -> None:
    event = build_empty_run(pushmetrics)
    with pytest.raises(PushMetricsNoResultsError, match="set on_no_results='skip'"):
        save(report_run=event, path=str(tmp_path))
    with pytest.raises(AirflowSkipException):
        save(report_run=event, path=str(tmp_path), on_no_results="skip")
    assert save(report_run=event, path=str(tmp_path), on_no_results="succeed") == []


@pytest.mark.parametrize("is_alone", [False, True])
def test_a_result_that_lacks_rows_is_saved_and_told_of(
    pushmetrics: FakePushMetrics, tmp_path: Path, is_alone: bool, caplog: pytest.LogCaptureFixture
) -> None:
    serve(pushmetrics, "csv")
    pushmetrics.row_limit = 100
    (saved,) = save(**choose(pushmetrics, tmp_path, is_alone=is_alone))
    assert (saved["is_truncated"], saved["row_limit"]) == (True, 100)
    assert "are incomplete" in caplog.text


@pytest.mark.parametrize("is_alone", [False, True])
def test_a_result_that_lacks_rows_fails_the_task_before_it_is_saved_where_that_is_wanted(
    pushmetrics: FakePushMetrics, tmp_path: Path, is_alone: bool
) -> None:
    serve(pushmetrics, "csv")
    pushmetrics.row_limit = 100
    with pytest.raises(PushMetricsTruncatedResultError, match="limit: 100 rows") as caught:
        save(**choose(pushmetrics, tmp_path, is_alone=is_alone), on_truncated="fail")
    assert isinstance(caught.value, AirflowFailException)  # Airflow does not retry after that
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_alone", [False, True])
def test_a_result_of_which_the_server_does_not_say_whether_it_lacks_rows_is_refused_where_all_are_wanted(
    pushmetrics: FakePushMetrics, tmp_path: Path, is_alone: bool
) -> None:
    serve(pushmetrics, "csv")
    arguments = choose(pushmetrics, tmp_path, is_alone=is_alone)
    assert save(**arguments, on_truncated="fail")[0]["is_truncated"] is False
    pushmetrics.tells_truncation = False
    assert save(**arguments)[0]["is_truncated"] is None
    other = arguments | {"path": str(tmp_path / "other" / "result.csv")}
    with pytest.raises(PushMetricsTruncatedResultError, match="does not say whether"):
        save(**other, on_truncated="fail")
    assert not (tmp_path / "other").exists()


def choose(pushmetrics: FakePushMetrics, folder: Path, *, is_alone: bool) -> dict[str, Any]:
    """Choose the results of a run, or the one of its query alone."""
    run = pushmetrics.start_run()
    if is_alone:
        return {"query_result": pushmetrics.build_result_url(run), "path": str(folder / "result.csv")}
    return {"report_run": pushmetrics.build_event(run), "path": str(folder), "file_format": "csv"}
