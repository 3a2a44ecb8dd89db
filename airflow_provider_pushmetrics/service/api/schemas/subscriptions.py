"""Subscriptions to events: the requests that create and change them, and the answers that show them."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field, StringConstraints
from typing_extensions import TypeAliasType, TypedDict

from airflow_provider_pushmetrics.events import EVENT_NAMES
from airflow_provider_pushmetrics.service.api.conventions.fields import (
    Flag,
    Id,
    Moment,
    Name,
    Uid,
    check_storable,
)
from airflow_provider_pushmetrics.service.api.conventions.shapes import (
    One,
    Page,
    RequestBody,
    Wrapped,
    answer,
)
from airflow_provider_pushmetrics.service.webhooks.custom_headers import (
    HEADER_NAME,
    MAX_CUSTOM_HEADERS,
    check_headers,
)

MAX_ENDPOINT_URL_LENGTH = 2048


def check_events(events: list[str]) -> list[str]:
    """
    Accept names of events, each once.

    :raises ValueError: if there are none, or one that does not exist.
    """
    unknown = [name for name in events if name not in EVENT_NAMES]
    if unknown or not events:
        raise ValueError(f"must be some of {', '.join(EVENT_NAMES)}")
    return list(dict.fromkeys(events))


Url: TypeAlias = Annotated[
    str, StringConstraints(max_length=MAX_ENDPOINT_URL_LENGTH), AfterValidator(check_storable)
]
EventName: TypeAlias = Annotated[str, Field(json_schema_extra={"enum": list(EVENT_NAMES)})]
Headers: TypeAlias = Annotated[
    dict[str, str],
    AfterValidator(check_headers),
    Field(
        examples=[{"Authorization": "Bearer 0123456789abcdef"}],
        json_schema_extra={"propertyNames": {"pattern": HEADER_NAME}, "maxProperties": MAX_CUSTOM_HEADERS},
    ),
]
Events: TypeAlias = Annotated[
    list[EventName], AfterValidator(check_events), Field(json_schema_extra={"minItems": 1})
]


class NewSubscription(RequestBody):
    """A new subscription."""

    name: Name = Field(examples=["airflow"])
    url: Url = Field(examples=["https://airflow.example/pushmetrics/webhooks/service"])
    """The URL that the events are sent to."""
    events: Events = Field(examples=[["report.run"]])
    headers: Headers = Field({})
    """Headers that each request has too, such as `Authorization`. No answer shows their values."""
    active: Flag = True
    """Whether events are sent."""


class SubscriptionChange(RequestBody):
    """The changes of a subscription. A field that is not given stays."""

    name: Name | None = None
    url: Url | None = None
    events: Events | None = None
    headers: Headers | None = None
    """All headers; the value `***` stands for the stored one, as long as the URL leads to the same host."""
    active: Flag | None = Field(None, examples=[False])
    """Whether events are sent."""


@answer
class SubscriptionRow(TypedDict):
    """A subscription: a URL, and the events that are sent to it."""

    id: Id
    uid: Uid
    name: Annotated[str, Field(examples=["airflow"])]
    url: Annotated[str, Field(examples=["https://airflow.example/pushmetrics/webhooks/service"])]
    """A Guest sees only its host: the rest may contain a credential."""
    events: Annotated[list[str], Field(examples=[["report.run"]])]
    headers: Annotated[dict[str, str], Field(examples=[{"Authorization": "***"}])]
    """The names of the headers that each request has too; each value is shown as `***`."""
    active: Annotated[bool, Field(examples=[True])]
    """Whether events are sent."""
    created_on: Moment
    failing_since: Moment | None
    """The moment of the first failure since the last delivered event."""
    disabled_on: Moment | None
    disabled_reason: Annotated[str | None, Field(examples=[None])]


SubscriptionList = TypeAliasType("SubscriptionList", Page[SubscriptionRow])
SubscriptionResponse = TypeAliasType("SubscriptionResponse", One[SubscriptionRow])


@answer
class CreatedSubscription(TypedDict):
    """A new subscription and its secret."""

    id: Id
    result: SubscriptionRow
    signing_secret: Annotated[str, Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])]
    """The secret that signs the events. No other answer shows it."""


@answer
class RotatedSecret(CreatedSubscription):
    """A subscription and its new secret."""

    previous_valid_until: Moment
    """The moment until which the previous secret signs the events too."""


@answer
class OutcomeCounts(TypedDict):
    """What became of the deliveries that were created in a period."""

    delivered: Annotated[int, Field(examples=[98])]
    failed: Annotated[int, Field(examples=[1])]
    """Those that ran out of attempts, or were given up."""
    retried: Annotated[int, Field(examples=[1])]
    """Those that wait for another attempt after a failed one."""
    success_rate: Annotated[float | None, Field(examples=[0.98])]
    """The share of the delivered ones, from 0 to 1; `null` if nothing was tried."""


@answer
class SuccessRateDetails(TypedDict):
    """The share of deliveries that the endpoint accepted. Deliveries that were not tried do not count."""

    last_day: OutcomeCounts
    """The deliveries that were created in the last 24 hours."""
    last_week: OutcomeCounts
    """The deliveries that were created in the last 7 days."""


SuccessRateResponse = TypeAliasType("SuccessRateResponse", Wrapped[SuccessRateDetails])


@answer
class DeliveryCount(TypedDict):
    """A number of deliveries."""

    count: Annotated[int, Field(examples=[3])]
