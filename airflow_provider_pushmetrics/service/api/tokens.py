"""Personal API tokens: making, listing and revoking one's own."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import AfterValidator, BaseModel, Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.accounts.authentication import generate_api_token, hash_token
from airflow_provider_pushmetrics.service.api.conventions.access import Caller, Editor, Parts
from airflow_provider_pushmetrics.service.api.conventions.fields import Name
from airflow_provider_pushmetrics.service.api.conventions.lookup import find_by_reference
from airflow_provider_pushmetrics.service.api.conventions.shapes import build_list
from airflow_provider_pushmetrics.service.models import ApiToken
from airflow_provider_pushmetrics.service.storage.clock import format_moment, get_now

router = APIRouter(prefix="/api/v1/access_token", tags=["access token"])

PREFIX_LENGTH = 12
"""How much of a token is shown later, for people to tell theirs apart: six of its 43 random characters."""


def parse_expiry(text: str) -> datetime:
    """
    Read when a token expires: a moment, or a day, at whose end in UTC it does.

    :raises ValueError: if it is neither, or has passed.
    """
    try:
        if len(text) == 10:
            moment = datetime.combine(date.fromisoformat(text), time(), UTC) + timedelta(days=1)
        else:
            moment = datetime.fromisoformat(text)
            moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be a date or a time in ISO 8601, such as 2030-12-31") from None
    if moment <= get_now():
        raise ValueError("must be in the future")
    return moment


def check_expiry(text: str) -> str:
    """Accept when a token expires."""
    parse_expiry(text)
    return text


class NewToken(BaseModel):
    """
    A new API token.

    :param expires_on: A day or a moment in ISO 8601; never, unless given.
    """

    name: Name = Field(examples=["airflow"])
    expires_on: Annotated[str, AfterValidator(check_expiry)] | None = Field(None, examples=["2030-12-31"])


@router.get("/")
def list_tokens(parts: Parts, caller: Caller) -> dict[str, Any]:
    """List one's own tokens that were not revoked, without the tokens themselves."""
    with parts.database.reading() as session:
        return list_tokens_of(session, caller.user_id, caller.workspace_id)


@router.post("/", status_code=201)
def create_token(wanted: NewToken, parts: Parts, caller: Editor) -> dict[str, Any]:
    """Make a token; only this answer shows it."""
    with parts.database.writing() as session:
        return make_token(session, caller.user_id, caller.workspace_id, wanted)


@router.delete("/{reference}")
def revoke_token(reference: str, parts: Parts, caller: Caller) -> dict[str, str]:
    """Revoke one of one's own tokens; its JWTs end with it."""
    with parts.database.writing() as session:
        token = find_by_reference(session, ApiToken, reference, caller, ApiToken.user_id == caller.user_id)
        token.revoked_on = token.revoked_on or get_now()
    return {"message": "OK"}


def list_tokens_of(session: Session, user_id: int, workspace_id: int) -> dict[str, Any]:
    """List the tokens of a user for a workspace, without the tokens themselves."""
    own = select(ApiToken).where(
        ApiToken.workspace_id == workspace_id,
        ApiToken.user_id == user_id,
        ApiToken.revoked_on.is_(None),
    )
    rows = [_build_row(token) for token in session.scalars(own.order_by(ApiToken.id))]
    return build_list(len(rows), rows)


def make_token(session: Session, user_id: int, workspace_id: int, wanted: NewToken) -> dict[str, Any]:
    """Make a token for a user, and the answer that shows it."""
    expires_on = None if wanted.expires_on is None else parse_expiry(wanted.expires_on)
    row, token = add_token(session, user_id, workspace_id, wanted.name, expires_on)
    return {"id": row.uid, "token": token, "result": _build_row(row)}


def add_token(
    session: Session, user_id: int, workspace_id: int, name: str, expires_on: datetime | None = None
) -> tuple[ApiToken, str]:
    """Make a token, of which only the hash is kept."""
    token = generate_api_token()
    row = ApiToken(
        user_id=user_id,
        workspace_id=workspace_id,
        name=name,
        token_hash=hash_token(token),
        token_prefix=token[:PREFIX_LENGTH],
        expires_on=expires_on,
    )
    session.add(row)
    session.flush()
    return row, token


def _build_row(token: ApiToken) -> dict[str, Any]:
    return {
        "id": token.uid,
        "name": token.name,
        "token_prefix": token.token_prefix,
        "workspace_id": token.workspace_id,
        "created_on": format_moment(token.created_on),
        "expires_on": format_moment(token.expires_on),
    }
