"""API tokens: the requests that create them and the answers that show them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from airflow_provider_pushmetrics.service.api.conventions.fields import Id, Moment, Name, Uid
from airflow_provider_pushmetrics.service.api.conventions.shapes import RequestBody, answer
from airflow_provider_pushmetrics.service.storage.clock import get_now


def parse_expiry(text: str) -> datetime:
    """
    Read when a token expires: at a moment, or at the end of a day in UTC.

    :raises ValueError: if it is neither, or has passed.
    """
    try:
        day = _read_day(text)
        if day is not None:
            moment = datetime.combine(day, time(), UTC) + timedelta(days=1)
        else:
            moment = datetime.fromisoformat(text)
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a date or a time in ISO 8601, such as 2030-12-31") from None
    if moment <= get_now():
        raise ValueError("must be in the future")
    return moment


def _read_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def check_expiry(text: str) -> str:
    """Accept when a token expires."""
    parse_expiry(text)
    return text


class NewToken(RequestBody):
    """A new API token."""

    name: Name = Field(examples=["airflow"])
    expires_on: Annotated[str, AfterValidator(check_expiry)] | None = Field(None, examples=["2030-12-31"])
    """The last day in UTC, or the moment, in ISO 8601; without it, the token does not expire."""


@answer
class TokenRow(TypedDict):
    """An API token, without the token itself."""

    id: Uid
    name: Annotated[str, Field(examples=["airflow"])]
    token_prefix: Annotated[str | None, Field(examples=["pmpat_aB3xY9"])]
    """The beginning of the token."""
    workspace_id: Id
    """The id of the workspace that the token is bound to."""
    created_on: Moment
    expires_on: Moment | None


@answer
class TokenList(TypedDict):
    """The tokens of a user that were not revoked."""

    count: Annotated[int, Field(examples=[1])]
    ids: list[Uid]
    result: list[TokenRow]


@answer
class CreatedToken(TypedDict):
    """A new token."""

    id: Uid
    token: Annotated[str, Field(examples=["pmpat_" + "T" * 43])]
    """The token. No other answer shows it."""
    result: TokenRow


@answer
class ExchangedToken(TypedDict):
    """A JWT that an API token was exchanged for."""

    access_token: Annotated[str, Field(examples=["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"])]
    """The JWT."""
    expires_in: Annotated[int, Field(examples=[900])]
    """The lifetime of the JWT, in seconds."""
