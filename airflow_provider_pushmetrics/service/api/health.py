"""Whether the service lives, and whether it can serve."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_pushmetrics.service.api.conventions.access import Parts
from airflow_provider_pushmetrics.service.api.conventions.document import NO_CREDENTIAL

router = APIRouter(prefix="/health", tags=["health"])

DATABASE_AWAY = "The database does not answer"
WORKER_AWAY = "The worker is being started: what is accepted meanwhile runs then"
UNREADY_RETRY_SECONDS = 5


@router.get("/live", openapi_extra=NO_CREDENTIAL)
async def get_live() -> dict[str, str]:
    """Answer, as long as the process can."""
    return {"status": "ok"}


@router.get("/ready", openapi_extra=NO_CREDENTIAL)
def get_ready(parts: Parts) -> dict[str, str]:
    """Answer 200 when requests are served and runs executed, 503 when the database or the worker is away."""
    try:
        parts.database.check()
    except SQLAlchemyError:
        raise _build_away(DATABASE_AWAY) from None
    if not parts.engine.is_alive():
        raise _build_away(WORKER_AWAY)
    return {"status": "ok"}


def _build_away(message: str) -> HTTPException:
    return HTTPException(503, message, headers={"Retry-After": str(UNREADY_RETRY_SECONDS)})
