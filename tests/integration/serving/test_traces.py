"""Spans of real processes, as a collector of OpenTelemetry gets them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from airflow_provider_pushmetrics.serving.traces import (
    FLUSH_SECONDS,
    get_traceparent,
    is_tracing,
    span,
    start_tracing,
    stop_tracing,
)
from tests.fakes.receiver_server import READER_TOKEN, SENDER_TOKEN, start_receiver
from tests.fakes.service_process import API_TOKEN, run_ready_service
from tests.fakes.trace_collector import CollectedSpan, collect_traces
from tests.fakes.waiting import wait_until

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"


@pytest.fixture(autouse=True)
def no_tracing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    yield
    stop_tracing()
    # Their pauses come from Python's shared random generator, which a later test of Hypothesis would notice.
    wait_until(lambda: not any(map(is_exporting, threading.enumerate())))


def is_exporting(thread: threading.Thread) -> bool:
    return thread.name.startswith(("OtelBatch", "flush-spans"))


@pytest.mark.slow
def test_one_trace_goes_from_a_trigger_call_to_the_receiver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collect_traces() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.port}")
        with (
            start_receiver(f"sqlite:///{tmp_path / 'inbox.db'}", "--log-format", "json") as receiver,
            run_ready_service(tmp_path / "data", "--demo", "--log-format", "json") as service,
        ):
            service.subscribe(receiver.delivery_url)
            token = service.find_trigger_token()
            call = f"/api/v1/report/1/webhook?token={token}&origin=JFK&month=2"
            run_id = service.client.post(call, headers={"traceparent": PARENT}).json()["run_id"]
            with receiver.open_reader() as reader:
                wait_until(lambda: reader.get("/events").json()["events"])
                (event,) = reader.get("/events").json()["events"]
            assert service.stop() == 0
            receiver.process.terminate()
            assert receiver.process.wait(120) == 0
    spans = [one for one in collector.spans if one.trace_id == TRACE_ID]
    way = collector.follow_run(TRACE_ID)
    assert way[0].parent_id == PARENT.split("-")[2]
    parent = way[-1].span_id
    assert event["traceparent"] == f"00-{TRACE_ID}-{parent}-01"
    check_blocks(spans)
    written = str(collector.spans)
    for secret in (token, API_TOKEN, SENDER_TOKEN, READER_TOKEN, "JFK", "SELECT", "token="):
        assert secret not in written
    for line in (tmp_path / "data.log").read_text("utf-8").splitlines():
        assert line.startswith("{"), line
    assert f'"run_id": {run_id}' in (tmp_path / "data.log").read_text("utf-8")
    assert TRACE_ID in (tmp_path / "data.log").read_text("utf-8")


def check_blocks(spans: list[CollectedSpan]) -> None:
    by_id = {one.span_id: one for one in spans}
    queries = [one for one in spans if one.facts.get("db.system.name") == "duckdb"]
    assert queries
    for query in queries:
        block = by_id[query.parent_id]
        assert (block.name, by_id[block.parent_id].name) == ("execute sql block", "execute run")
        assert int(query.facts["db.response.returned_rows"]) > 0
    (delivery,) = [one for one in spans if one.name == "POST"]
    assert delivery.facts["http.response.status_code"] == 202
    (created,) = [one for one in spans if one.name == "create report.run"]
    assert created.facts["messaging.message.id"] == delivery.facts["messaging.message.id"]


def test_without_the_variables_nothing_is_imported_and_a_trace_is_passed_on() -> None:
    start_tracing("a")
    with span("work", parent=PARENT) as passed:
        assert passed.traceparent == PARENT
        assert get_traceparent() is None
    program = (
        "import airflow_provider_pushmetrics.service.worker.engine, airflow_provider_pushmetrics.service.app,"
        " airflow_provider_pushmetrics.receiver.server, sys;"
        "from airflow_provider_pushmetrics.serving.traces import start_tracing, span;"
        "start_tracing('a');"
        "span('b').__enter__();"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", ""),
    ],
)
def test_the_variables_of_opentelemetry_can_turn_traces_off(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv(name, value)
    start_tracing("a")
    assert not is_tracing()


def test_spans_that_have_ended_are_exported_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with collect_traces() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.port}")
        start_tracing("a-service")
        with span("outer", parent=PARENT, facts={"n": 1}), span("inner"), span("dropped") as dropped:
            dropped.drop()
        with pytest.raises(ZeroDivisionError), span("fails"):
            raise ZeroDivisionError("the message may be a secret")
        stop_tracing()
    spans = {one.name: one for one in collector.spans}
    assert set(spans) == {"outer", "inner", "fails"}
    assert spans["inner"].parent_id == spans["outer"].span_id
    assert (spans["outer"].trace_id, spans["outer"].service) == (TRACE_ID, "a-service")
    assert (spans["fails"].has_failed, spans["fails"].facts) == (True, {"error.type": "ZeroDivisionError"})


@pytest.mark.slow
@pytest.mark.parametrize("is_listening", [True, False])
def test_an_endpoint_that_hangs_or_refuses_delays_nothing(
    monkeypatch: pytest.MonkeyPatch, is_listening: bool
) -> None:
    with socket.socket() as endpoint:
        endpoint.bind(("127.0.0.1", 0))
        if is_listening:
            endpoint.listen(1)  # connections are accepted by the system, and never answered
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{endpoint.getsockname()[1]}")
        start_tracing("a")
        began = time.monotonic()
        for _ in range(3000):  # more than the queue and a batch hold
            with span("work"):
                pass
        assert time.monotonic() - began < 60
        began = time.monotonic()
        stop_tracing()
        assert time.monotonic() - began < FLUSH_SECONDS + 60


class EndsTracing(ModuleType):
    """The package of OpenTelemetry, whose first use by a span ends tracing: another thread may do so."""

    @property
    def trace(self) -> ModuleType:
        stop_tracing()
        return sys.modules["opentelemetry.trace"]


def test_work_that_begins_while_tracing_ends_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with collect_traces() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.port}")
        start_tracing("a")
        monkeypatch.setitem(sys.modules, "opentelemetry", EndsTracing("opentelemetry"))
        with span("work", parent=PARENT) as found:
            assert not is_tracing()
            assert (found.traceparent or "").split("-")[1] == TRACE_ID


def test_a_worker_with_unfinished_work_keeps_its_trace_and_exports_what_has_ended() -> None:
    program = """
import logging
from types import SimpleNamespace
from airflow_provider_pushmetrics.service.processes.worker import _stop
from airflow_provider_pushmetrics.serving.traces import is_tracing, span, start_tracing

class Handler(logging.Handler):
    def emit(self, record):
        print(record.getMessage(), is_tracing(), flush=True)

logging.basicConfig(level="INFO", handlers=[Handler()])
start_tracing("a")
with span("first block"):
    pass
_stop(SimpleNamespace(stop=lambda: False))
"""
    with collect_traces() as collector:
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}"}
        done = subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, **variables, "OTEL_BSP_SCHEDULE_DELAY": "600000"},
        )
    assert done.stdout.strip() == "stopped; unfinished work continues at the next start True"
    assert [one.name for one in collector.spans] == ["first block"]
