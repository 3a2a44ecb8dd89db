"""The share of deliveries that an endpoint accepted in the last day and week."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.models import Delivery
from airflow_provider_pushmetrics.service.models.statuses import DELIVERED, FAILED, PENDING

DAY = timedelta(days=1)
WEEK = timedelta(days=7)


@dataclass(frozen=True)
class DeliveryOutcomes:
    """
    What became of the deliveries of a period.

    Those that were not tried yet, or not since they were resent, do not count.

    :param retried: Pending ones whose last attempt failed. An endpoint that is down has only these at first.
    """

    delivered: int
    failed: int
    retried: int

    @property
    def success_rate(self) -> float | None:
        """The share of the delivered ones; None without any."""
        total = self.delivered + self.failed + self.retried
        return self.delivered / total if total else None


@dataclass(frozen=True)
class SuccessRates:
    """The outcomes of the last day and of the last week."""

    last_day: DeliveryOutcomes
    last_week: DeliveryOutcomes


def read_success_rates(session: Session, subscription_id: int, now: datetime) -> SuccessRates:
    """Read the success rates of one subscription, by one statement that reads an index only."""
    numbers = [
        number
        for period in (DAY, WEEK)
        for number in (
            _count(subscription_id, now - period, DELIVERED),
            _count(subscription_id, now - period, FAILED),
            _count(subscription_id, now - period, PENDING, Delivery.attempt_count > Delivery.schedule_start),
        )
    ]
    found = [int(number) for number in session.execute(select(*numbers)).one()]
    return SuccessRates(DeliveryOutcomes(*found[:3]), DeliveryOutcomes(*found[3:]))


def _count(
    subscription_id: int, since: datetime, status: str, *conditions: ColumnElement[bool]
) -> ColumnElement[int]:
    return (
        select(func.count())
        .where(
            Delivery.subscription_id == subscription_id,
            Delivery.status == status,
            Delivery.created_on >= since,
            *conditions,
        )
        .scalar_subquery()
    )
