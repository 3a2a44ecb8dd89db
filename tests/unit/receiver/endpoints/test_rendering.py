from __future__ import annotations

import json
from datetime import UTC, datetime

from airflow_provider_pushmetrics.receiver.endpoints.reader import render_page
from airflow_provider_pushmetrics.receiver.inbox.records import Page, StoredEvent
from airflow_provider_pushmetrics.receiver.metrics import (
    CommitFigures,
    DeliveryCounter,
    InboxFigures,
    render_metrics,
)

MOMENT = datetime(2025, 6, 9, 17, 11, 23, tzinfo=UTC)


def test_empty_page() -> None:
    assert json.loads(render_page(Page((), 17))) == {"events": [], "cursor": 17}


def test_body_is_given_as_it_was_sent() -> None:
    body = b'{ "event":"x",\n "n": 1.10, "event": "y" }'
    page = render_page(Page((StoredEvent(17, 'de"mo', MOMENT, None, body),), 17))
    assert body in page
    assert json.loads(page) == {
        "events": [
            {
                "id": 17,
                "source": 'de"mo',
                "received_at": "2025-06-09T17:11:23+00:00",
                "body": {"event": "y", "n": 1.1},
            }
        ],
        "cursor": 17,
    }


def test_replayed_event_says_which_it_repeats() -> None:
    page = json.loads(render_page(Page((StoredEvent(18, "demo", MOMENT, 17, b"{}"),), 18)))
    assert page["events"][0]["replay_of"] == 17


def test_metrics_are_prometheus_text() -> None:
    counter = DeliveryCounter()
    counter.count("accepted")
    counter.count("accepted")
    counter.count("unauthorized", "clock")
    commits = CommitFigures()
    commits.observe(deliveries=3, seconds=0.004)
    commits.observe(deliveries=1000, seconds=9)
    figures = InboxFigures(
        events=2, last_event_id=5, waiting_readers=1, consumers={"airflow": 3}, missed={"airflow": 7}
    )
    text = render_metrics(counter, commits, figures)
    assert text.endswith("\n")
    lines = text.splitlines()
    assert 'pushmetrics_receiver_deliveries_total{outcome="accepted"} 2' in lines
    assert 'pushmetrics_receiver_deliveries_total{outcome="duplicate"} 0' in lines
    assert "# TYPE pushmetrics_receiver_deliveries_total counter" in lines
    assert "pushmetrics_receiver_inbox_events 2" in lines
    assert "pushmetrics_receiver_inbox_last_event_id 5" in lines
    assert "pushmetrics_receiver_waiting_readers 1" in lines
    assert 'pushmetrics_receiver_refused_credentials_total{reason="clock"} 1' in lines
    assert 'pushmetrics_receiver_commit_deliveries_bucket{le="4"} 1' in lines
    assert 'pushmetrics_receiver_commit_deliveries_bucket{le="+Inf"} 2' in lines
    assert 'pushmetrics_receiver_commit_seconds_bucket{le="0.005"} 1' in lines
    assert "pushmetrics_receiver_commit_seconds_count 2" in lines
    assert 'pushmetrics_receiver_consumer_lag{consumer="airflow"} 3' in lines
    assert 'pushmetrics_receiver_consumer_missed_events_total{consumer="airflow"} 7' in lines
    assert len({line.split()[2] for line in lines if line.startswith("# TYPE")}) == 9
