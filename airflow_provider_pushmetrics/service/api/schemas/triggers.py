"""Triggers: the requests that create and change them, and the answers that show and call them."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypeAliasType, TypedDict

from airflow_provider_pushmetrics.service.api.conventions.fields import Flag, Id, Moment, Uid
from airflow_provider_pushmetrics.service.api.conventions.shapes import One, Page, RequestBody, answer


class TriggerSettings(RequestBody):
    """The settings of a trigger."""

    active: Flag | None = Field(None, examples=[True])
    """Whether a call starts a run."""
    token: str | None = None
    """The token of the URL; without it, a random one."""
    details: Any = Field(None, examples=[{"email_on": "failure"}])
    """
    An object or its JSON text. ``email_on`` and ``slack_on`` select the runs to notify of:
    ``success``, ``failure`` or ``both``, which is the default. Other keys are stored.
    """
    recipients: Any = Field(None, examples=[["ops@example.com"]])
    """
    Mail addresses such as ``ann@example.com`` or ``Ann <ann@example.com>``: a list, its JSON text, or a text
    with commas, semicolons or line breaks between them.
    """
    slack_recipients: Any = None
    """Slack channels, in the same forms."""


class NewTrigger(TriggerSettings):
    """A new trigger of a report."""

    report_id: int = Field(examples=[1])


class TriggerChange(TriggerSettings):
    """The changes of a trigger. A field that is not given stays."""

    refresh_token: Flag = False
    """Whether the trigger gets a new random token; its old URL is invalid at once."""


@answer
class TriggerRow(TypedDict):
    """A trigger, without its token."""

    id: Id
    uid: Uid
    report_id: Id
    active: Annotated[bool, Field(examples=[True])]
    """Whether a call starts a run."""
    details: Annotated[str | None, Field(examples=['{"email_on": "failure"}'])]
    """The details as JSON text."""
    recipients: Annotated[str | None, Field(examples=['["ops@example.com"]'])]
    """The mail addresses as they were sent; a list as its JSON text."""
    slack_recipients: Annotated[str | None, Field(examples=[None])]
    """The Slack channels as they were sent; a list as its JSON text."""
    recipients_json: Annotated[list[str], Field(examples=[["ops@example.com"]])]
    """The mail addresses."""
    slack_recipients_json: Annotated[list[str], Field(examples=[[]])]
    """The Slack channels."""
    created_on: Moment


@answer
class TriggerDetails(TriggerRow):
    """A trigger. A Guest does not see its token and its URL."""

    token: NotRequired[Annotated[str, Field(examples=["aB3xY9kQ3vX8mWz1aB3xY9kQ3vX8mWz1"])]]
    url: NotRequired[
        Annotated[
            str, Field(examples=["https://pushmetrics.example/api/v1/report/1/webhook?token=aB3xY9kQ3vX8"])
        ]
    ]
    """The URL that starts a run."""


TriggerList = TypeAliasType("TriggerList", Page[TriggerRow])
TriggerResponse = TypeAliasType("TriggerResponse", One[TriggerDetails])


@answer
class TriggeredRun(TypedDict):
    """Confirms that a run was started."""

    success: Annotated[bool, Field(examples=[True])]
    """Always true."""
    run_id: NotRequired[Id]
    """The id of the run, unless the service is configured not to send it."""
