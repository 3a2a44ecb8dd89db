"""Whatever a sender or an error says, every supported Airflow can carry and store what the triggers fire."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.triggers.base import TaskSuccessEvent, TriggerEvent
from hypothesis import given

from airflow_provider_pushmetrics.client.models import FeedEvent, QueryOutcome, RunOutputs, RunStatus
from airflow_provider_pushmetrics.client.outcomes import RunOutcome, build_result
from airflow_provider_pushmetrics.client.waits import FinishedRun
from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.storable import MAX_STORABLE_DEPTH, storable_errors
from airflow_provider_pushmetrics.triggers.trigger_events import (
    build_failure_event,
    build_finished_event,
    build_found_event,
    dump_event,
)
from tests.fakes.airflow_storage import (
    HAS_SUPERVISOR,
    frame_event,
    frame_failure,
    read_next_kwargs,
    read_xcom,
    write_next_kwargs,
    write_xcom,
)
from tests.fakes.json_values import HARMFUL_OBJECTS, HARMFUL_TEXTS, JSON_OBJECTS, TEXTS, nest

MYSQL_MAX_DEPTH = 100


def build_event(body: dict[str, Any]) -> FeedEvent:
    return FeedEvent.model_construct(id=3, source="demo", received_at="2026", body=body)


def check_event(event: TriggerEvent) -> None:
    """Carry an event to the database and back."""
    frame_event(event)
    written = write_next_kwargs(event.payload)
    check_json(written)
    assert read_next_kwargs(written) == event.payload


def check_xcom(value: Any) -> None:
    written = write_xcom(value)
    check_json(written)
    assert read_xcom(written) == value


def check_json(text: str) -> None:
    """Check what PostgreSQL and MySQL refuse; one test asks PostgreSQL itself."""
    text.encode("utf-8")
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert "\\u0000" not in text
    assert count_levels(json.loads(text)) <= MYSQL_MAX_DEPTH


def count_levels(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(count_levels, inner), default=0)


@given(JSON_OBJECTS)
def test_any_event_of_the_inbox_is_carried_and_stored(body: dict[str, Any]) -> None:
    found = build_event(body)
    check_event(build_found_event("report.run", found))
    check_event(TriggerEvent(dump_event(found)))  # a watcher's
    frame_event(TaskSuccessEvent(xcoms={"return_value": dump_event(found)}))
    check_xcom(dump_event(found))


@given(TEXTS)
def test_any_error_is_carried_and_stored(text: str) -> None:
    check_event(build_failure_event(PushMetricsError(text), run_id=7))
    check_event(build_failure_event(KeyError(text), run_id=7))
    with pytest.raises(PushMetricsError) as caught, storable_errors():  # a watcher's, and a notifier's
        raise PushMetricsError(text) from ValueError(text)
    frame_failure(caught.value)


@given(TEXTS, TEXTS)
def test_whatever_the_api_says_of_a_run_is_carried_and_stored(name: str, url: str) -> None:
    finished = FinishedRun(name, 7, url, RunStatus.SUCCESS)
    check_event(build_finished_event(finished))
    query = QueryOutcome.model_construct(
        query_id=10**30, query_name=name, query_result=url, status=name, row_count=-(10**30)
    )
    outputs = RunOutputs.model_construct(status=None, queries=(query,))
    check_xcom(build_result(RunOutcome(name, 7, url, RunStatus.SUCCESS, outputs)))


def test_the_deepest_body_that_the_receiver_takes_is_carried_and_stored() -> None:
    objects_alone: dict[str, Any] = {}
    for _ in range(500):
        objects_alone = {"n": objects_alone}
    for body in ({"n": nest(63)}, {"n": nest(500)}, {"n": nest(MAX_STORABLE_DEPTH)}, objects_alone):
        check_event(build_found_event("report.run", build_event(body)))


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, "\ud800"])
@pytest.mark.skipif(not HAS_SUPERVISOR, reason="of Airflow 3")
def test_airflow_itself_does_not_carry_such_a_value(value: Any) -> None:
    """What would end the triggerer; if Airflow learns it, the cleaning may go."""
    with pytest.raises((OverflowError, UnicodeEncodeError)):
        frame_event(TriggerEvent({"n": value}))
    if isinstance(value, str):
        with pytest.raises(UnicodeEncodeError):
            frame_failure(ValueError(value))


@pytest.mark.parametrize("text", HARMFUL_TEXTS)
def test_a_harmful_text_is_taken_as_key_and_as_value(text: str) -> None:
    check_event(build_found_event("report.run", build_event({text: text, "in": [{text: [text]}]})))


@pytest.mark.parametrize("body", HARMFUL_OBJECTS)
def test_a_sender_cannot_choose_which_class_a_task_builds(body: dict[str, Any]) -> None:
    found = dump_event(build_event(body))
    assert isinstance(read_next_kwargs(write_next_kwargs(found))["body"], dict)
    assert isinstance(read_xcom(write_xcom(found))["body"], dict)
