"""The hook against PushMetrics and the receiver, faked at the wire, over real HTTP."""

from __future__ import annotations

import asyncio
import datetime
import inspect
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import certifi
import pandas
import pyarrow
import pytest
from airflow.models.connection import Connection
from airflow.providers.common.compat.sdk import ObjectStoragePath
from fsspec.implementations.memory import MemoryFileSystem
from starlette.responses import JSONResponse, RedirectResponse, Response

from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsApiError,
    PushMetricsNotFoundError,
    PushMetricsProtocolError,
    PushMetricsUnavailableError,
    PushMetricsUntrustedUrlError,
)
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient
from airflow_provider_pushmetrics.hooks.connection_check import list_findings
from airflow_provider_pushmetrics.hooks.pushmetrics import PushMetricsHook
from airflow_provider_pushmetrics.hooks.results import FORMATS
from airflow_provider_pushmetrics.hooks.trust import CA_VARIABLES
from tests.fakes.airflow_versions import attach
from tests.fakes.loopback import LoopbackServer, serve_raw
from tests.fakes.pushmetrics import API_TOKEN, TRIGGER_TOKEN, FakePushMetrics
from tests.fakes.service_process import find_free_port
from tests.fakes.waiting import until
from tests.integration.provider.conftest import Connect

PAT = "pmpat_" + "a" * 43
RESULT = {"query_id": 1, "columns": [{"name": "a", "type": "int"}], "row_count": 1, "data": [{"a": 1}]}
ROWS = b'{"a": 1}\n{"a": 2}\n'


@pytest.fixture
def hook(connect_whole: Connect) -> PushMetricsHook:
    hook = PushMetricsHook()
    hook.result_poll_seconds = 0.01
    return hook


@dataclass
class ServedResult:
    """A result of a run: what the server answers, and where the hook saves it."""

    fake: FakePushMetrics
    hook: PushMetricsHook
    folder: Path

    def __post_init__(self) -> None:
        self.path = self.folder / "result.ndjson"
        self.url = self.fake.build_result_url(self.fake.start_run())

    def serve(self, answer: Any, file_format: str = "ndjson", method: str = "") -> None:
        self.fake.results[f"{method} {FORMATS[file_format]}".strip()] = answer

    def save(self, **kwargs: Any) -> int:
        return self.hook.save_query_result(self.url, self.path, **kwargs)

    def list_files(self) -> list[Path]:
        return list(self.folder.iterdir())


@pytest.fixture
def result(pushmetrics: FakePushMetrics, hook: PushMetricsHook, tmp_path: Path) -> ServedResult:
    return ServedResult(pushmetrics, hook, tmp_path)


class InTurn:
    """Answers with one response after the other; the last one stands for all further requests."""

    def __init__(self, *responses: Response) -> None:
        self.responses = list(responses)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        response = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        await response(scope, receive, send)


# Reports and runs


def test_a_personal_token_is_exchanged_once_for_several_calls(
    connect_whole: Connect, pushmetrics: FakePushMetrics
) -> None:
    pushmetrics.api_token = PAT
    connect_whole(password=PAT)
    hook, run = PushMetricsHook(), pushmetrics.start_run()
    hook.fetch_run(run.id)
    hook.fetch_runs(1)
    assert [seen.path for seen in pushmetrics.seen].count("/api/v1/security/exchange") == 1
    assert {seen.headers["authorization"] for seen in pushmetrics.seen[1:]} == {"Bearer jwt.of.token"}


TWIN_CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "trigger_report": ((1, {"origin": "JFK"}), {"idempotency_key": "key-1"}),
    "fetch_reports": ((), {"limit": 2}),
    "fetch_report": ((1,), {}),
    "fetch_runs": ((1,), {}),
    "fetch_run": ((1,), {}),
    "fetch_run_logs": ((1,), {"limit": 5}),
    "fetch_run_blocks": ((1,), {}),
    "cancel_run": ((1,), {}),
    "fetch_run_outputs": (("{url}/api/reports/1/run/1",), {}),
    "fetch_cursor": ((), {}),
    "fetch_events": ((EventFilter("report.run"),), {"after": 0, "limit": 1}),
}


@pytest.mark.parametrize("name", sorted(TWIN_CALLS))
async def test_the_async_twin_has_the_hooks_methods_and_finds_the_same(
    connect_whole: Connect, server: LoopbackServer, name: str
) -> None:
    found = []
    for is_async in (False, True):
        fake = FakePushMetrics(server.url)
        server.app = fake.build_app()
        fake.start_run()
        arguments, named = TWIN_CALLS[name]
        arguments = tuple(
            value.format(url=fake.url) if isinstance(value, str) else value for value in arguments
        )
        if is_async:
            async with PushMetricsAsyncClient.open("pushmetrics_default") as client:
                found.append(await getattr(client, name)(*arguments, **named))
        else:
            found.append(await asyncio.to_thread(getattr(PushMetricsHook(), name), *arguments, **named))
    assert found[0] == found[1]


def test_every_method_of_the_async_twin_is_one_of_the_hook() -> None:
    ours = {name for name in vars(PushMetricsAsyncClient) if not name.startswith("_")} - {"call", "open"}
    assert ours == set(TWIN_CALLS)
    for name in ours:
        sync = inspect.signature(getattr(PushMetricsHook, name)).parameters
        assert dict(inspect.signature(getattr(PushMetricsAsyncClient, name)).parameters) == dict(sync)


# Reports, and what is known of a run


@pytest.mark.parametrize("max_page_size", [100, 2, 1])
def test_reports_are_listed_over_all_pages_however_small_the_server_makes_them(
    hook: PushMetricsHook, pushmetrics: FakePushMetrics, max_page_size: int
) -> None:
    pushmetrics.reports, pushmetrics.max_page_size = 5, max_page_size
    assert [report.id for report in hook.fetch_reports()] == [1, 2, 3, 4, 5]
    assert [report.id for report in hook.fetch_reports(limit=3)] == [1, 2, 3]


def test_a_report_is_found_by_its_number_and_by_its_uid(hook: PushMetricsHook) -> None:
    assert hook.fetch_report(1) == hook.fetch_report("rEp1")
    assert hook.fetch_report(1).name == "Departure delays"
    with pytest.raises(PushMetricsNotFoundError):
        hook.fetch_report(99)


def test_the_log_and_the_blocks_of_a_run_are_fetched(
    hook: PushMetricsHook, pushmetrics: FakePushMetrics
) -> None:
    run = pushmetrics.start_run()
    (line,) = hook.fetch_run_logs(run.id, limit=7)
    assert (line.message, line.effective_level) == ("Block by_carrier began", "INFO")
    wanted = "(filters:!((col:noteflow_run_id,opr:frid_eq,value:1)),page_size:7)"
    assert pushmetrics.seen[-1].query["q"] == wanted
    (block,) = hook.fetch_run_blocks(run.id)
    assert (block.name, block.status, block.row_count) == ("by_carrier", "not_run", 12)


# Results


def test_the_rows_of_a_result_are_fetched_whole_or_one_by_one(result: ServedResult) -> None:
    result.serve(JSONResponse(RESULT), "json")
    result.serve(Response(ROWS, media_type=FORMATS["ndjson"]), "ndjson")
    assert result.hook.fetch_rows(result.url) == [{"a": 1}]
    assert list(result.hook.stream_rows(result.url)) == [{"a": 1}, {"a": 2}]


def test_a_result_without_rows_is_refused(result: ServedResult) -> None:
    result.serve(JSONResponse({"status": "success"}), "json")
    with pytest.raises(PushMetricsProtocolError, match="has no list of rows in 'data'"):
        result.hook.fetch_rows(result.url)


def test_tables_keep_the_types_of_the_database(result: ServedResult) -> None:
    table = pyarrow.table(
        {
            "day": pyarrow.array([datetime.date(2013, 1, 1), None]),
            "flights": pyarrow.array([842, None], pyarrow.int32()),
            "delay": pyarrow.array([Decimal("11.55"), None], pyarrow.decimal128(6, 2)),
        }
    )
    buffer = io.BytesIO()
    with pyarrow.ipc.new_stream(buffer, table.schema) as writer:
        writer.write_table(table)
    result.serve(Response(buffer.getvalue(), media_type=FORMATS["arrow"]), "arrow")
    assert result.hook.fetch_arrow(result.url) == table
    assert result.hook.fetch_polars(result.url).to_arrow().column("delay").to_pylist() == [
        Decimal("11.55"),
        None,
    ]
    assert result.hook.fetch_pandas(result.url)["day"][0] == datetime.date(2013, 1, 1)
    whole = result.hook.fetch_pandas(result.url, types_mapper=pandas.ArrowDtype)
    assert str(whole.dtypes["flights"]) == "int32[pyarrow]"


def test_a_server_that_sends_another_format_is_not_taken_at_its_word(result: ServedResult) -> None:
    result.serve(JSONResponse(RESULT), "parquet")
    with pytest.raises(PushMetricsProtocolError, match=r"'application/json' instead of .*parquet"):
        result.hook.save_query_result(result.url, result.folder / "result.parquet")
    assert result.list_files() == []


def test_a_result_that_is_not_ready_is_waited_for(result: ServedResult) -> None:
    going_on = JSONResponse({"status": "running"}, 202)
    result.serve(InTurn(going_on, going_on, JSONResponse(RESULT)), "json")
    assert result.hook.fetch_query_result(result.url) == RESULT
    result.serve(InTurn(going_on, going_on, Response(ROWS)))
    assert result.save() == len(ROWS)


def test_a_result_that_does_not_become_ready_in_time_is_unavailable(result: ServedResult) -> None:
    for file_format in ("json", "ndjson"):
        result.serve(JSONResponse({"status": "running"}, 202), file_format)
    with pytest.raises(PushMetricsUnavailableError, match=r"had not ended after 0\.05 s"):
        result.hook.fetch_query_result(result.url, timeout_seconds=0.05)
    with pytest.raises(PushMetricsUnavailableError, match=r"had not ended after 0\.05 s"):
        result.save(timeout_seconds=0.05)
    assert result.list_files() == []


@pytest.mark.parametrize("file_format", list(FORMATS))
def test_a_result_is_saved_in_the_format_of_the_files_name(result: ServedResult, file_format: str) -> None:
    result.serve(Response(ROWS), file_format)
    path = result.folder / "new" / "folder" / f"result.{file_format}"
    assert result.hook.save_query_result(result.url, path) == len(ROWS)
    assert path.read_bytes() == ROWS
    assert result.fake.seen[-1].headers["accept"] == FORMATS[file_format]


def test_a_format_may_be_asked_for_whatever_the_files_name_is(result: ServedResult) -> None:
    result.serve(Response(b"a\n1\n"), "csv")
    path = result.folder / "result.json"
    result.hook.save_query_result(result.url, str(path), file_format="csv")
    assert path.read_bytes() == b"a\n1\n"


def test_a_result_is_saved_to_any_object_storage(result: ServedResult) -> None:
    result.serve(Response(ROWS))
    attach("memory", fs=MemoryFileSystem())
    path = ObjectStoragePath("memory://bucket/results/result.ndjson")
    result.hook.save_query_result(result.url, path)
    assert path.read_bytes() == ROWS
    assert [found.name for found in path.parent.iterdir()] == ["result.ndjson"]


class LossyFiles(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A file system whose copies are empty."""

    protocol = "lossy"

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        self.pipe_file(path2, b"")


def test_a_result_that_the_storage_lost_when_it_was_renamed_is_no_success(result: ServedResult) -> None:
    result.serve(Response(ROWS))
    attach("memory", conn_id="lossy_files", fs=LossyFiles())
    path = ObjectStoragePath("memory://bucket/results/lossy.ndjson", conn_id="lossy_files")
    with pytest.raises(OSError, match="the storage has 0 of the 18 bytes that were written"):
        result.hook.save_query_result(result.url, path)


def test_a_result_takes_the_place_of_an_earlier_one(result: ServedResult) -> None:
    result.path.write_bytes(b"an earlier result, longer than the one that takes its place")
    result.serve(Response(ROWS))
    result.save()
    assert result.path.read_bytes() == ROWS
    assert result.list_files() == [result.path]


def test_a_result_is_written_while_it_arrives(result: ServedResult) -> None:
    piece, was_written = b"x" * 1024 * 1024, []

    def list_written() -> list[str]:
        return [path.name for path in result.list_files() if path.stat().st_size]

    async def send_when_written(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(4):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        parts = await until(list_written, "nothing was written before all had arrived")
        was_written.append(parts)
        await send({"type": "http.response.body", "body": piece})

    result.serve(send_when_written)
    assert result.save() == 5 * len(piece)
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
        with pytest.raises(PushMetricsUnavailableError, match="was interrupted"):
            PushMetricsHook().save_query_result(f"{server.url}/api/reports/1/queries/1/reportRun/1", path)
    assert path.read_bytes() == b"an earlier result"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_is_full_leaves_no_file(result: ServedResult) -> None:
    result.serve(Response(ROWS))
    with pytest.raises(OSError):  # noqa: PT011 - whatever the file system says
        result.hook.save_query_result(result.url, "/dev/full/result.ndjson")


@pytest.mark.parametrize("status", [401, 403, 404, 406, 409])
def test_a_result_that_is_refused_leaves_no_file(result: ServedResult, status: int) -> None:
    result.serve(JSONResponse({"message": "the server's words"}, status))
    with pytest.raises(PushMetricsApiError, match=f"{status}: the server's words") as caught:
        result.save()
    assert caught.value.status_code == status
    assert result.list_files() == []


def test_a_server_in_trouble_is_asked_again_before_the_download_begins(result: ServedResult) -> None:
    busy = JSONResponse({"message": "busy"}, 503, headers={"Retry-After": "0"})
    result.serve(InTurn(busy, busy, Response(ROWS)))
    assert result.save() == len(ROWS)


def test_a_jwt_that_was_refused_is_made_anew_for_a_download(
    connect_whole: Connect, result: ServedResult
) -> None:
    result.fake.api_token = PAT
    connect_whole(password=PAT)
    result.hook = PushMetricsHook()
    refused = JSONResponse({"message": "Token has expired"}, 401)
    result.serve(InTurn(refused, Response(ROWS)))
    assert result.save() == len(ROWS)
    assert [seen.path for seen in result.fake.seen].count("/api/v1/security/exchange") == 2


def test_a_server_without_get_is_asked_by_post_for_a_download(result: ServedResult) -> None:
    result.serve(JSONResponse({"message": "Method not allowed"}, 405), method="GET")
    result.serve(Response(ROWS), method="POST")
    assert result.save() == len(ROWS)


Fetch = Callable[[PushMetricsHook, str, Path], Any]
WAYS_TO_A_RESULT: dict[str, Fetch] = {
    "result": lambda hook, url, path: hook.fetch_query_result(url),
    "rows": lambda hook, url, path: hook.fetch_rows(url),
    "stream": lambda hook, url, path: list(hook.stream_rows(url)),
    "arrow": lambda hook, url, path: hook.fetch_arrow(url),
    "file": lambda hook, url, path: hook.save_query_result(url, path / "result.ndjson"),
    "outputs": lambda hook, url, path: hook.fetch_run_outputs(url),
}


@pytest.mark.parametrize("fetch", WAYS_TO_A_RESULT.values(), ids=WAYS_TO_A_RESULT)
def test_a_result_elsewhere_gets_no_token_and_the_error_says_why(result: ServedResult, fetch: Fetch) -> None:
    """As in a forged event: whoever may send webhooks may write any URL into them."""
    with serve_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as elsewhere:
        result.fake.results["/moved"] = RedirectResponse(f"{elsewhere.url}/api/reports/1/run/1")
        url = f"{elsewhere.url}/api/reports/1/queries/1/reportRun/1"
        with pytest.raises(PushMetricsUntrustedUrlError, match="webhooks are not proof of who sent them"):
            fetch(result.hook, url, result.folder)
        with pytest.raises(PushMetricsProtocolError, match="they would forward the token"):
            fetch(result.hook, f"{result.fake.url}/moved", result.folder)
        assert elsewhere.requests == []
    assert result.list_files() == []


def test_an_origin_that_the_connection_lists_gets_the_token(connect_whole: Connect, tmp_path: Path) -> None:
    with serve_raw(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as elsewhere:
        connect_whole(trusted_origins=[elsewhere.url])
        PushMetricsHook().save_query_result(f"{elsewhere.url}/result", tmp_path / "result.json")
        assert f"Authorization: Bearer {API_TOKEN}".encode() in elsewhere.requests[0]


# The receiver


def test_events_are_read_from_the_inbox(hook: PushMetricsHook, pushmetrics: FakePushMetrics) -> None:
    run = pushmetrics.start_run()
    pushmetrics.inbox.add({"event": "report.created", "report_id": 1})
    assert hook.fetch_cursor() == 2
    page = hook.fetch_events(EventFilter("report.run", run_id=run.id))
    assert [event.body for event in page.events] == [pushmetrics.build_event(run)]
    assert page.cursor == 2


# The connection test


def try_connection(connect_whole: Connect, **changes: Any) -> tuple[bool, str]:
    connect_whole(**changes)
    return PushMetricsHook().test_connection()


def test_a_whole_connection_works(
    connect_whole: Connect, pushmetrics: FakePushMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in CA_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    works, text = try_connection(connect_whole)
    assert works
    assert text == (
        f"Connection 'pushmetrics_default': trusts the CAs in '{certifi.where()}' (the package certifi); host"
        f" {pushmetrics.url} and the API token work; receiver {pushmetrics.url}/pushmetrics and its token"
        " work; trigger token of report '1' works"
    )
    assert pushmetrics.triggered == []


def test_a_connection_without_an_api_token_says_what_cannot_be_done(connect_whole: Connect) -> None:
    works, text = try_connection(connect_whole, password=None)
    assert works
    assert "works; there is no API token, so the outcome of runs is unknown" in text
    assert "trigger tokens of reports '1': not tested, because using one starts a run" in text


@pytest.mark.slow
def test_servers_that_cannot_be_reached_come_with_what_to_do(connect_whole: Connect) -> None:
    connect_whole(host="http://127.0.0.1:1", receiver_url="http://127.0.0.1:1")
    failed = [finding for finding in list_findings(PushMetricsHook()) if not finding.works]
    assert [finding.part for finding in failed] == ["host", "receiver"]
    assert all("firewall and proxy" in finding.way_out for finding in failed)


def test_a_connection_without_a_receiver_says_so(connect_whole: Connect) -> None:
    works, text = try_connection(connect_whole, receiver_url=None, receiver_token=None)
    assert works
    assert "no receiver" in text


def test_a_refused_api_token_is_told_from_a_refused_reader_token(connect_whole: Connect) -> None:
    works, text = try_connection(connect_whole, password="wrong-token")
    assert not works
    assert "rejects the API token, which is the password" in text
    assert "Check the API token, which is the password of connection 'pushmetrics_default'" in text
    assert "/pushmetrics and its token work" in text
    works, text = try_connection(connect_whole, receiver_token="wrong-token")
    assert not works
    assert "and the API token work;" in text
    assert "rejects the 'receiver_token'" in text
    assert "Check the extra 'receiver_token' of connection 'pushmetrics_default'" in text
    assert "wrong-token" not in text


@pytest.mark.parametrize(
    ("changes", "tokens", "works", "words"),
    [
        ({}, {"1": "mistyped-token"}, False, "report '1' differs from the one in PushMetrics"),
        ({"is_trigger_active": False}, None, False, "report '1' is correct, but the trigger is disabled"),
        ({"shows_webhooks": False}, None, True, "report '1': not tested, and the API token sees no trigger"),
        ({}, {"rEp1": TRIGGER_TOKEN}, True, "report 'rEp1' works"),
        ({}, {"rEp9": TRIGGER_TOKEN}, False, "report 'rEp9': GET"),
        ({}, {}, True, "there is no trigger token, so no report can be run"),
        ({"webhooks": 130}, {"130": TRIGGER_TOKEN}, True, "report '130' works"),
        ({"webhooks": 130}, {"130": "mistyped-token"}, False, "report '130' differs from the one"),
        ({"webhooks": 9, "max_page_size": 4}, {"9": TRIGGER_TOKEN}, True, "report '9' works"),
        ({"webhooks": 1001}, {"1": TRIGGER_TOKEN}, True, "PushMetrics lists 1001 triggers without"),
    ],
)
def test_a_trigger_token_is_tried_without_starting_a_run(
    connect_whole: Connect,
    pushmetrics: FakePushMetrics,
    changes: dict[str, Any],
    tokens: dict[str, str] | None,
    works: bool,
    words: str,
) -> None:
    for name, value in changes.items():
        setattr(pushmetrics, name, value)
    told = try_connection(connect_whole, **({} if tokens is None else {"trigger_tokens": tokens}))
    assert told[0] is works
    assert words in told[1]
    assert "mistyped-token" not in told[1]
    assert pushmetrics.runs == []


def test_a_connection_without_any_token_does_not_work(connect_whole: Connect) -> None:
    nothing: dict[str, Any] = {"password": None, "trigger_tokens": None, "receiver_url": None}
    works, text = try_connection(connect_whole, **nothing, receiver_token=None)
    assert not works
    assert "there is no token" in text


def test_a_host_that_is_away_is_named_with_its_port(connect_whole: Connect) -> None:
    port = find_free_port()
    for password in (API_TOKEN, None):
        works, text = try_connection(connect_whole, host=f"http://127.0.0.1:{port}", password=password)
        assert not works
        assert f"could not connect to '127.0.0.1' at port {port}: Connection refused" in text


def test_a_connection_that_cannot_be_read_says_which_field_is_wrong(connect_whole: Connect) -> None:
    works, text = try_connection(connect_whole, receiver_url=None)
    assert not works
    assert "only one of the extras 'receiver_url' and 'receiver_token'" in text


def test_a_host_that_is_not_pushmetrics_says_so(connect_whole: Connect, pushmetrics: FakePushMetrics) -> None:
    works, text = try_connection(connect_whole, host=f"{pushmetrics.url}/nowhere")
    assert not works
    assert "was answered 404" in text


def test_airflow_itself_can_test_the_connection(connect_whole: Connect) -> None:
    # In Airflow 3.1 and 3.2, only the server's class of connections can.
    connection = PushMetricsHook.get_connection("pushmetrics_default")
    find = (
        getattr(connection, "test_connection", None)
        or Connection.get_connection_from_secrets("pushmetrics_default").test_connection
    )
    works, message = find()
    assert works, message


def test_no_secret_is_in_what_the_connection_test_says(connect_whole: Connect) -> None:
    _, text = try_connection(connect_whole)
    secrets = json.dumps(PushMetricsHook().settings.list_secrets())
    assert all(secret not in text for secret in json.loads(secrets))
