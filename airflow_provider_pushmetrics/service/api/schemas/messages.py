"""Messages by mail and Slack: the answers that show them."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field
from typing_extensions import TypeAliasType, TypedDict

from airflow_provider_pushmetrics.service.api.conventions.fields import Id, Moment, Uid, one_of
from airflow_provider_pushmetrics.service.api.conventions.shapes import One, Page, answer
from airflow_provider_pushmetrics.service.models.statuses import FAILED, PENDING
from airflow_provider_pushmetrics.service.notifications.message_outbox import KEPT, MAIL, SENT, SLACK

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
