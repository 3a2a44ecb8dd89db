"""
Deliveries whose workflow has ended before they had: nobody else would go on with them.

It takes a fault of ours, or a workflow that killed its process again and again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from sqlalchemy import select, update

from airflow_provider_pushmetrics.service.models import Delivery
from airflow_provider_pushmetrics.service.models.statuses import PENDING
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.worker.dispatcher import name_attempt_workflow

RECONCILE_BATCH = 500
"""How many workflows are asked for at once."""

log = logging.getLogger(__name__)


class Reconciler:
    """
    Looks for enqueued deliveries that nobody works on.

    :param list_broken: Lists those of some workflows that have ended without that their work had.
    """

    def __init__(
        self,
        database: Database,
        list_broken: Callable[[list[str]], Sequence[str]],
    ) -> None:
        self._database = database
        self._list_broken = list_broken

    def reconciler(self) -> None:
        """Give deliveries whose workflow has ended a new one."""
        for delivery_id, attempt in self._find_broken_attempts():
            log.error("the workflow of delivery %s has failed: enqueueing it again", delivery_id)
            self._renew(delivery_id, attempt)

    def _find_broken_attempts(self) -> list[tuple[int, int]]:
        enqueued = select(Delivery.id, Delivery.generation, Delivery.enqueued_attempt).where(
            Delivery.status == PENDING, Delivery.enqueued_attempt > Delivery.attempt_count
        )
        with self._database.reading() as session:
            rows = session.execute(enqueued).all()
        by_workflow = {name_attempt_workflow(*row): (row[0], row[2]) for row in rows}
        return [by_workflow[workflow] for workflow in self._select_broken(by_workflow)]

    def _select_broken(self, workflow_ids: Iterable[str]) -> Iterator[str]:
        rest = iter(workflow_ids)
        while batch := list(islice(rest, RECONCILE_BATCH)):
            yield from self._list_broken(batch)

    def _renew(self, delivery_id: int, attempt: int) -> None:
        still_so = (
            Delivery.id == delivery_id,
            Delivery.status == PENDING,
            Delivery.enqueued_attempt == attempt,
            Delivery.attempt_count < attempt,
        )
        with self._database.writing() as session:
            session.execute(
                update(Delivery)
                .where(*still_so)
                .values(generation=Delivery.generation + 1, enqueued_attempt=Delivery.attempt_count)
                .execution_options(synchronize_session=False)
            )
