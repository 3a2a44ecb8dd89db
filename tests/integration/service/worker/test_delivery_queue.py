"""Workers claim the deliveries that are due, and leave room for every endpoint."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from airflow_provider_pushmetrics.service.datasources.locations import SourcePlaces
from airflow_provider_pushmetrics.service.datasources.registry import SourceRegistry
from airflow_provider_pushmetrics.service.models import Delivery, Subscription
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.storage.clock import get_now
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher
from airflow_provider_pushmetrics.service.webhooks.event_outbox import put_in_outbox
from airflow_provider_pushmetrics.service.worker.claim_queue import ClaimQueue
from airflow_provider_pushmetrics.service.worker.claims import Claim, Group
from airflow_provider_pushmetrics.service.worker.engine import Engine
from airflow_provider_pushmetrics.service.worker.selection import select_deliveries
from tests.fakes.claims import release_all, release_forgotten


def put_deliveries(database: Database, event: str, count: int) -> int:
    """Subscribe to an event of its own, and put some in the outbox; give the subscription."""
    with database.writing() as session:
        subscription = Subscription(
            workspace_id=1, name="s", url="http://s.test", events=[event], secret_encrypted="x"
        )
        session.add(subscription)
        session.flush()
        for _ in range(count):
            put_in_outbox(session, 1, {"event": event})
        return subscription.id


def open_queue(database: Database, name: str = "me", *, places: int = 6) -> ClaimQueue:
    return ClaimQueue("delivery", database, name, select_deliveries(places, 4), lambda _: False)


def list_owners(database: Database) -> list[str | None]:
    with database.reading() as session:
        return list(session.scalars(select(Delivery.worker_id).order_by(Delivery.id)))


def change(database: Database, **values: object) -> None:
    with database.writing() as session:
        session.execute(update(Delivery).values(**values))


def test_endpoint_with_many_events_leaves_places_for_another(database: Database) -> None:
    many, few = put_deliveries(database, "many", 20), put_deliveries(database, "few", 2)
    queue = open_queue(database)
    claimed = [*queue.claim()[0], *queue.claim()[0]]
    assert Counter(row.group.key for row in claimed) == {many: 4, few: 2}
    assert [row.id for row in claimed if row.group.key == many] == [1, 2, 3, 4], "the oldest first"
    assert queue.claim()[0] == []


def test_two_workers_never_claim_the_same_delivery(database: Database) -> None:
    put_deliveries(database, "e", 6)
    first, second = (open_queue(database, name).claim()[0] for name in ("first", "second"))
    assert {row.id for row in first}.isdisjoint(row.id for row in second)
    assert list_owners(database) == ["first"] * 4 + ["second"] * 2


def test_delivery_is_claimed_when_it_is_due_and_not_before(database: Database) -> None:
    put_deliveries(database, "e", 1)
    change(database, next_attempt_on=get_now() + timedelta(seconds=60))
    claims, wait_seconds = open_queue(database).claim()
    assert claims == []
    assert wait_seconds is not None
    assert 50 < wait_seconds <= 60


def test_retry_of_an_endpoint_that_gets_a_new_event_is_not_late(database: Database) -> None:
    put_deliveries(database, "e", 1)
    change(database, next_attempt_on=get_now() + timedelta(seconds=60))
    with database.writing() as session:
        put_in_outbox(session, 1, {"event": "e"})
    queue = open_queue(database)
    claims, wait_seconds = queue.claim()
    assert [claim.id for claim in claims] == [2]
    assert wait_seconds == 0.0, "the retry was counted as due"
    claims, wait_seconds = queue.claim()
    assert claims == []
    assert wait_seconds is not None
    assert 50 < wait_seconds <= 60


def test_deliveries_to_a_disabled_subscription_and_ended_ones_are_not_claimed(database: Database) -> None:
    put_deliveries(database, "ended", 1)
    change(database, status="failed", finished_on=get_now())
    put_deliveries(database, "disabled", 1)
    with database.writing() as session:
        session.execute(update(Subscription).values(active=False))
    assert open_queue(database).claim() == ([], None)


def test_deliveries_of_a_dead_worker_are_claimed_by_another(database: Database) -> None:
    put_deliveries(database, "e", 2)
    open_queue(database, "dead").claim()
    assert open_queue(database).claim()[0] == []
    assert len(release_all(database, "dead", counts_loss=True)) == 2
    assert len(open_queue(database).claim()[0]) == 2


def test_delivery_that_was_not_made_is_released(database: Database) -> None:
    put_deliveries(database, "e", 1)
    queue = open_queue(database)
    (claim,) = queue.claim()[0]
    queue.perform(claim)
    assert list_owners(database) == [None]


def test_claim_of_a_delivery_that_is_not_active_is_released(database: Database) -> None:
    put_deliveries(database, "e", 2)
    open_queue(database).claim()  # the answer was lost: this worker, started anew, knows nothing of it
    release_forgotten(database, open_queue(database), "me")
    assert list_owners(database) == [None, None]


@pytest.mark.parametrize(("owner", "left"), [("me", None), ("another", "another")])
def test_unexpected_error_postpones_only_a_delivery_that_is_still_claimed_here(
    database: Database, tmp_path: Path, owner: str, left: str | None
) -> None:
    subscription_id = put_deliveries(database, "e", 1)  # its secret cannot be decrypted
    change(database, worker_id=owner)
    settings, cipher = ServiceSettings(tmp_path), Cipher("k" * 32)
    places, results = SourcePlaces(tmp_path, ()), ResultStore(tmp_path)
    with closing(SourceRegistry(database, cipher, places, settings.egress_rules)) as sources:
        engine = Engine(settings, "me", database, cipher, results, sources)
        engine._queues["delivery"].perform(Claim(Group(Delivery, subscription_id), 1))
    assert list_owners(database) == [left]
    with database.reading() as session:
        is_later = session.get_one(Delivery, 1).next_attempt_on > get_now() + timedelta(seconds=30)
    assert is_later == (owner == "me")
