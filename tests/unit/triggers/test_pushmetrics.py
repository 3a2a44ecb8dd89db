from __future__ import annotations

import importlib
import inspect
import json
import re
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger

from airflow_provider_pushmetrics.client.models import FeedEvent, RunStatus
from airflow_provider_pushmetrics.client.waits import FinishedRun, RunTarget
from airflow_provider_pushmetrics.compat import has_airflow
from airflow_provider_pushmetrics.events import EVENT_NAMES
from airflow_provider_pushmetrics.exceptions import PushMetricsAuthError, PushMetricsParameterError
from airflow_provider_pushmetrics.triggers import pushmetrics as triggers
from airflow_provider_pushmetrics.triggers.event_filters import EVENTS
from airflow_provider_pushmetrics.triggers.event_stream import (
    EventProducer,
    build_position_name,
    build_run_position_name,
)
from airflow_provider_pushmetrics.triggers.pushmetrics import (
    PushMetricsEventTrigger,
    PushMetricsRunTrigger,
    PushMetricsSensorTrigger,
)
from airflow_provider_pushmetrics.triggers.trigger_events import (
    build_failure_event,
    build_finished_event,
    build_timeout_event,
    dump_event,
)
from tests.fakes.airflow_versions import needs_airflow

ARGUMENTS: dict[type[BaseTrigger], dict[str, Any]] = {
    PushMetricsRunTrigger: {
        "report_id": "aBc12",
        "run_id": 7,
        "after_cursor": 3,
        "pushmetrics_conn_id": "other",
        "deadline": 1_770_000_000.5,
        "not_before": 1_760_000_000.5,
        "poll_interval_seconds": 2.5,
        "cancel_on_kill": False,
        "end_from_trigger": True,
        "on_truncated": "fail",
        "parameters_digest": "0a1b",
        "on_clear": "reuse",
    },
    PushMetricsSensorTrigger: {
        "event": "query.run",
        "report_id": 1,
        "query_id": 2,
        "run_id": 7,
        "workspace_id": 4,
        "event_filter": "my_package.is_wanted",
        "after": 3,
        "newest_run_id": 6,
        "open_run_ids": [5, 6],
        "pushmetrics_conn_id": "other",
        "poll_interval_seconds": 2.5,
        "deadline": 1_770_000_000.5,
        "timeout_seconds": 60.0,
        "not_before": 1_760_000_000.5,
        "end_from_trigger": True,
        "on_failed_run": "skip",
    },
    PushMetricsEventTrigger: {
        "event": "query.run",
        "report_id": 1,
        "query_id": 2,
        "consumer": "billing",
        "asset_name": "delays",
        "pushmetrics_conn_id": "other",
        "queue": "near" if has_airflow("3.4") else None,
        "only_successful": True,
        "poll_interval_seconds": 10.0,
    },
}
LEAST: dict[type[BaseTrigger], dict[str, Any]] = {
    PushMetricsRunTrigger: {"report_id": "1"},
    PushMetricsSensorTrigger: {"event": "report.run"},
    PushMetricsEventTrigger: {},
}
CASES = [(trigger, kwargs) for cases in (ARGUMENTS, LEAST) for trigger, kwargs in cases.items()]


def test_every_trigger_of_the_module_is_checked_here() -> None:
    defined = {
        member
        for _, member in inspect.getmembers(triggers, inspect.isclass)
        if issubclass(member, BaseTrigger) and member.__module__ == triggers.__name__
    }
    assert defined == set(ARGUMENTS)


@pytest.mark.parametrize(("trigger_class", "kwargs"), CASES)
def test_a_trigger_is_rebuilt_from_what_it_writes_down(trigger_class: Any, kwargs: dict[str, Any]) -> None:
    path, written = trigger_class(**kwargs).serialize()
    module, _, name = path.rpartition(".")
    found = getattr(importlib.import_module(module), name)
    assert found is trigger_class
    assert found(**json.loads(json.dumps(written))).serialize() == (path, written)
    assert written.items() >= kwargs.items()


@pytest.mark.parametrize("trigger_class", list(ARGUMENTS))
def test_a_trigger_writes_down_all_its_parameters_and_nothing_else(trigger_class: Any) -> None:
    _, written = trigger_class(**ARGUMENTS[trigger_class]).serialize()
    parameters = set(inspect.signature(trigger_class.__init__).parameters) - {"self"}
    assert set(written) == parameters == set(ARGUMENTS[trigger_class])


@pytest.mark.parametrize("trigger_class", list(ARGUMENTS))
def test_airflow_can_encode_a_trigger(trigger_class: Any) -> None:
    encoders = pytest.importorskip("airflow.serialization.encoders")  # since Airflow 3.2
    trigger = trigger_class(**ARGUMENTS[trigger_class])
    assert json.loads(json.dumps(encoders.encode_trigger(trigger)))["classpath"] == trigger.serialize()[0]


@pytest.mark.parametrize("trigger_class", list(ARGUMENTS))
def test_a_trigger_holds_no_token(trigger_class: Any) -> None:
    assert not {name for name in ARGUMENTS[trigger_class] if re.search("token|secret|password|key", name)}
    assert "token" not in repr(trigger_class(**ARGUMENTS[trigger_class]))


# Events


def test_a_run_that_is_over_is_told_with_all_that_is_known() -> None:
    finished = FinishedRun("1", 7, "https://h/outputs", RunStatus.FAILED)
    event = build_finished_event(finished, RunTarget("aBc12", parameters_digest="0a1b"))
    assert event.payload == {
        "status": "success",
        "message": "run 7 has ended",
        "run_id": 7,
        "report_id": "1",
        "outputs_url": "https://h/outputs",
        "run_status": "failed",
        "started": {"report_id": "aBc12", "parameters_digest": "0a1b"},
    }
    assert json.loads(json.dumps(event.payload)) == event.payload


def test_a_run_that_is_over_may_leave_open_how() -> None:
    assert build_finished_event(FinishedRun("1", None)).payload["run_status"] is None


def test_a_timeout_and_a_failure_name_the_run_and_say_what_happened() -> None:
    assert build_timeout_event(run_id=7).payload == {
        "status": "timeout",
        "message": "the deadline passed",
        "run_id": 7,
        "cause": None,
    }
    assert build_failure_event(PushMetricsAuthError("refused"), run_id=None).payload == {
        "status": "error",
        "message": "refused",
        "error": "PushMetricsAuthError",
        "run_id": None,
        "status_code": None,
        "retry_after_seconds": None,
    }


def test_an_event_of_the_inbox_is_written_as_json_without_what_nobody_documented() -> None:
    event = FeedEvent.model_validate(
        {"id": 3, "source": "demo", "received_at": "2026", "body": {"event": "x", "n": None}, "replay_of": 1}
    )
    assert dump_event(event) == {
        "id": 3,
        "source": "demo",
        "received_at": "2026",
        "body": {"event": "x", "n": None},
    }


# Asset watchers


@needs_airflow("3.0")
def test_equal_watchers_are_one_to_airflow_and_others_are_not() -> None:
    first, again = PushMetricsEventTrigger(report_id=1), PushMetricsEventTrigger(report_id=1)
    other = PushMetricsEventTrigger(report_id=2)
    assert first.hash(*first.serialize()) == again.hash(*again.serialize())
    assert first.hash(*first.serialize()) != other.hash(*other.serialize())


@pytest.mark.parametrize(
    "change",
    [
        {"event": "query.updated"},
        {"report_id": 2},
        {"query_id": 2},
        {"consumer": "other"},
        {"pushmetrics_conn_id": "other"},
        {"only_successful": True},
        {"asset_name": "delays"},
    ],
)
def test_only_equal_watchers_share_a_stream_and_a_position(change: dict[str, Any]) -> None:
    kwargs: dict[str, Any] = {"event": "query.run", "report_id": 1, "query_id": 1}
    trigger, again = PushMetricsEventTrigger(**kwargs), PushMetricsEventTrigger(**kwargs)
    other = PushMetricsEventTrigger(**kwargs | change)
    assert trigger.shared_stream_key() == again.shared_stream_key() is not None
    assert trigger.shared_stream_key() != other.shared_stream_key()
    assert build_position_name(trigger.serialize()[1]) != build_position_name(other.serialize()[1])


@pytest.mark.parametrize(
    "change", [{"poll_interval_seconds": 10.0}, pytest.param({"queue": "near"}, marks=needs_airflow("3.4"))]
)
def test_watchers_that_look_elsewhere_or_at_other_times_have_streams_of_their_own_and_keep_their_position(
    change: dict[str, Any],
) -> None:
    trigger, other = PushMetricsEventTrigger(), PushMetricsEventTrigger(**change)
    assert trigger.shared_stream_key() != other.shared_stream_key()
    assert build_position_name(trigger.serialize()[1]) == build_position_name(other.serialize()[1])


CHANGES_OF_AN_ASSET = [{"only_successful": True}, {"pushmetrics_conn_id": "other"}]


@pytest.mark.parametrize("change", CHANGES_OF_AN_ASSET)
def test_watcher_of_an_asset_keeps_its_position_in_the_inbox_but_not_its_stream(
    change: dict[str, Any],
) -> None:
    kwargs: dict[str, Any] = {"report_id": 1, "asset_name": "delays"}
    trigger, changed = PushMetricsEventTrigger(**kwargs), PushMetricsEventTrigger(**kwargs | change)
    assert build_position_name(trigger.serialize()[1]) == build_position_name(changed.serialize()[1])
    assert trigger.shared_stream_key() != changed.shared_stream_key()


def test_assets_with_the_same_filter_have_positions_of_their_own() -> None:
    names = {
        build_position_name(PushMetricsEventTrigger(report_id=1, asset_name=name).serialize()[1])
        for name in ("delays", "other", None)
    }
    assert len(names) == 3


def test_position_in_the_list_of_runs_is_of_one_connection() -> None:
    """Another connection may lead to another PushMetrics, whose runs have other numbers."""
    first, other = (
        PushMetricsEventTrigger(asset_name="delays", pushmetrics_conn_id=conn_id).serialize()[1]
        for conn_id in ("first", "other")
    )
    assert build_run_position_name(first) != build_run_position_name(other)


def test_a_position_has_one_name_for_ever() -> None:
    """Positions are stored by name: a change of the rule would begin every consumer again."""
    _, kwargs = PushMetricsEventTrigger(event="report.run", report_id=1).serialize()
    assert build_position_name(kwargs) == "airflow-report.run-232d55eae468"
    assert build_position_name(kwargs | {"asset_name": "delays"}) == "airflow-report.run-3806cb4a3f74"


@pytest.mark.parametrize("event", EVENTS)
def test_the_name_of_a_position_is_one_that_the_receiver_takes(event: str) -> None:
    _, kwargs = PushMetricsEventTrigger(event=event, asset_name="ü / 日本").serialize()
    assert re.fullmatch(r"[A-Za-z0-9._:~@+-]{1,200}", build_position_name(kwargs))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"event": "report.runn"}, r"event is 'report.runn': it must be one of report.created, "),
        ({"event": None}, r"event is None: it must be one of "),
        ({"query_id": 3}, r"query_id is 3 and event is 'report.run': .* Use event='query.run' for"),
        ({"report_id": "abc"}, r"report_id is 'abc': it must be a whole number"),
        (
            {"event": "report.updated", "only_successful": True},
            "only report.run and query.run have an outcome",
        ),
    ],
)
def test_events_that_cannot_be_are_refused(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(PushMetricsParameterError, match=message):
        PushMetricsEventTrigger(**kwargs)


def test_the_events_are_those_of_the_documentation() -> None:
    assert set(EVENTS) == set(EVENT_NAMES)


def test_the_stream_asks_airflow_to_say_what_is_stored() -> None:
    _, kwargs = PushMetricsEventTrigger().serialize()
    assert isinstance(PushMetricsEventTrigger.create_shared_stream_producer(kwargs), EventProducer)


@pytest.mark.parametrize("consumer", ["", "two words", "x" * 177, "x" * 201, None])
def test_a_consumers_name_leaves_room_for_what_is_wanted(consumer: Any) -> None:
    with pytest.raises(PushMetricsParameterError, match=r"consumer is .*it must be 1 to 176 of"):
        PushMetricsEventTrigger(consumer=consumer)


def test_the_longest_consumers_name_makes_a_name_that_the_receiver_takes() -> None:
    _, kwargs = PushMetricsEventTrigger(consumer="x" * 176).serialize()
    assert len(build_position_name(kwargs)) == 200


@pytest.mark.parametrize("seconds", [0, -1, "5", None, float("nan"), True])
@pytest.mark.parametrize("trigger", [PushMetricsRunTrigger, PushMetricsSensorTrigger])
def test_how_often_to_ask_is_a_positive_number(trigger: Any, seconds: Any) -> None:
    wanted = {"report_id": "1"} if trigger is PushMetricsRunTrigger else {"event": "report.run"}
    with pytest.raises(PushMetricsParameterError, match=r"poll_interval_seconds is .*a positive number"):
        trigger(**wanted, poll_interval_seconds=seconds)
