from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_pushmetrics.client import feed
from airflow_provider_pushmetrics.client.feed import ConsumerPosition, Receiver
from airflow_provider_pushmetrics.client.protocol import Call
from airflow_provider_pushmetrics.event_matching import EventFilter
from airflow_provider_pushmetrics.exceptions import PushMetricsAuthError, PushMetricsProtocolError
from tests.fakes.scripted import ScriptedDriver, build_answer, run_call

RECEIVER = Receiver("https://airflow.example.com/pushmetrics", "reader-token")


def test_who_took_the_event_is_fetched_and_stored_with_the_position() -> None:
    place = {"name": "a/b", "position": 4, "taken_by": "a_dag/a_run"}
    driver = ScriptedDriver([build_answer(200, place), build_answer()])
    assert driver.run(feed.fetch_consumer(RECEIVER, "a/b")) == ConsumerPosition(4, "a_dag/a_run")
    driver.run(feed.claim_event(RECEIVER, "a/b", 5, taken_by="a_dag/another_run"))
    assert driver.paths == ["GET /pushmetrics/consumers/a%2Fb", "PUT /pushmetrics/consumers/a%2Fb"]
    assert driver.requests[1].json_body == {"position": 5, "taken_by": "a_dag/another_run"}
    assert driver.requests[1].is_repeatable
    assert driver.last_headers["Authorization"] == "Bearer reader-token"


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
    receiver = Receiver("https://airflow.example.com/pushmetrics", "reader-token", "pushmetrics_default")
    with pytest.raises(
        PushMetricsAuthError, match="extra 'receiver_token' of connection 'pushmetrics_default"
    ):
        run_call(call(receiver), build_answer(401, {"message": "no"}))
