"""The webhook trigger: whoever has its URL starts a run."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool

from airflow_provider_pushmetrics.service.api.access import Parts
from airflow_provider_pushmetrics.service.parameters import (
    TOKEN,
    merge_parameters,
    parse_json_parameters,
)
from airflow_provider_pushmetrics.service.parts import ServiceParts
from airflow_provider_pushmetrics.service.runs import AcceptedRun, accept_run, check_idempotency_key
from airflow_provider_pushmetrics.service.triggers import find_pulled_trigger

router = APIRouter(prefix="/api/v1/report", tags=["trigger"])

REFUSED = "The report is unknown or the token is not valid"
"""One sentence for a wrong token, a missing one and an unknown report: an answer must not help to guess."""

PARAMETERS = {
    "requestBody": {
        "required": False,
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "example": {"date": "2026-01-01", "region": "EMEA"},
            }
        },
    }
}

DISABLED = "This webhook is disabled"


@router.get("/{reference}/webhook")
@router.post("/{reference}/webhook", openapi_extra=PARAMETERS)
async def pull_trigger(
    reference: str,
    request: Request,
    response: Response,
    parts: Parts,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> dict[str, Any]:
    """
    Start a run of a report and return at once.

    Parameters come from the query string and, in a POST, from a JSON object in the body, which wins. A repeat
    of an Idempotency-Key starts nothing and is marked by the header ``Idempotency-Replayed: true``.
    """
    # Before anything is looked up: also guessing at tokens is limited.
    parts.trigger_limit.check(f"{reference} {request.client.host if request.client else ''}")
    body = await request.body() if request.method == "POST" else b""
    query = request.query_params.multi_items()
    run = await run_in_threadpool(_accept, parts, reference, query, body, idempotency_key)
    if run.is_replay:
        response.headers["Idempotency-Replayed"] = "true"
    if not parts.settings.trigger_returns_run_id:
        return {"success": True}
    return {"success": True, "run_id": run.id}


def _accept(
    parts: ServiceParts,
    reference: str,
    query: list[tuple[str, str]],
    body: bytes,
    idempotency_key: str | None,
) -> AcceptedRun:
    webhook_id, report_id = _authorize(parts, reference, query)
    parameters = merge_parameters(query, parse_json_parameters(body))
    key = check_idempotency_key(idempotency_key)
    run = accept_run(
        parts.database,
        report_id,
        parameters,
        origin="webhook",
        idempotency_key=key,
        webhook_id=webhook_id,
    )
    parts.engine.wake()
    return run


def _authorize(parts: ServiceParts, reference: str, query: list[tuple[str, str]]) -> tuple[int, int]:
    token = next((value for name, value in query if name == TOKEN), "")
    with parts.database.reading() as session:
        webhook = find_pulled_trigger(session, reference, token)
    if webhook is None:
        raise HTTPException(401, REFUSED)
    if not webhook.active:
        raise HTTPException(403, DISABLED)
    return webhook.id, webhook.report_id
