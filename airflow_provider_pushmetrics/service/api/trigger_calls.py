"""The webhook trigger: a call of its URL starts a run."""

from __future__ import annotations

from fastapi import HTTPException, Request, Response

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.api.conventions.access import Parts
from airflow_provider_pushmetrics.service.api.conventions.document import TRIGGER_CREDENTIAL
from airflow_provider_pushmetrics.service.api.conventions.fields import IdempotencyKey, Reference
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.schemas.triggers import TriggeredRun
from airflow_provider_pushmetrics.service.reports.parameter_types import ParameterValueError
from airflow_provider_pushmetrics.service.reports.parameters import (
    TOKEN,
    merge_parameters,
    parse_json_parameters,
)
from airflow_provider_pushmetrics.service.runs.submission import RunSubmission, check_idempotency_key
from airflow_provider_pushmetrics.service.runs.triggers import CalledTrigger, TriggerCall
from airflow_provider_pushmetrics.serving.traces import get_traceparent
from airflow_provider_pushmetrics.tracing import STARTED_BY, TRACEPARENT, TaskOrigin, parse_traceparent

router = make_router("/api/v1/report", "trigger")

REFUSED = "The report is unknown or the token is not valid"
"""One sentence for a wrong token, a missing one and an unknown report: an answer must not help to guess."""

PARAMETERS = {
    "requestBody": {
        "required": False,
        "content": {
            "application/json": {
                "schema": {"type": "object", "examples": [{"date": "2026-01-01", "region": "EMEA"}]},
            }
        },
    }
}

DISABLED = "This webhook is disabled"
PATH = "/{reference}/webhook"


@router.get(PATH, operation_id="trigger_report_by_get", openapi_extra=TRIGGER_CREDENTIAL)
@router.post(PATH, operation_id="trigger_report", openapi_extra=PARAMETERS | TRIGGER_CREDENTIAL)
async def trigger_report(
    reference: Reference,
    request: Request,
    response: Response,
    parts: Parts,
    idempotency_key: IdempotencyKey = None,
) -> TriggeredRun:
    """
    Start a run of a report and return at once.

    The query string, except `token`, and the JSON object in the body of a POST are the parameters. The body
    wins. A repeated `Idempotency-Key` starts no other run: the answer is that of the first request, with the
    header `Idempotency-Replayed: true`.
    """
    body = await request.body() if request.method == "POST" else b""
    query = request.query_params.multi_items()
    token = next((value for name, value in query if name == TOKEN), "")
    trigger = _authorize(await parts.call_batcher.find_trigger(TriggerCall(reference, token)))
    origin = TaskOrigin.parse(request.headers.get(STARTED_BY))
    wanted = RunSubmission(
        trigger.report_id,
        merge_parameters(query, parse_json_parameters(body)),
        origin="webhook",
        idempotency_key=check_idempotency_key(idempotency_key),
        webhook_id=trigger.id,
        traceparent=get_traceparent() or parse_traceparent(request.headers.get(TRACEPARENT)),
        started_by=origin.describe() if origin else None,
    )
    try:
        run = await parts.call_batcher.accept_run(wanted)
    except ParameterValueError as error:
        raise PushMetricsParameterError(str(error)) from error  # 400, as for all that a trigger is given
    if run.is_replay:
        response.headers["Idempotency-Replayed"] = "true"
    if not parts.settings.trigger_returns_run_id:
        return {"success": True}
    return {"success": True, "run_id": run.id}


def _authorize(trigger: CalledTrigger | None) -> CalledTrigger:
    if trigger is None:
        raise HTTPException(401, REFUSED)
    if not trigger.is_active:
        raise HTTPException(403, DISABLED)
    return trigger
