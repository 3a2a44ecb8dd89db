"""What operators monitor, in Prometheus' text format."""

from __future__ import annotations

from fastapi import Response

from airflow_provider_pushmetrics.service.api.conventions.access import Admin, Parts
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.serving.metrics import CONTENT_TYPE

router = make_router(tag="health")


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "The figures."}
    },
)
def get_metrics(parts: Parts, caller: Admin) -> Response:
    """
    Return the waiting work, its lag and the live workers, and what this process and its worker have done.

    The figures are of all workspaces and contain no names.
    """
    return Response(parts.render_metrics(), media_type=CONTENT_TYPE)
