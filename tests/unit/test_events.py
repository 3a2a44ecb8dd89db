from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_pushmetrics.events import (
    EVENT_MODELS,
    EVENT_NAMES,
    QueryRun,
    ReportCreated,
    ReportRun,
    UnknownEvent,
    parse_event,
)
from airflow_provider_pushmetrics.exceptions import InvalidEventError

VECTORS = sorted((Path(__file__).parents[1] / "vectors" / "events").glob("*.json"))
SECRET = "whsec_c2VjcmV0LXZhbHVl"

report_run = json.loads(next(path for path in VECTORS if path.stem == "report.run").read_text())

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=12,
)
event_fields = st.sampled_from(
    [
        "event",
        "report_id",
        "query_id",
        "report_name",
        "workspace_id",
        "collection_id",
        "timestamp",
        "queries",
        "query_result",
        "report_notebook_outputs",
    ]
)
near_events = st.dictionaries(event_fields, st.sampled_from(EVENT_NAMES) | json_values, max_size=10)


def test_there_is_a_vector_for_each_documented_event() -> None:
    assert {path.stem for path in VECTORS} == set(EVENT_NAMES)
    assert len(EVENT_NAMES) == 8


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_a_documented_payload_is_read_as_its_own_model_and_written_back_equal(path: Path) -> None:
    body = path.read_bytes()
    event = parse_event(body)
    assert type(event) is EVENT_MODELS[path.stem]
    assert event.model_dump(mode="json", exclude_unset=True) == json.loads(body)


@pytest.mark.parametrize("read", [json.dumps, lambda body: json.dumps(body).encode(), dict])
def test_an_event_is_read_from_text_bytes_or_an_object(read: Any) -> None:
    assert parse_event(read(report_run)) == parse_event(report_run)


def test_fields_are_read_with_their_types() -> None:
    event = parse_event(report_run)
    assert isinstance(event, ReportRun)
    assert event.timestamp == datetime(2025, 6, 9, 17, 11, 23, tzinfo=UTC)
    assert [query.query_name for query in event.queries] == ["velit", "non", "alias"]


def test_an_unknown_event_is_kept() -> None:
    body = {"event": "report.archived", "report_id": 7, "by": {"user": "ada"}, "workspace_id": 1}
    event = parse_event(body)
    assert type(event) is UnknownEvent
    assert event.model_dump(mode="json", exclude_unset=True) == body


def test_fields_that_the_documentation_does_not_name_are_kept() -> None:
    body = {**report_run, "trigger": {"kind": "schedule"}}
    body["queries"] = [{**query, "row_count": 3} for query in report_run["queries"]]
    assert parse_event(body).model_dump(mode="json", exclude_unset=True) == body


def test_collection_fields_are_read_as_the_workspace() -> None:
    event = parse_event(
        {"event": "report.created", "report_id": 1, "collection_id": 3, "collection_name": "Ventes"}
    )
    assert (event.workspace_id, event.workspace_name) == (3, "Ventes")


def test_collection_fields_are_written_back_as_the_workspace() -> None:
    event = parse_event({"event": "report.created", "report_id": 1, "collection_id": 3})
    written = event.model_dump(mode="json", exclude_unset=True)
    assert written == {"event": "report.created", "report_id": 1, "workspace_id": 3}


def test_a_report_run_without_queries_is_an_event() -> None:
    body = {key: value for key, value in report_run.items() if key != "queries"}
    event = parse_event(body)
    assert isinstance(event, ReportRun)
    assert event.queries == ()


def test_an_event_cannot_be_changed() -> None:
    event = parse_event({"event": "report.created", "report_id": 1})
    assert isinstance(event, ReportCreated)
    with pytest.raises(ValueError, match="frozen"):
        event.report_id = 2  # type: ignore[misc]


def test_run_ids_are_read_from_the_documented_urls() -> None:
    run = parse_event(report_run)
    assert isinstance(run, ReportRun)
    assert run.run_id == 1
    query = parse_event(next(path for path in VECTORS if path.stem == "query.run").read_bytes())
    assert isinstance(query, QueryRun)
    assert query.run_id == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"report.run"',
        b"{}",
        b"\xff\xfe\x00",
        b"\xef\xbb\xbf{}",
        b'{"event": "report.run"',
        b'{"event": null}',
        b'{"event": ["report.run"]}',
        b'{"event": "report.created"}',
        b'{"event": "report.created", "report_id": null}',
        b'{"event": "report.created", "report_id": "one"}',
        b'{"event": "report.created", "report_id": 1e400}',
        b'{"event": "report.created", "report_id": NaN}',
        b'{"event": "report.created", "report_id": 1.5}',
        b'{"event": "report.created", "report_id": ' + b"9" * 5000 + b"}",
        b'{"event": "report.created", "report_id": 1, "timestamp": "yesterday"}',
        b'{"event": "report.run", "report_id": 1}',
        b'{"event": "report.run", "report_id": 1, "report_notebook_outputs": 7}',
        b'{"event": "query.run", "report_id": 1, "query_id": 1}',
        b'{"event": "\xed\xa0\x80"}',
        '{"event": "\ud800"}',
        b'{"event": ' + b"[" * 100_000,
        b'{"event": "x", "a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        {1: 2, "event": "report.created", "report_id": 1},
        {},
    ],
)
def test_what_is_no_event_is_refused_with_the_rule(body: Any) -> None:
    with pytest.raises(InvalidEventError, match="An event is a JSON object with its name in 'event'"):
        parse_event(body)


def test_the_refusal_names_the_field_at_fault() -> None:
    with pytest.raises(InvalidEventError, match=r"report\.created\.report_id"):
        parse_event({"event": "report.created", "report_id": "x"})


@pytest.mark.parametrize(
    "body",
    [
        {"event": "report.created", "report_id": SECRET},
        {"event": "report.created", "report_id": 1, "timestamp": SECRET},
        {"event": "report.run", "report_id": 1, "report_notebook_outputs": {"token": SECRET}},
        {"event": "report.run", "report_id": 1, "report_notebook_outputs": "", "queries": SECRET},
        {"event": [SECRET]},
        SECRET,
        f'{{"event": "{SECRET}',
    ],
)
def test_the_refusal_never_holds_a_value(body: Any) -> None:
    with pytest.raises(InvalidEventError) as caught:
        parse_event(body)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def parse_or_refuse(body: Any) -> None:
    with suppress(InvalidEventError):
        assert isinstance(parse_event(body).event, str)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_invalid_event_error(body: bytes) -> None:
    parse_or_refuse(body)


@given(near_events | json_values)
def test_no_json_raises_anything_but_invalid_event_error(value: Any) -> None:
    # json.dumps writes NaN, Infinity and lone surrogates too, as a careless sender would.
    parse_or_refuse(json.dumps(value))
    parse_or_refuse(json.dumps(value).encode())
    if isinstance(value, dict):
        parse_or_refuse(value)


@given(st.sampled_from(VECTORS), event_fields, json_values)
def test_no_wrong_value_in_one_field_raises_anything_but_invalid_event_error(
    path: Path, name: str, value: Any
) -> None:
    parse_or_refuse(json.loads(path.read_bytes()) | {name: value})
