"""The hook against PushMetrics and the receiver, faked at the wire, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem  # type: ignore[import-untyped]
from starlette.responses import JSONResponse, RedirectResponse, Response

from airflow_provider_pushmetrics.client import calls, feed
from airflow_provider_pushmetrics.client.feed import EventFilter
from airflow_provider_pushmetrics.client.models import RunStatus
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsAuthError,
    PushMetricsNotFoundError,
    PushMetricsProtocolError,
    PushMetricsUnavailableError,
    PushMetricsUntrustedUrlError,
)
from airflow_provider_pushmetrics.hooks.pushmetrics import (
    FORMATS,
    PushMetricsAsyncClient,
    PushMetricsHook,
)
from tests.fakes.loopback import serve_raw
from tests.fakes.pushmetrics import API_TOKEN, FakePushMetrics
from tests.integration.provider.conftest import Connect

PAT = "pmpat_" + "a" * 43
RESULT = {"query_id": 1, "columns": [{"name": "a", "type": "int"}], "row_count": 1, "data": [{"a": 1}]}
ROWS = b'{"a": 1}\n{"a": 2}\n'


@pytest.fixture
def hook(connect_whole: Connect) -> PushMetricsHook:
    hook = PushMetricsHook()
    hook.result_poll_seconds = 0.01
    return hook


@pytest.fixture
def result_url(pushmetrics: FakePushMetrics) -> str:
    return pushmetrics.build_result_url(pushmetrics.start_run())


class InTurn:
    """Answers with one response after the other; the last one stands for all further requests."""

    def __init__(self, *responses: Response) -> None:
        self.responses = list(responses)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        response = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        await response(scope, receive, send)


def serve_result(fake: FakePushMetrics, answer: Any, file_format: str = "ndjson", method: str = "") -> None:
    fake.results[f"{method} {FORMATS[file_format]}".strip()] = answer


# Reports and runs


def test_a_report_is_triggered_with_its_own_token(
    hook: PushMetricsHook, pushmetrics: FakePushMetrics
) -> None:
    run = hook.trigger_report(1, {"origin": "JFK"}, idempotency_key="key-1")
    assert (run.run_id, run.was_replayed) == (1, False)
    (seen,) = pushmetrics.seen
    assert (seen.method, seen.path) == ("POST", "/api/v1/report/1/webhook")
    assert seen.query == {"token": pushmetrics.trigger_token}
    assert seen.json == {"origin": "JFK"}
    assert "authorization" not in seen.headers


def test_the_same_key_gives_the_same_run(hook: PushMetricsHook) -> None:
    first = hook.trigger_report(1, idempotency_key="key-1")
    second = hook.trigger_report(1, idempotency_key="key-1")
    assert (first.run_id, first.was_replayed) == (1, False)
    assert (second.run_id, second.was_replayed) == (1, True)


def test_a_wrong_trigger_token_is_refused(hook: PushMetricsHook, pushmetrics: FakePushMetrics) -> None:
    pushmetrics.trigger_token = "another"
    with pytest.raises(PushMetricsAuthError, match="The report is unknown or the token is not valid"):
        hook.trigger_report(1)


def test_runs_are_listed_and_shown(hook: PushMetricsHook, pushmetrics: FakePushMetrics) -> None:
    pushmetrics.outcomes = ["failed", "success"]
    pushmetrics.start_run("1")
    pushmetrics.start_run("1")
    pushmetrics.start_run("2")
    assert [run.id for run in hook.get_runs(1)] == [2, 1]
    assert hook.get_run(1).status is RunStatus.FAILED


def test_outputs_are_fetched(hook: PushMetricsHook, pushmetrics: FakePushMetrics) -> None:
    run = pushmetrics.start_run()
    outputs = hook.get_run_outputs(hook.build_outputs_url(1, run.id))
    assert outputs is not None
    assert outputs.queries[0].query_result == pushmetrics.build_result_url(run)


def test_outputs_that_are_not_there_are_not_found(hook: PushMetricsHook) -> None:
    with pytest.raises(PushMetricsNotFoundError):
        hook.get_run_outputs(hook.build_outputs_url(1, 99))


def test_a_personal_token_is_exchanged_once_for_several_calls(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    pushmetrics.api_token = PAT
    connect_whole(password=PAT)
    hook, run = PushMetricsHook(), pushmetrics.start_run()
    hook.get_run(run.id)
    hook.get_runs(1)
    assert [seen.path for seen in pushmetrics.seen].count("/api/v1/security/exchange") == 1
    assert {seen.headers["authorization"] for seen in pushmetrics.seen[1:]} == {"Bearer jwt.of.token"}


async def test_the_async_twin_finds_the_same(connect_whole: Connect, pushmetrics: FakePushMetrics) -> None:
    run = pushmetrics.start_run()
    async with PushMetricsAsyncClient.open("pushmetrics_default") as client:
        found = await client.call(calls.fetch_run(client.credentials, run.id))
        cursor = await client.call(feed.fetch_cursor(client.settings.get_receiver()))
    hook = PushMetricsHook()
    assert found == await asyncio.to_thread(hook.get_run, run.id)
    assert cursor == await asyncio.to_thread(hook.get_cursor)


# Results


def test_a_result_is_returned_as_json(
    hook: PushMetricsHook, pushmetrics: FakePushMetrics, result_url: str
) -> None:
    serve_result(pushmetrics, JSONResponse(RESULT), "json")
    assert hook.get_query_result(result_url) == RESULT


def test_a_result_that_is_not_ready_is_waited_for(
    hook: PushMetricsHook, pushmetrics: FakePushMetrics, result_url: str, tmp_path: Path
) -> None:
    going_on = JSONResponse({"status": "running"}, 202)
    serve_result(pushmetrics, InTurn(going_on, going_on, JSONResponse(RESULT)), "json")
    assert hook.get_query_result(result_url) == RESULT
    serve_result(pushmetrics, InTurn(going_on, going_on, Response(ROWS)))
    assert hook.save_query_result(result_url, tmp_path / "result.ndjson") == len(ROWS)


def test_a_result_that_does_not_become_ready_in_time_is_unavailable(
    hook: PushMetricsHook, pushmetrics: FakePushMetrics, result_url: str, tmp_path: Path
) -> None:
    for file_format in ("json", "ndjson"):
        serve_result(pushmetrics, JSONResponse({"status": "running"}, 202), file_format)
    with pytest.raises(PushMetricsUnavailableError, match=r"still going on after 0\.05 s"):
        hook.get_query_result(result_url, timeout_seconds=0.05)
    with pytest.raises(PushMetricsUnavailableError, match=r"still going on after 0\.05 s"):
        hook.save_query_result(result_url, tmp_path / "result.ndjson", timeout_seconds=0.05)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file_format", list(FORMATS))
def test_a_result_is_saved_in_the_format_of_the_files_name(
    hook: PushMetricsHook, pushmetrics: FakePushMetrics, result_url: str, tmp_path: Path, file_format: str
) -> None:
    serve_result(pushmetrics, Response(ROWS), file_format)
    path = tmp_path / "new" / "folder" / f"result.{file_format}"
    assert hook.save_query_result(result_url, path) == len(ROWS)
    assert path.read_bytes() == ROWS
    assert pushmetrics.seen[-1].headers["accept"] == FORMATS[file_format]


def test_a_result_is_saved_with_a_personal_token_that_has_to_be_exchanged_first(
    connect_whole: Connect, pushmetrics: FakePushMetrics, result_url: str, tmp_path: Path
) -> None:
    pushmetrics.api_token = PAT
    connect_whole(password=PAT)
    serve_result(pushmetrics, Response(ROWS))
    assert PushMetricsHook().save_query_result(result_url, tmp_path / "result.ndjson") == len(ROWS)


def test_a_format_may_be_asked_for_whatever_the_files_name_is(
    hook: PushMetricsHook, pushmetrics: FakePushMetrics, result_url: str, tmp_path: Path
) -> None:
    serve_result(pushmetrics, Response(b"a\n1\n"), "csv")
    hook.save_query_result(result_url, str(tmp_path / "result.json"), file_format="csv")
    assert (tmp_path / "result.json").read_bytes() == b"a\n1\n"


def test_a_result_is_saved_to_any_object_storage(
    hook: PushMetricsHook, pushmetrics: FakePushMetrics, result_url: str
) -> None:
    serve_result(pushmetrics, Response(ROWS))
    attach("memory", fs=MemoryFileSystem())
    path = ObjectStoragePath("memory://bucket/results/result.ndjson")
    hook.save_query_result(result_url, path)
    assert path.read_bytes() == ROWS
    assert [found.name for found in path.parent.iterdir()] == ["result.ndjson"]


def test_a_result_takes_the_place_of_an_earlier_one(
    hook: PushMetricsHook, pushmetrics: FakePushMetrics, result_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "result.ndjson"
    path.write_bytes(b"an earlier result, longer than the one that takes its place")
    serve_result(pushmetrics, Response(ROWS))
    hook.save_query_result(result_url, path)
    assert path.read_bytes() == ROWS
    assert list(tmp_path.iterdir()) == [path]


def list_written(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.stat().st_size]


def test_a_result_is_written_while_it_arrives(
    hook: PushMetricsHook, pushmetrics: FakePushMetrics, result_url: str, tmp_path: Path
) -> None:
    piece, was_written = b"x" * 1024 * 1024, []

    async def send_when_written(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(4):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        deadline = time.monotonic() + 10
        while not (parts := list_written(tmp_path)):
            assert time.monotonic() < deadline, "nothing was written before all had arrived"
            await asyncio.sleep(0.005)
        was_written.append(parts)
        await send({"type": "http.response.body", "body": piece})

    serve_result(pushmetrics, send_when_written)
    assert hook.save_query_result(result_url, tmp_path / "result.ndjson") == 5 * len(piece)
    assert len(was_written) == 1
    assert "result.ndjson" not in was_written[0]


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 600_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n92800\r\n" + b"x" * 600_064 + b"\r\n",
    ],
    ids=["length", "chunked"],
)
def test_a_download_that_breaks_off_leaves_no_file_and_keeps_the_earlier_one(
    connect: Connect, tmp_path: Path, reply: bytes
) -> None:
    path = tmp_path / "result.ndjson"
    path.write_bytes(b"an earlier result")
    with serve_raw(reply) as server:
        connect(host=server.url, password=API_TOKEN)
        with pytest.raises(PushMetricsUnavailableError, match="broke off"):
            PushMetricsHook().save_query_result(f"{server.url}/api/reports/1/queries/1/reportRun/1", path)
    assert path.read_bytes() == b"an earlier result"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_is_full_leaves_no_file(
    hook: PushMetricsHook, pushmetrics: FakePushMetrics, result_url: str
) -> None:
    serve_result(pushmetrics, Response(ROWS))
    with pytest.raises(OSError):  # noqa: PT011 - whatever the file system says
        hook.save_query_result(result_url, "/dev/full/result.ndjson")


@pytest.mark.parametrize("status", [401, 403, 404, 406, 409])
def test_a_result_that_is_refused_leaves_no_file(
    hook: PushMetricsHook, pushmetrics: FakePushMetrics, result_url: str, tmp_path: Path, status: int
) -> None:
    serve_result(pushmetrics, JSONResponse({"message": "the server's words"}, status))
    with pytest.raises(PushMetricsApiError, match=f"{status}: the server's words") as caught:
        hook.save_query_result(result_url, tmp_path / "result.ndjson")
    assert caught.value.status_code == status
    assert list(tmp_path.iterdir()) == []


def test_a_server_in_trouble_is_asked_again_before_the_download_begins(
    hook: PushMetricsHook, pushmetrics: FakePushMetrics, result_url: str, tmp_path: Path
) -> None:
    busy = JSONResponse({"message": "busy"}, 503, headers={"Retry-After": "0"})
    serve_result(pushmetrics, InTurn(busy, busy, Response(ROWS)))
    assert hook.save_query_result(result_url, tmp_path / "result.ndjson") == len(ROWS)


def test_a_jwt_that_was_refused_is_made_anew_for_a_download(
    connect_whole: Connect, pushmetrics: FakePushMetrics, tmp_path: Path
) -> None:
    pushmetrics.api_token = PAT
    connect_whole(password=PAT)
    refused = JSONResponse({"message": "Token has expired"}, 401)
    serve_result(pushmetrics, InTurn(refused, Response(ROWS)))
    url = pushmetrics.build_result_url(pushmetrics.start_run())
    assert PushMetricsHook().save_query_result(url, tmp_path / "result.ndjson") == len(ROWS)
    assert [seen.path for seen in pushmetrics.seen].count("/api/v1/security/exchange") == 2


def test_a_server_without_get_is_asked_by_post_for_a_download(
    hook: PushMetricsHook, pushmetrics: FakePushMetrics, result_url: str, tmp_path: Path
) -> None:
    serve_result(pushmetrics, JSONResponse({"message": "Method not allowed"}, 405), method="GET")
    serve_result(pushmetrics, Response(ROWS), method="POST")
    assert hook.save_query_result(result_url, tmp_path / "result.ndjson") == len(ROWS)


def test_a_redirect_takes_neither_the_token_nor_the_download_along(
    hook: PushMetricsHook, pushmetrics: FakePushMetrics, result_url: str, tmp_path: Path
) -> None:
    serve_result(pushmetrics, RedirectResponse(f"{pushmetrics.url}/elsewhere"))
    with pytest.raises(PushMetricsProtocolError, match="redirects are not followed"):
        hook.save_query_result(result_url, tmp_path / "result.ndjson")
    assert "/elsewhere" not in [seen.path for seen in pushmetrics.seen]


def test_a_result_elsewhere_gets_no_token(hook: PushMetricsHook, tmp_path: Path) -> None:
    with serve_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as elsewhere:
        url = f"{elsewhere.url}/api/reports/1/queries/1/reportRun/1"
        with pytest.raises(PushMetricsUntrustedUrlError):
            hook.save_query_result(url, tmp_path / "result.ndjson")
        with pytest.raises(PushMetricsUntrustedUrlError):
            hook.get_query_result(url)
        assert elsewhere.requests == []


def test_an_origin_that_the_connection_lists_gets_the_token(connect_whole: Connect, tmp_path: Path) -> None:
    with serve_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as elsewhere:
        connect_whole(trusted_origins=[elsewhere.url])
        PushMetricsHook().save_query_result(f"{elsewhere.url}/result", tmp_path / "result.json")
        assert f"Authorization: Bearer {API_TOKEN}".encode() in elsewhere.requests[0]


# The receiver


def test_events_are_read_from_the_inbox(hook: PushMetricsHook, pushmetrics: FakePushMetrics) -> None:
    run = pushmetrics.start_run()
    pushmetrics.inbox.add({"event": "report.created", "report_id": 1})
    assert hook.get_cursor() == 2
    page = hook.get_events(EventFilter("report.run", run_id=run.id))
    assert [event.body for event in page.events] == [pushmetrics.build_event(run)]
    assert page.cursor == 2


# The connection test


def try_connection(connect_whole: Connect, **changes: Any) -> tuple[bool, str]:
    connect_whole(**changes)
    return PushMetricsHook().test_connection()


def test_a_whole_connection_works(connect_whole: Connect, pushmetrics: FakePushMetrics) -> None:
    works, text = try_connection(connect_whole)
    assert works
    assert text == (
        f"{pushmetrics.url}: the API token works; receiver {pushmetrics.url}/pushmetrics: works; 1 trigger"
        " token(s) stored; trying one would start a run"
    )
    assert pushmetrics.triggered == []


def test_a_connection_without_an_api_token_says_what_cannot_be_done(connect_whole: Connect) -> None:
    works, text = try_connection(connect_whole, password=None)
    assert works
    assert "no API token, so reports can be triggered but not waited for" in text


def test_a_connection_without_a_receiver_says_so(connect_whole: Connect) -> None:
    works, text = try_connection(connect_whole, receiver_url=None, receiver_token=None)
    assert works
    assert "no receiver" in text


def test_a_refused_api_token_is_told_from_a_refused_reader_token(connect_whole: Connect) -> None:
    works, text = try_connection(connect_whole, password="wrong-token")
    assert not works
    assert "the API token is refused (401)" in text
    assert "receiver http" in text
    works, text = try_connection(connect_whole, receiver_token="wrong-token")
    assert not works
    assert "the API token works" in text
    assert "receiver: GET" in text
    assert "wrong-token" not in text


def test_a_host_that_is_not_pushmetrics_says_so(connect_whole: Connect, pushmetrics: FakePushMetrics) -> None:
    works, text = try_connection(connect_whole, host=f"{pushmetrics.url}/nowhere")
    assert not works
    assert "was answered 404" in text


def test_airflow_itself_can_test_the_connection(connect_whole: Connect) -> None:
    works, _ = PushMetricsHook.get_connection("pushmetrics_default").test_connection()
    assert works


def test_no_secret_is_in_what_the_connection_test_says(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    _, text = try_connection(connect_whole)
    secrets = json.dumps(PushMetricsHook().settings.list_secrets())
    assert all(secret not in text for secret in json.loads(secrets))
