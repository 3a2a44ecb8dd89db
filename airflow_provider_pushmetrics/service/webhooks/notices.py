"""Mails to the owner of a webhook subscription about the subscription itself."""

from __future__ import annotations

import logging
from datetime import datetime
from html import escape

from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.models import Membership, Subscription, User
from airflow_provider_pushmetrics.service.notifications.message_outbox import add_mail
from airflow_provider_pushmetrics.service.notifications.texts import NoticeText, build_subject

log = logging.getLogger(__name__)

DISABLED_TEXT = """\
The webhook subscription {name!r} (id {id}) was disabled: {reason}

No more events are sent to it. When its endpoint works again, enable it and send the failed events again:

  POST /api/v1/webhook_subscription/{id}/enable
  GET  /api/v1/webhook_subscription/{id}/resend   returns the number of these events
  POST /api/v1/webhook_subscription/{id}/resend   sends them, each with its original webhook-id
"""


def write_disabled_notice(
    session: Session, subscription: Subscription, reason: str, moment: datetime
) -> None:
    """
    Add a mail about a disabled subscription to the outbox, in the transaction that disables it.

    Without a mail server the mail is not sent; the API shows it.
    """
    name = " ".join(subscription.name.split())
    text = DISABLED_TEXT.format(name=name, id=subscription.id, reason=reason)
    subject = build_subject(f"Webhook subscription {name!r} was disabled")
    words = NoticeText(subject, text, f"<pre>{escape(text)}</pre>")
    recipient = _find_recipient(session, subscription)
    try:
        add_mail(session, subscription.workspace_id, [recipient], words, clock=lambda _: moment)
    except PushMetricsParameterError:
        # The owner may have no valid address, such as the user of the first start.
        log.warning("cannot notify the owner that subscription %s was disabled: %s", subscription.id, reason)


def _find_recipient(session: Session, subscription: Subscription) -> str:
    """Find the address of the owner, or of the first user of the workspace if there is no owner."""
    here = Membership.workspace_id == subscription.workspace_id
    users = select(User.email).join(Membership, Membership.user_id == User.id).where(here).order_by(User.id)
    owner = users.where(User.id == subscription.owner_id)
    return session.scalar(owner.limit(1)) or session.scalars(users.limit(1)).one()
