"""A real PostgreSQL takes what the triggers and the tasks store, as each supported Airflow writes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from airflow.triggers.base import TriggerEvent
from hypothesis import given
from sqlalchemy.engine import make_url

from airflow_provider_pushmetrics.client.models import FeedEvent
from airflow_provider_pushmetrics.exceptions import PushMetricsError
from airflow_provider_pushmetrics.triggers.trigger_events import (
    build_failure_event,
    build_found_event,
    dump_event,
)
from tests.fakes.airflow_storage import write_next_kwargs, write_xcom
from tests.fakes.json_values import JSON_OBJECTS, TEXTS

psycopg = pytest.importorskip("psycopg")

pytestmark = pytest.mark.postgres


@pytest.fixture(name="database", scope="module")
def open_database(postgres_server_url: str) -> Iterator[Any]:
    url = make_url(postgres_server_url).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as connection:
        yield connection


def store(database: Any, text: str) -> None:
    """Store JSON as the columns of XComs and resumed tasks do, and as the index of asset events reads it."""
    database.execute("SELECT %s::jsonb", (text,)).fetchone()


@given(body=JSON_OBJECTS, error=TEXTS)
def test_postgresql_takes_any_event_and_any_error(database: Any, body: dict[str, Any], error: str) -> None:
    found = FeedEvent.model_construct(id=3, source="demo", received_at="2026", body=body)
    events: list[TriggerEvent] = [
        build_found_event("report.run", found),
        build_failure_event(PushMetricsError(error), run_id=7),
        build_failure_event(OSError(error), run_id=7),
    ]
    for event in events:
        store(database, write_next_kwargs(event.payload))
    store(database, write_xcom(dump_event(found)))


def test_postgresql_itself_does_not_take_nul(database: Any) -> None:
    with pytest.raises(psycopg.errors.UntranslatableCharacter):
        store(database, write_next_kwargs({"text": "a\0b"}))
