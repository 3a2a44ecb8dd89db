from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.tracing import (
    STARTED_BY,
    TRACEPARENT,
    TaskOrigin,
    build_trace_headers,
    find_traceparent,
    link_asset_events,
    link_traces,
    parse_traceparent,
)

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE_ID = int("0af7651916cd43dd8448eb211c80319c", 16)
IDS = st.text(min_size=1, max_size=250)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        PARENT.upper(),
        PARENT + "-00",
        PARENT + "\n",
        "ff" + PARENT[2:],
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
    ],
)
def test_whatever_is_no_traceparent_is_ignored(text: str | None) -> None:
    assert parse_traceparent(text) is None


def test_a_traceparent_is_kept_as_it_is() -> None:
    assert parse_traceparent(PARENT) == PARENT


def test_without_a_span_and_a_task_a_call_has_no_more_headers() -> None:
    assert find_traceparent() is None
    assert build_trace_headers(None) == {}
    assert link_traces([PARENT]) == 0


def test_the_current_span_and_the_task_go_with_a_call() -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    with sdk.TracerProvider().get_tracer("a_test").start_as_current_span("a_task") as span:
        headers = build_trace_headers(TaskOrigin("a_dag", "a_task", "a run"))
        assert parse_traceparent(headers[TRACEPARENT])
        assert headers[TRACEPARENT].split("-")[1] == f"{span.get_span_context().trace_id:032x}"
        assert headers[STARTED_BY] == "dag_id=a_dag&task_id=a_task&run_id=a+run&try_number=1&map_index=-1"


@given(IDS, IDS, IDS, st.integers(0, 1000), st.integers(-1, 10**6))
def test_a_task_arrives_as_it_was_sent_in_ascii_and_within_the_limit(
    dag_id: str, task_id: str, run_id: str, try_number: int, map_index: int
) -> None:
    origin = TaskOrigin(dag_id, task_id, run_id, try_number, map_index)
    header = origin.format_header()
    assert header.isascii()
    assert header.isprintable()
    assert len(header) <= 4096
    arrived = TaskOrigin.parse(header)
    if all(name.isascii() and name.isprintable() for name in (dag_id, task_id, run_id)):
        assert arrived == origin
    elif arrived is not None:  # many letters of three bytes do not fit
        assert "\x00" not in arrived.describe()
        assert len(arrived.describe()) < 900


@given(st.text())
def test_any_other_header_is_ignored_or_is_a_task(text: str) -> None:
    TaskOrigin.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "dag_id=a",
        "dag_id=a&task_id=b&run_id=c&try_number=x&map_index=1",
        f"dag_id={'a' * 251}&task_id=b&run_id=c&try_number=1&map_index=1",
        "dag_id=%ff&task_id=b&run_id=c&try_number=1&map_index=1",
        "a" * 5000,
    ],
)
def test_an_incomplete_header_names_no_task(text: str | None) -> None:
    assert TaskOrigin.parse(text) is None


def test_a_task_is_described_for_people() -> None:
    assert TaskOrigin("d", "t", "r", 2).describe() == "Airflow d.t (run r, try 2)"
    assert TaskOrigin("d", "t", "r", 2, 3).describe() == "Airflow d.t (run r, try 2, map index 3)"


def test_a_task_is_linked_to_the_traces_of_the_events_that_started_its_dag() -> None:
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    extras: list[Any] = [{"payload": {"id": 1, "traceparent": PARENT}}, {"payload": {"id": 2}}, {}, None]
    context = {"triggering_asset_events": {"an_asset": [SimpleNamespace(extra=extra) for extra in extras]}}
    with sdk.TracerProvider().get_tracer("a_test").start_as_current_span("a_task") as span:
        assert link_asset_events(context) == 1
        assert link_asset_events({}) == 0
    (link,) = span.links
    assert link.context.trace_id == TRACE_ID
    assert link.context.is_remote
