"""The webhook trigger: a call of its URL starts a run."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute

from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError
from airflow_provider_pushmetrics.service.api.conventions.access import Parts, get_parts
from airflow_provider_pushmetrics.service.api.conventions.document import TRIGGER_CREDENTIAL
from airflow_provider_pushmetrics.service.api.conventions.fields import IdempotencyKey, Reference
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.schemas.triggers import TriggeredRun
from airflow_provider_pushmetrics.service.reports.parameters import (
    TOKEN,
    merge_parameters,
    parse_json_parameters,
)
from airflow_provider_pushmetrics.service.runs.call_batching import CallOutcome
from airflow_provider_pushmetrics.service.runs.submission import (
    AcceptedRun,
    RunSubmission,
    check_idempotency_key,
)
from airflow_provider_pushmetrics.service.runs.triggers import CalledTrigger, TriggerCall
from airflow_provider_pushmetrics.serving.parameter_types import ParameterValueError
from airflow_provider_pushmetrics.serving.traces import get_traceparent
from airflow_provider_pushmetrics.tracing import STARTED_BY, TRACEPARENT, TaskOrigin, parse_traceparent


class TriggerRoute(APIRoute):
    """Calls the function directly: what FastAPI does to find its arguments takes as long as the rest."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Give the function that answers a request."""

        async def handle(request: Request) -> Response:
            key = request.headers.get("Idempotency-Key")
            return await trigger_report(
                request.path_params["reference"], request, await get_parts(request), key
            )

        return handle


router = make_router("/api/v1/report", "trigger", TriggerRoute)

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


@router.get(
    PATH,
    operation_id="trigger_report_by_get",
    openapi_extra=TRIGGER_CREDENTIAL,
    response_model=TriggeredRun,
)
@router.post(
    PATH,
    operation_id="trigger_report",
    openapi_extra=PARAMETERS | TRIGGER_CREDENTIAL,
    response_model=TriggeredRun,
)
async def trigger_report(
    reference: Reference, request: Request, parts: Parts, idempotency_key: IdempotencyKey = None
) -> Response:
    """
    Start a run of a report and return at once.

    The query string, except `token`, and the JSON object in the body of a POST are the parameters. The body
    wins. A repeated `Idempotency-Key` starts no other run: the answer is that of the first request, with the
    header `Idempotency-Replayed: true`.
    """
    body = await request.body() if request.method == "POST" else b""
    query = request.query_params.multi_items()
    token = next((value for name, value in query if name == TOKEN), "")
    origin = TaskOrigin.parse(request.headers.get(STARTED_BY))
    traceparent = get_traceparent() or parse_traceparent(request.headers.get(TRACEPARENT))

    def build(trigger: CalledTrigger) -> RunSubmission:
        return RunSubmission(
            trigger.report_id,
            merge_parameters(query, parse_json_parameters(body)),
            origin="webhook",
            idempotency_key=check_idempotency_key(idempotency_key),
            webhook_id=trigger.id,
            traceparent=traceparent,
            started_by=origin.describe() if origin else None,
        )

    try:
        run = _authorize(await parts.call_batcher.call(TriggerCall(reference, token), build))
    except ParameterValueError as error:
        raise PushMetricsParameterError(str(error)) from error  # 400, as for all that a trigger is given
    answer: TriggeredRun = {"success": True}
    if parts.settings.trigger_returns_run_id:
        answer["run_id"] = run.id
    headers = {"Idempotency-Replayed": "true"} if run.is_replay else None
    return JSONResponse(answer, headers=headers)


def _authorize(outcome: CallOutcome) -> AcceptedRun:
    if outcome.trigger is None:
        raise HTTPException(401, REFUSED)
    if outcome.run is None:
        raise HTTPException(403, DISABLED)
    return outcome.run
