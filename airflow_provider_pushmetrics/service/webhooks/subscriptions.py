"""Changes of subscriptions: rotating secrets, disabling and enabling, and resending events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.models import Delivery, RetiredSecret, Subscription
from airflow_provider_pushmetrics.service.models.statuses import DELIVERED, FAILED, PENDING
from airflow_provider_pushmetrics.service.storage.encryption import Cipher
from airflow_provider_pushmetrics.service.webhooks.notices import write_disabled_notice
from airflow_provider_pushmetrics.signatures import MAX_SIGNATURES, decode_secret, generate_secret

ROTATION = timedelta(hours=24)
"""How long a replaced secret signs in addition to the new one."""


@dataclass(frozen=True)
class ResendRange:
    """
    Which deliveries are sent again.

    :param since: Those that ended at this time or later, also if their event is older; None for all.
    :param until: Those whose event was created before this time; None for all.
    :param include_delivered: Also those that were accepted: the receiver may have lost them since.
    """

    since: datetime | None = None
    until: datetime | None = None
    include_delivered: bool = False

    @property
    def statuses(self) -> tuple[str, ...]:
        return (FAILED, DELIVERED) if self.include_delivered else (FAILED,)


def rotate_secret(subscription: Subscription, cipher: Cipher, now: datetime) -> tuple[str, datetime]:
    """
    Replace the secret of a subscription. Older secrets sign too until they expire.

    :return: The new secret, and when the replaced one expires.
    """
    expires_on = now + ROTATION
    kept = [secret for secret in subscription.retired_secrets if secret.expires_on > now]
    retired = RetiredSecret(secret_encrypted=subscription.secret_encrypted, expires_on=expires_on)
    subscription.retired_secrets = [retired, *kept]
    secret = generate_secret()
    subscription.secret_encrypted = cipher.encrypt(secret)
    subscription.updated_on = now
    return secret, expires_on


def list_keys(
    secret: str, retired: Iterable[tuple[str, datetime]], cipher: Cipher, now: datetime
) -> tuple[bytes, ...]:
    """
    List the valid signing keys, the newest first, as many as verifiers check at most.

    :param secret: The encrypted secret of the subscription.
    :param retired: Its replaced secrets, encrypted, the newest first, and when each expires.
    """
    encrypted = [secret, *(one for one, expires_on in retired if expires_on > now)][:MAX_SIGNATURES]
    return tuple(decode_secret(cipher.decrypt(one)) for one in encrypted)


def enable(subscription: Subscription, now: datetime) -> None:
    """Enable a subscription, and forget its failures. Its waiting events are sent first."""
    subscription.active = True
    subscription.disabled_on = subscription.disabled_reason = subscription.failing_since = None
    subscription.updated_on = now


def disable(subscription: Subscription, now: datetime, reason: str) -> None:
    """Disable a subscription. Its pending deliveries wait until it is enabled."""
    subscription.active = False
    subscription.disabled_on, subscription.disabled_reason = now, reason
    subscription.updated_on = now


def give_up(session: Session, subscription: Subscription, now: datetime, reason: str) -> None:
    """Disable a subscription whose endpoint fails: notify its owner once, and end its pending deliveries."""
    if not subscription.active:
        return
    disable(subscription, now, reason)
    write_disabled_notice(session, subscription, reason, now)
    session.execute(
        update(Delivery)
        .where(Delivery.subscription_id == subscription.id, Delivery.status == PENDING)
        .values(status=FAILED, finished_on=now)
        .execution_options(synchronize_session="fetch")
    )


def resend(delivery: Delivery, now: datetime) -> None:
    """Deliver an event again under the same ``webhook-id``, with all its attempts."""
    delivery.status, delivery.finished_on = PENDING, None
    delivery.schedule_start = delivery.attempt_count
    delivery.worker_id, delivery.next_attempt_on = None, now


def count_in_range(session: Session, subscription: Subscription, wanted: ResendRange) -> int:
    """Count the deliveries that :func:`resend_range` would resend."""
    found = _select_range(subscription, wanted).with_only_columns(func.count())
    return session.scalar(found) or 0


def resend_range(session: Session, subscription: Subscription, wanted: ResendRange, now: datetime) -> int:
    """Deliver all events of a range again, each under the same ``webhook-id``, and count them."""
    ids = _select_range(subscription, wanted).with_only_columns(Delivery.id)
    changed = session.execute(
        update(Delivery)
        # Another call may just have resent it.
        .where(Delivery.id.in_(ids), Delivery.status.in_(wanted.statuses))
        .values(
            status=PENDING,
            finished_on=None,
            schedule_start=Delivery.attempt_count,
            worker_id=None,
            next_attempt_on=now,
        )
        .execution_options(synchronize_session=False)
    )
    return int(changed.rowcount)  # type: ignore[attr-defined]


def _select_range(subscription: Subscription, wanted: ResendRange) -> Select[Delivery]:
    rows = select(Delivery).where(
        Delivery.subscription_id == subscription.id, Delivery.status.in_(wanted.statuses)
    )
    if wanted.since is not None:
        rows = rows.where(Delivery.finished_on >= wanted.since)
    if wanted.until is not None:
        rows = rows.where(Delivery.created_on < wanted.until)
    return rows
