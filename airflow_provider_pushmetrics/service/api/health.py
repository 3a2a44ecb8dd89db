"""Whether the service runs, and whether it can serve requests."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException
from pydantic import Field
from sqlalchemy.exc import SQLAlchemyError
from typing_extensions import TypedDict

from airflow_provider_pushmetrics.service.api.conventions.access import Parts
from airflow_provider_pushmetrics.service.api.conventions.document import NO_CREDENTIAL
from airflow_provider_pushmetrics.service.api.conventions.shapes import answer

router = APIRouter(prefix="/health", tags=["health"])

DATABASE_AWAY = "The database does not answer"
WORKER_AWAY = "The worker is being started: what is accepted meanwhile runs then"
UNREADY_RETRY_SECONDS = 5


@answer
class Health(TypedDict):
    """Confirms that the service is healthy."""

    status: Annotated[str, Field(examples=["ok"])]


@router.get("/live", openapi_extra=NO_CREDENTIAL)
async def get_liveness() -> Health:
    """Answer as long as the process runs."""
    return {"status": "ok"}


@router.get("/ready", openapi_extra=NO_CREDENTIAL)
def get_readiness(parts: Parts) -> Health:
    """Answer 200 if the database and the worker are available, and 503 otherwise."""
    try:
        parts.database.check()
    except SQLAlchemyError:
        raise _build_away(DATABASE_AWAY) from None
    if not parts.engine.is_alive():
        raise _build_away(WORKER_AWAY)
    return {"status": "ok"}


def _build_away(message: str) -> HTTPException:
    return HTTPException(503, message, headers={"Retry-After": str(UNREADY_RETRY_SECONDS)})
