"""Deliveries of events: the answers that show them and their attempts."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypeAliasType, TypedDict

from airflow_provider_pushmetrics.service.api.conventions.fields import Id, Moment, Uid
from airflow_provider_pushmetrics.service.api.conventions.shapes import One, Page, answer
from airflow_provider_pushmetrics.service.api.conventions.statuses import DeliveryStatus


@answer
class DeliveryRow(TypedDict):
    """An event on its way to one subscription."""

    id: Id
    uid: Uid
    webhook_id: Uid
    """The id of the event, which every attempt sends as the header ``webhook-id``."""
    webhook_subscription_id: Id
    event: Annotated[str, Field(examples=["report.run"])]
    status: DeliveryStatus
    attempt_count: Annotated[int, Field(examples=[1])]
    """The number of attempts so far."""
    last_status_code: Annotated[int | None, Field(examples=[200])]
    """The status of the subscriber's answer to the last attempt, if there was one."""
    last_error: Annotated[str | None, Field(examples=[None])]
    """The reason, if the last attempt had no answer."""
    next_attempt_on: Moment | None
    """The moment of the next attempt, while the event is not delivered."""
    created_on: Moment
    finished_on: Moment | None


@answer
class Attempt(TypedDict):
    """One request to the subscriber."""

    number: Annotated[int, Field(examples=[1])]
    started_on: Moment
    duration_ms: Annotated[int, Field(examples=[42])]
    status_code: Annotated[int | None, Field(examples=[200])]
    """The status of the subscriber's answer, if there was one."""
    error: Annotated[str | None, Field(examples=[None])]
    """The reason, if the attempt failed."""
    answer: Annotated[str | None, Field(examples=[""])]
    """The beginning of the subscriber's answer."""


@answer
class DeliveryDetails(DeliveryRow):
    """A delivery with its event and all attempts."""

    body: Annotated[dict[str, Any], Field(examples=[{"event": "report.run", "report_id": 1}])]
    """The event as it is sent."""
    attempts: list[Attempt]


DeliveryList = TypeAliasType("DeliveryList", Page[DeliveryRow])
DeliveryResponse = TypeAliasType("DeliveryResponse", One[DeliveryRow])
DeliveryDetailsResponse = TypeAliasType("DeliveryDetailsResponse", One[DeliveryDetails])
