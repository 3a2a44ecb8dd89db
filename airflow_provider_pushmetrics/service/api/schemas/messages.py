"""Messages by mail and Slack: the answers that show them, and how they are sent and tested."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field, StringConstraints
from typing_extensions import TypeAliasType, TypedDict

from airflow_provider_pushmetrics.service.api.conventions.fields import (
    Id,
    Moment,
    ShortText,
    Uid,
    check_storable,
    one_of,
)
from airflow_provider_pushmetrics.service.api.conventions.shapes import (
    One,
    Page,
    RequestBody,
    Wrapped,
    answer,
)
from airflow_provider_pushmetrics.service.models.statuses import FAILED, PENDING
from airflow_provider_pushmetrics.service.notifications.message_outbox import KEPT, MAIL, SENT, SLACK
from airflow_provider_pushmetrics.service.notifications.settings import Security

MAX_TEST_RECIPIENT_LENGTH = 320

MessageKind: TypeAlias = Annotated[str, one_of(MAIL, SLACK), Field(examples=[MAIL])]
MessageStatus: TypeAlias = Annotated[
    str,
    one_of(PENDING, SENT, FAILED, KEPT),
    Field(
        description="The status; `kept` if the service is not configured to send this kind of message.",
        examples=[SENT],
    ),
]
Recipient: TypeAlias = Annotated[
    str, Field(description="The mail address or the Slack channel.", examples=["ops@example.com"])
]
Failure: TypeAlias = Annotated[
    str | None, Field(description="The reason, if the message was not sent.", examples=[None])
]


@answer
class SentMessage(TypedDict):
    """A message of a block, and its status so far."""

    id: Id
    uid: Uid
    kind: MessageKind
    recipient: Recipient
    status: MessageStatus
    error: Failure


@answer
class MessageRow(SentMessage):
    """A message to one mail address or one Slack channel."""

    recipient_name: Annotated[str | None, Field(examples=["Operations"])]
    subject: Annotated[str, Field(examples=["Orders: failed"])]
    text: Annotated[str, Field(examples=["The run 42 of the report Orders failed."])]
    files: Annotated[list[str], Field(examples=[["orders.csv"]])]
    """The names of the attached files."""
    attempt_count: Annotated[int, Field(examples=[1])]
    """The number of attempts to send it."""
    created_on: Moment
    finished_on: Moment | None


MessageList = TypeAliasType("MessageList", Page[MessageRow])
MessageResponse = TypeAliasType("MessageResponse", One[MessageRow])


@answer
class MailServer(TypedDict):
    """The mail server. No answer shows its password."""

    host: Annotated[str, Field(examples=["smtp.example.com"])]
    port: Annotated[int, Field(examples=[587])]
    security: Annotated[str, one_of(*(one.value for one in Security)), Field(examples=["starttls"])]
    """The encryption of the connection."""
    sender: Annotated[str, Field(examples=["Reports <reports@example.com>"])]
    user: Annotated[str | None, Field(examples=["reports"])]
    """The user name of the login; `null` without a login."""


@answer
class SlackConnection(TypedDict):
    """The connection to Slack. No answer shows its token."""

    base_url: Annotated[str, Field(examples=["https://slack.com/api/"])]


@answer
class NotificationSettings(TypedDict):
    """The mail server and Slack, as the environment of the service has them; `null` if it has none."""

    mail: MailServer | None
    slack: SlackConnection | None


NotificationSettingsResponse = TypeAliasType("NotificationSettingsResponse", Wrapped[NotificationSettings])


class MailTest(RequestBody):
    """The recipient of a test mail."""

    recipient: (
        Annotated[
            str,
            StringConstraints(min_length=1, max_length=MAX_TEST_RECIPIENT_LENGTH),
            AfterValidator(check_storable),
        ]
        | None
    ) = Field(None, examples=["ops@example.com"])
    """A mail address; by default that of the caller."""


class SlackTest(RequestBody):
    """The channel of a test message."""

    channel: Annotated[ShortText, StringConstraints(min_length=1)] = Field(examples=["#reports"])
    """The name or the id of a channel that the bot is a member of."""
