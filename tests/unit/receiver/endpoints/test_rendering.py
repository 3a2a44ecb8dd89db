from __future__ import annotations

import json
from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families

from airflow_provider_pushmetrics.receiver.endpoints.reader import render_page
from airflow_provider_pushmetrics.receiver.inbox.records import EventPage, StoredEvent
from airflow_provider_pushmetrics.receiver.metrics import (
    CommitFigures,
    DeliveryCounter,
    InboxFigures,
)
from airflow_provider_pushmetrics.serving.metrics import render_metrics

MOMENT = datetime(2025, 6, 9, 17, 11, 23, tzinfo=UTC)


def test_empty_page() -> None:
    assert json.loads(render_page(EventPage((), 17))) == {"events": [], "cursor": 17}


def test_body_is_given_as_it_was_sent() -> None:
    body = b'{ "event":"x",\n "n": 1.10, "event": "y" }'
    page = render_page(EventPage((StoredEvent(17, 'de"mo', MOMENT, None, body),), 17))
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
    page = json.loads(render_page(EventPage((StoredEvent(18, "demo", MOMENT, 17, b"{}"),), 18)))
    assert page["events"][0]["replay_of"] == 17


def test_metrics_have_their_documented_names() -> None:
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
    families = {
        family.name: {(sample.name, *sample.labels.values()): sample.value for sample in family.samples}
        for family in text_string_to_metric_families(render_metrics(counter, commits, figures).decode())
        if not family.name.endswith("_created")
    }
    prefix = "pushmetrics_receiver_"
    deliveries = families[f"{prefix}deliveries"]
    assert deliveries[f"{prefix}deliveries_total", "accepted"] == 2
    assert deliveries[f"{prefix}deliveries_total", "duplicate"] == 0
    assert families[f"{prefix}inbox_events"] == {(f"{prefix}inbox_events",): 2}
    assert families[f"{prefix}inbox_last_event_id"] == {(f"{prefix}inbox_last_event_id",): 5}
    assert families[f"{prefix}waiting_readers"] == {(f"{prefix}waiting_readers",): 1}
    assert families[f"{prefix}refused_credentials"][f"{prefix}refused_credentials_total", "clock"] == 1
    sizes = families[f"{prefix}commit_deliveries"]
    assert sizes[f"{prefix}commit_deliveries_bucket", "4.0"] == 1
    assert sizes[f"{prefix}commit_deliveries_bucket", "+Inf"] == 2
    seconds = families[f"{prefix}commit_seconds"]
    assert seconds[f"{prefix}commit_seconds_bucket", "0.005"] == 1
    assert seconds[f"{prefix}commit_seconds_count",] == 2
    assert families[f"{prefix}consumer_lag"] == {(f"{prefix}consumer_lag", "airflow"): 3}
    missed = families[f"{prefix}consumer_missed_events"]
    assert missed == {(f"{prefix}consumer_missed_events_total", "airflow"): 7}
    assert len(families) == 9
