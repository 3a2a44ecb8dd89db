"""The cookie of a signed-in browser, and what keeps other sites from using it."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import HTTPException, Request, Response

from airflow_provider_pushmetrics.service.settings import ServiceSettings

COOKIE = "pushmetrics_session"

HEADER = "X-PushMetrics-App"
"""A page of another site cannot send it: browsers would ask for a permission that is never given."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FOREIGN = f"The request does not come from the web interface: it must have the header {HEADER}"


def read_session(request: Request) -> str | None:
    """
    Read a browser's session from its cookie.

    :raises HTTPException: 403 for a change that another site may have asked for.
    """
    session = request.cookies.get(COOKIE)
    if session is not None and request.method not in SAFE_METHODS:
        check_own_page(request)
    return session


def check_own_page(request: Request) -> None:
    """
    Accept what a page of our own asks for.

    :raises HTTPException: 403 for anything else.
    """
    # SameSite=Strict alone would let a page on another port of this host in.
    if HEADER not in request.headers or request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise HTTPException(403, FOREIGN)


def set_session(request: Request, response: Response, session: str, settings: ServiceSettings) -> None:
    """Give a browser its session, out of reach of scripts and other sites."""
    response.set_cookie(
        COOKIE,
        session,
        path=_find_path(settings),
        secure=_is_https(request, settings),
        httponly=True,
        samesite="strict",
    )


def clear_session(response: Response, settings: ServiceSettings) -> None:
    """Take a browser's session away."""
    response.delete_cookie(COOKIE, path=_find_path(settings), httponly=True, samesite="strict")


def _find_path(settings: ServiceSettings) -> str:
    return urlsplit(settings.base_url).path + "/"


def _is_https(request: Request, settings: ServiceSettings) -> bool:
    return request.url.scheme == "https" or settings.base_url.startswith("https:")
