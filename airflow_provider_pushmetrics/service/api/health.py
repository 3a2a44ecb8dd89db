"""Whether the service runs, and whether it can serve requests."""

from __future__ import annotations

from typing import Annotated

from fastapi import HTTPException
from pydantic import Field
from sqlalchemy.exc import SQLAlchemyError
from typing_extensions import TypedDict

from airflow_provider_pushmetrics.service.api.conventions.access import Parts
from airflow_provider_pushmetrics.service.api.conventions.document import NO_CREDENTIAL
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.conventions.shapes import answer
from airflow_provider_pushmetrics.service.storage.clock import read_database_clock
from airflow_provider_pushmetrics.service.storage.database import accepts_writes
from airflow_provider_pushmetrics.service.worker.backlog import list_workers

router = make_router("/health", "health")

DATABASE_AWAY = "The database does not answer"
READ_ONLY = "The database accepts no writes"
NO_HEARTBEAT = "The worker of this service has recorded no heartbeat within the lease"
WORKER_AWAY = "The worker is being started: what is accepted meanwhile runs then"
UNREADY_RETRY_SECONDS = 5


@answer
class Health(TypedDict):
    """Confirms that the service is healthy."""

    status: Annotated[str, Field(examples=["ok"])]


@answer
class Readiness(Health):
    """Confirms that the service accepts work, and tells how many workers would execute it now."""

    workers: Annotated[int, Field(ge=0, examples=[1])]


@router.get("/live", openapi_extra=NO_CREDENTIAL)
async def get_liveness() -> Health:
    """Answer as long as the process runs."""
    return {"status": "ok"}


@router.get("/ready", openapi_extra=NO_CREDENTIAL)
def get_readiness(parts: Parts) -> Readiness:
    """
    Answer 200 if the database accepts writes and the worker of this service sends heartbeats, else 503.

    Workers in other processes are not included: accepted runs wait for them. Alert if ``workers`` is 0.
    """
    try:
        parts.database.file.check()
        with parts.database.reading() as session:
            now = read_database_clock(session)
            workers = list_workers(session, now, parts.settings.worker_lease_seconds)
            is_writable = accepts_writes(session)
    except SQLAlchemyError:
        raise _build_away(DATABASE_AWAY) from None
    if parts.engine is not None and not parts.engine.is_alive():
        raise _build_away(WORKER_AWAY)
    if not is_writable:
        raise _build_away(READ_ONLY)
    # Others do not make up for it: it may be frozen. On SQLite, the heartbeat tells that the disk is full.
    if parts.engine is not None and parts.engine.worker_id not in workers:
        raise _build_away(NO_HEARTBEAT)
    return {"status": "ok", "workers": len(workers)}


def _build_away(message: str) -> HTTPException:
    return HTTPException(503, message, headers={"Retry-After": str(UNREADY_RETRY_SECONDS)})
