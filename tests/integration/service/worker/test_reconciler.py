"""Work whose workflow has ended without it: nobody has to start anything anew for it to be found."""

from __future__ import annotations

from sqlalchemy import select

from airflow_provider_pushmetrics.service.models import Delivery, Subscription
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.webhooks.outbox import put_in_outbox
from airflow_provider_pushmetrics.service.worker.reconciler import RECONCILE_BATCH, Reconciler


class Workflows:
    """The workflows of a database, of which some are broken."""

    def __init__(self, *broken: str) -> None:
        self.broken = set(broken)
        self.asked: list[int] = []

    def list_broken(self, workflow_ids: list[str]) -> list[str]:
        self.asked.append(len(workflow_ids))
        return [one for one in workflow_ids if one in self.broken]


def put_delivery(database: Database) -> Delivery:
    with database.writing() as session:
        session.add(
            Subscription(
                workspace_id=1, name="s", url="http://s.test", events=["report.run"], secret_encrypted="x"
            )
        )
        session.flush()
        put_in_outbox(session, 1, {"event": "report.run", "report_id": 1})
        delivery = session.scalars(select(Delivery)).one()
        delivery.attempt_count, delivery.enqueued_attempt = 2, 3
        return delivery


def test_many_attempts_are_asked_for_in_parts_and_new_ones_not_at_all(database: Database) -> None:
    put_delivery(database)
    with database.writing() as session:
        for _ in range(RECONCILE_BATCH + 1):
            put_in_outbox(session, 1, {"event": "report.run", "report_id": 1})
        session.flush()
        for delivery in session.scalars(select(Delivery).order_by(Delivery.id).limit(RECONCILE_BATCH + 1)):
            delivery.enqueued_attempt = delivery.attempt_count + 1
    workflows = Workflows()
    Reconciler(database, workflows.list_broken).reconciler()
    assert workflows.asked == [RECONCILE_BATCH, 1]


def test_delivery_whose_workflow_failed_is_enqueued_again(database: Database) -> None:
    before = put_delivery(database)
    workflows = Workflows(f"delivery-{before.id}-0-3")
    reconciler = Reconciler(database, workflows.list_broken)
    for _ in range(2):
        reconciler.reconciler()
        with database.reading() as session:
            now = session.get_one(Delivery, before.id)
        assert (now.generation, now.enqueued_attempt, now.attempt_count) == (1, 2, 2)
