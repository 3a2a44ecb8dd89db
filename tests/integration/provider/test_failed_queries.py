"""The JSON of a failed query is a 200 without rows: no reader of results takes it for an empty result."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from airflow_provider_pushmetrics.exceptions import PushMetricsRunFailed
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.hooks.results import FAILED_RESULT_BYTES
from airflow_provider_pushmetrics.transfers.pushmetrics import PushMetricsToObjectStorageOperator
from tests.fakes.pushmetrics import API_TOKEN, FakePushMetrics

pytestmark = pytest.mark.usefixtures("whole_connection")

FAILED = {
    "query_name": "by_carrier",
    "status": "failed",
    "error": "division by zero",
    "columns": [],
    "data": [],
}
GOOD = b'{"data":[{"a":1}]}'
WHAT = "'by_carrier' has no result: it has the status failed: division by zero"


@pytest.fixture
def url(pushmetrics: FakePushMetrics) -> str:
    """Give the URL of the result of a query that failed."""
    pushmetrics.outcomes = ["failed"]
    pushmetrics.results["application/json"] = JSONResponse(FAILED)
    return pushmetrics.build_result_url(pushmetrics.start_run())


def save(**kwargs: Any) -> Any:
    return PushMetricsToObjectStorageOperator(task_id="a_task", **kwargs).execute({})


def test_the_result_of_a_failed_query_replaces_no_file(url: str, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_bytes(GOOD)
    with pytest.raises(PushMetricsRunFailed, match=WHAT):
        save(query_result=url, path=str(path))
    assert path.read_bytes() == GOOD
    assert list(tmp_path.iterdir()) == [path]


def test_the_event_of_a_failed_query_saves_nothing(url: str, tmp_path: Path) -> None:
    body = {"event": "query.run", "query_id": 1, "query_name": "by_carrier", "query_result": url}
    with pytest.raises(PushMetricsRunFailed, match=WHAT):
        save(report_run=body, path=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_failed_run_whose_queries_have_no_status_saves_nothing(
    pushmetrics: FakePushMetrics, tmp_path: Path, status: str
) -> None:
    run = pushmetrics.start_run()
    pushmetrics.results["application/json"] = Response(b'{"data":[]}', media_type="application/json")
    query = {"query_id": 1, "query_name": "by_carrier", "query_result": pushmetrics.build_result_url(run)}
    pushmetrics.outputs_answers[run.id] = JSONResponse({"run_id": 1, "status": status, "queries": [query]})
    with pytest.raises(PushMetricsRunFailed, match=f"run 1 ended with status {status}.*'by_carrier'"):
        save(report_run=pushmetrics.build_event(run), path=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ways", ["skip", "succeed"])
def test_a_failed_run_without_queries_fails_the_task_also_where_no_results_may_be(
    pushmetrics: FakePushMetrics, tmp_path: Path, ways: str
) -> None:
    run = pushmetrics.start_run()
    answer = {"run_id": 1, "status": "failed", "queries": []}
    pushmetrics.outputs_answers[run.id] = JSONResponse(answer)
    with pytest.raises(PushMetricsRunFailed, match=r"run 1 ended with status failed.* lists no result of it"):
        save(report_run=pushmetrics.build_event(run), path=str(tmp_path), on_no_results=ways)


@pytest.mark.parametrize("status", ["not_run", "cancelled", "running"])
def test_a_query_that_did_not_run_is_not_taken_for_one_without_rows(
    pushmetrics: FakePushMetrics, url: str, tmp_path: Path, status: str
) -> None:
    pushmetrics.results["application/json"] = JSONResponse(FAILED | {"status": status, "error": None})
    with pytest.raises(PushMetricsRunFailed, match=f"has no result: it has the status {status}: no message"):
        save(query_result=url, path=str(tmp_path / "result.json"))
    assert list(tmp_path.iterdir()) == []


def read_stream(hook: PushMetricsHook, url: str) -> bytes:
    with hook.stream_query_result(url, "json") as chunks:
        return b"".join(chunks)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (JSONResponse({"message": "division by zero"}, 409), None),
        (JSONResponse({"data": []}), "PushMetrics does not say whether the query succeeded: it is saved."),
        (Response(b'{"a": 1}\n', media_type="application/x-ndjson"), ""),
    ],
    ids=["failed", "unknown", "succeeded"],
)
def test_the_status_of_a_query_is_asked_for_where_neither_event_nor_format_contains_it(
    pushmetrics: FakePushMetrics,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    answer: Response,
    words: str | None,
) -> None:
    pushmetrics.results = {
        "application/x-ndjson": answer,
        "text/csv": Response(b"a\n1\n", media_type="text/csv"),
    }
    url, path = pushmetrics.build_result_url(pushmetrics.start_run()), tmp_path / "result.csv"
    if words is None:
        with pytest.raises(PushMetricsRunFailed, match=r"^the query failed: .*division by zero"):
            save(query_result=url, path=str(path))
        assert not path.exists()
        return
    save(query_result=url, path=str(path))
    assert path.read_bytes() == b"a\n1\n"
    assert words in caplog.text
    assert ("whether the query succeeded" in caplog.text) == bool(words)


def test_parts_of_a_file_that_killed_tries_left_are_deleted_and_those_being_written_are_kept(
    pushmetrics: FakePushMetrics, tmp_path: Path
) -> None:
    pushmetrics.results["application/x-ndjson"] = Response(b"{}\n", media_type="application/x-ndjson")
    left = tmp_path / ".result.ndjson.17.part"
    kept = [tmp_path / name for name in (".result.ndjson.18.part", ".other.ndjson.17.part", ".result.ndjson")]
    for part in (left, *kept):
        part.touch()
        if part is not kept[0]:
            os.utime(part, (0, 0))
    url = pushmetrics.build_result_url(pushmetrics.start_run())
    save(query_result=url, path=str(tmp_path / "result.ndjson"))
    assert sorted(tmp_path.iterdir()) == sorted([*kept, tmp_path / "result.ndjson"])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_result_is_saved_in_a_folder_that_cannot_be_listed(
    pushmetrics: FakePushMetrics, tmp_path: Path
) -> None:
    pushmetrics.results["application/x-ndjson"] = Response(b"{}\n", media_type="application/x-ndjson")
    folder = tmp_path / "drop"
    folder.mkdir()
    folder.chmod(0o300)
    url = pushmetrics.build_result_url(pushmetrics.start_run())
    save(query_result=url, path=str(folder / "result.ndjson"))
    assert (folder / "result.ndjson").read_bytes() == b"{}\n"
    folder.chmod(0o700)


READERS: list[Callable[[PushMetricsHook, str], Any]] = [
    PushMetricsHook.fetch_rows,
    PushMetricsHook.fetch_query_result,
    read_stream,
]


@pytest.mark.parametrize("read", READERS)
def test_no_method_of_the_hook_takes_a_failed_query_for_one_without_rows(
    url: str, read: Callable[[PushMetricsHook, str], Any]
) -> None:
    with pytest.raises(PushMetricsRunFailed, match=WHAT):
        read(PushMetricsHook(), url)


def test_the_message_of_a_failed_query_has_no_token(pushmetrics: FakePushMetrics, url: str) -> None:
    pushmetrics.results["application/json"] = JSONResponse(FAILED | {"error": f"Bearer {API_TOKEN}"})
    with pytest.raises(PushMetricsRunFailed) as caught:
        PushMetricsHook().fetch_rows(url)
    assert API_TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"not JSON",
        GOOD,
        b'{"status":"success","data":[]}',
        b'{"status":"of another server","data":[{"a":1}]}',
        b'{"data":[{"status":"failed"}]}',
        b'{"data":["' + b"x" * (3 * FAILED_RESULT_BYTES) + b'"],"status":"success"}',
    ],
    ids=[
        "empty",
        "list",
        "no-json",
        "without-status",
        "without-rows",
        "other-status",
        "status-of-a-row",
        "large",
    ],
)
def test_other_results_are_saved_byte_for_byte(
    pushmetrics: FakePushMetrics, url: str, tmp_path: Path, body: bytes
) -> None:
    pushmetrics.results["application/json"] = Response(body, media_type="application/json")
    (saved,) = save(query_result=url, path=str(tmp_path / "result.json"))
    assert (tmp_path / "result.json").read_bytes() == body
    assert saved["bytes"] == len(body)
