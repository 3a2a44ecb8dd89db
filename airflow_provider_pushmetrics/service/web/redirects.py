"""From the URLs of the API that people open to the pages that show the same."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse

router = APIRouter()


@router.get("/")
@router.get("/app")
def open_app(request: Request) -> RedirectResponse:
    """Lead to the web interface."""
    return RedirectResponse("app/", 307)
