"""Redirects from URLs of the API to the corresponding pages."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse

router = APIRouter()


@router.get("/")
@router.get("/app")
def open_app(request: Request) -> RedirectResponse:
    """Redirect to the web interface."""
    return RedirectResponse("app/", 307)
