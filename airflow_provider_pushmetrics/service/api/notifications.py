"""The mail server and Slack: how they are configured, and test messages."""

from __future__ import annotations

from fastapi import HTTPException
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.redaction import redact
from airflow_provider_pushmetrics.service.accounts.authentication import Principal
from airflow_provider_pushmetrics.service.api.conventions.access import Admin, Parts
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import build_one, wrap
from airflow_provider_pushmetrics.service.api.messages import build_message_row
from airflow_provider_pushmetrics.service.api.schemas.messages import (
    MailServer,
    MailTest,
    MessageResponse,
    NotificationSettingsResponse,
    SlackConnection,
    SlackTest,
)
from airflow_provider_pushmetrics.service.models import OutgoingMessage, User, Workspace
from airflow_provider_pushmetrics.service.notifications.message_outbox import SlackDraft, add_mail, add_slack
from airflow_provider_pushmetrics.service.notifications.recipients import check_channel
from airflow_provider_pushmetrics.service.notifications.settings import (
    DEFAULT_PORTS,
    SlackSettings,
    SmtpSettings,
)
from airflow_provider_pushmetrics.service.notifications.texts import NoticeText
from airflow_provider_pushmetrics.service.runtime import ServiceParts
from airflow_provider_pushmetrics.service.templates.markdown import escape_slack

router = make_router("/api/v1/notification", "notification")

NO_MAIL_SERVER = f"There is no mail server: set {SmtpSettings.PREFIX}HOST and {SmtpSettings.PREFIX}SENDER"
NO_SLACK = f"There is no connection to Slack: set {SlackSettings.PREFIX}TOKEN"
TEST_SUBJECT = "Test of PushMetrics"


@router.get("/")
def get_notification_settings(parts: Parts, caller: Admin) -> NotificationSettingsResponse:
    """Show the mail server and the connection to Slack, without their secrets."""
    smtp, slack = parts.settings.smtp, parts.settings.slack
    return wrap(
        {
            "mail": None if smtp is None else _show_mail_server(smtp),
            "slack": None if slack is None else SlackConnection(base_url=redact(slack.base_url, slack.token)),
        }
    )


@router.post("/mail/test")
def send_test_mail(wanted: MailTest, parts: Parts, caller: Admin) -> MessageResponse:
    """Send a test mail. The answer is the message, whose status tells later whether it was sent."""
    if parts.settings.smtp is None:
        raise HTTPException(409, NO_MAIL_SERVER)
    _check_rate(parts, caller)
    with parts.database.writing() as session:
        recipient = wanted.recipient or session.get_one(User, caller.user_id).email
        words = NoticeText(TEST_SUBJECT, _write_test(session, caller))
        (message,) = add_mail(session, caller.workspace_id, [recipient], words)
        return _answer(session, message)


@router.post("/slack/test")
def send_test_to_slack(wanted: SlackTest, parts: Parts, caller: Admin) -> MessageResponse:
    """Post a test message. The answer is the message, whose status tells later whether it was posted."""
    if parts.settings.slack is None:
        raise HTTPException(409, NO_SLACK)
    channel = check_channel(wanted.channel.strip())
    _check_rate(parts, caller)
    with parts.database.writing() as session:
        draft = SlackDraft((channel,), escape_slack(_write_test(session, caller)))
        (message,) = add_slack(session, caller.workspace_id, draft)
        return _answer(session, message)


def _show_mail_server(smtp: SmtpSettings) -> MailServer:
    return {
        "host": smtp.host,
        "port": smtp.port or DEFAULT_PORTS[smtp.security],
        "security": smtp.security.value,
        "sender": smtp.sender,
        "user": smtp.user,
    }


def _check_rate(parts: ServiceParts, caller: Principal) -> None:
    """Limit the tests of a user: they go to any address."""
    parts.test_message_limit.check(str(caller.user_id))


def _write_test(session: Session, caller: Principal) -> str:
    workspace = session.get_one(Workspace, caller.workspace_id)
    email = session.get_one(User, caller.user_id).email
    return f"{email} sent this test from the workspace {workspace.name}. Notifications can be delivered here."


def _answer(session: Session, message: OutgoingMessage) -> MessageResponse:
    session.flush()
    return build_one(build_message_row(message))
