"""Redirects from URLs of the API to the corresponding pages."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import RedirectResponse

from airflow_provider_pushmetrics.service.api.conventions.routers import make_router

router = make_router()


@router.get("/")
@router.get("/app")
def open_app(request: Request) -> RedirectResponse:
    """Redirect to the web interface."""
    return RedirectResponse("app/", 307)
