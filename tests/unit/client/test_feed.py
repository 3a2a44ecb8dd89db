from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_pushmetrics.client import feed
from airflow_provider_pushmetrics.client.feed import ConsumerPosition, Receiver
from airflow_provider_pushmetrics.client.protocol import Call
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsAuthError,
    PushMetricsEventTakenError,
    PushMetricsProtocolError,
)
from airflow_provider_pushmetrics.tasks.failures import is_permanent
from tests.fakes.scripted import ScriptedDriver, build_answer, read_query, run_call

RECEIVER = Receiver("https://airflow.example/pushmetrics", "reader-token")
EVENT = {
    "id": 3,
    "source": "demo",
    "received_at": "2026-01-01T00:00:00+00:00",
    "body": {"event": "report.run"},
}


def test_the_receiver_prints_without_its_token() -> None:
    assert "reader-token" not in repr(RECEIVER)


def test_events_are_asked_for_with_the_readers_token() -> None:
    driver = ScriptedDriver([build_answer(200, {"events": [EVENT], "cursor": 3})])
    page = driver.run(feed.fetch_events(RECEIVER, EventFilter(), after=2))
    assert (page.cursor, page.events[0].id, page.events[0].body) == (3, 3, {"event": "report.run"})
    request = driver.requests[0]
    assert request.url.startswith("https://airflow.example/pushmetrics/events?")
    assert request.headers["Authorization"] == "Bearer reader-token"
    assert read_query(request) == {"after": "2", "limit": "100", "wait": "0"}


def test_only_what_is_wanted_is_asked_for() -> None:
    wanted = EventFilter("report.run", 0, 2, 7, "demo & co")
    driver = ScriptedDriver([build_answer(200, {"cursor": 0})])
    driver.run(feed.fetch_events(RECEIVER, wanted, after=0, limit=1))
    assert read_query(driver.requests[0]) == {
        "after": "0",
        "limit": "1",
        "wait": "0",
        "event": "report.run",
        "report_id": "0",
        "query_id": "2",
        "run_id": "7",
        "source": "demo & co",
    }


@pytest.mark.parametrize(("wait", "asked"), [(float("inf"), "30"), (30.5, "30"), (2.5, "2.5"), (-1, "0")])
def test_a_long_poll_lasts_no_longer_than_proxies_bear(wait: float, asked: str) -> None:
    driver = ScriptedDriver([build_answer(200, {"cursor": 0})])
    driver.run(feed.fetch_events(RECEIVER, EventFilter(), after=0, wait_seconds=wait))
    assert read_query(driver.requests[0])["wait"] == asked


def test_the_time_that_the_receiver_holds_the_answer_is_no_part_of_the_timeout() -> None:
    driver = ScriptedDriver([build_answer(200, {"cursor": 0})])
    driver.run(feed.fetch_events(RECEIVER, EventFilter(), after=0, wait_seconds=30))
    assert driver.requests[0].held_seconds == 30
    assert driver.requests[0].timeout_seconds == feed.ANSWER_MARGIN_SECONDS


@pytest.mark.parametrize("body", [{}, {"events": []}, {"cursor": 1, "events": [{"id": 1}]}, {"cursor": "x"}])
def test_an_answer_that_holds_no_events_is_refused_with_the_way_out(body: dict[str, Any]) -> None:
    with pytest.raises(PushMetricsProtocolError, match="receiver_url is the receiver's base URL"):
        run_call(feed.fetch_events(RECEIVER, EventFilter(), after=0), build_answer(200, body))


def test_the_cursor_is_fetched() -> None:
    driver = ScriptedDriver([build_answer(200, {"cursor": 17})])
    assert driver.run(feed.fetch_cursor(RECEIVER)) == 17
    assert driver.paths == ["GET /pushmetrics/cursor"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"cursor": None},
        {"cursor": "17"},
        {"cursor": True},
        {"cursor": 2**63},
        {"cursor": -1},
        {"position": 1},
    ],
)
def test_a_cursor_that_is_no_number_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(PushMetricsProtocolError, match="without 'cursor'"):
        run_call(feed.fetch_cursor(RECEIVER), build_answer(200, body))


def test_a_consumers_position_is_fetched_and_stored() -> None:
    driver = ScriptedDriver([build_answer(200, {"name": "a/b", "position": 4}), build_answer()])
    assert driver.run(feed.fetch_position(RECEIVER, "a/b")) == 4
    driver.run(feed.store_position(RECEIVER, "a/b", 5))
    assert driver.paths == ["GET /pushmetrics/consumers/a%2Fb", "PUT /pushmetrics/consumers/a%2Fb"]
    assert driver.requests[1].json_body == {"position": 5}
    assert driver.requests[1].is_repeatable


def test_a_consumer_that_nobody_knows_has_no_position() -> None:
    assert run_call(feed.fetch_position(RECEIVER, "new"), build_answer(404)) is None


# Consumers that claim events


def test_who_took_the_event_is_fetched_and_stored_with_the_position() -> None:
    place = {"name": "a/b", "position": 4, "taken_by": "a_dag/a_run"}
    driver = ScriptedDriver([build_answer(200, place), build_answer()])
    assert driver.run(feed.fetch_consumer(RECEIVER, "a/b")) == ConsumerPosition(4, "a_dag/a_run")
    driver.run(feed.claim_event(RECEIVER, "a/b", 5, taken_by="a_dag/another_run"))
    assert driver.paths == ["GET /pushmetrics/consumers/a%2Fb", "PUT /pushmetrics/consumers/a%2Fb"]
    body = {"position": 5, "taken_by": "a_dag/another_run", "only_forwards": True}
    assert driver.requests[1].json_body == body
    assert driver.requests[1].is_repeatable
    assert driver.last_headers["Authorization"] == "Bearer reader-token"


@pytest.mark.parametrize(
    "move",
    [
        feed.claim_event(RECEIVER, "a", 5, taken_by="a_dag/a_run"),
        feed.store_position(RECEIVER, "a", 5, only_forwards=True),
    ],
)
def test_an_event_that_another_process_took_is_an_error_of_its_own_which_may_be_retried(move: Any) -> None:
    refused = build_answer(409, {"message": "The position is 9 already, and moves forwards only."})
    with pytest.raises(PushMetricsEventTakenError, match="The position is 9 already") as caught:
        run_call(move, refused)
    assert not is_permanent(caught.value)


@pytest.mark.parametrize("body", [{"position": 4}, {"position": 4, "taken_by": 7}])
def test_a_receiver_need_not_say_who_took_the_event(body: dict[str, Any]) -> None:
    assert run_call(feed.fetch_consumer(RECEIVER, "a"), build_answer(200, body)) == ConsumerPosition(4)


@pytest.mark.parametrize("body", [{}, {"position": None}, {"position": "4"}, {"position": True}])
def test_a_position_that_is_no_number_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(PushMetricsProtocolError, match="without 'position'"):
        run_call(feed.fetch_consumer(RECEIVER, "a"), build_answer(200, body))


@pytest.mark.parametrize(
    "call",
    [
        lambda receiver: feed.fetch_consumer(receiver, "a"),
        lambda receiver: feed.claim_event(receiver, "a", 5, taken_by="a_dag/a_run"),
        lambda receiver: feed.fetch_cursor(receiver),
        lambda receiver: feed.fetch_position(receiver, "a"),
        lambda receiver: feed.store_position(receiver, "a", 5),
        lambda receiver: feed.fetch_events(receiver, EventFilter(), after=0),
    ],
)
def test_a_refused_reader_token_is_named_in_every_call_to_the_receiver(
    call: Callable[[Receiver], Call[Any]],
) -> None:
    receiver = Receiver("https://airflow.example/pushmetrics", "reader-token", "pushmetrics_default")
    with pytest.raises(
        PushMetricsAuthError, match="extra 'receiver_token' of connection 'pushmetrics_default"
    ):
        run_call(call(receiver), build_answer(401, {"message": "no"}))
