"""The cookie of a signed-in browser, and its protection against other sites."""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import HTTPException, Request, Response

from airflow_provider_pushmetrics.service.settings import ServiceSettings

COOKIE = "pushmetrics_session"

HEADER = "X-PushMetrics-App"
"""A page of another site cannot send it: the CORS request for it is never granted."""

OWNER_HEADER = "X-PushMetrics-Owner"
"""For whom a page was opened: the ids of the user and the workspace, such as ``1.1``."""

OTHER_USER = "Another user has signed in since this page was opened. Sign in again to go on here."

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FOREIGN = f"The request does not come from the web interface: it must have the header {HEADER}"


def read_session(request: Request) -> str | None:
    """
    Read a browser's session from its cookie.

    :raises HTTPException: 403 for a change without the header.
    """
    session = request.cookies.get(COOKIE)
    if session is not None and request.method not in SAFE_METHODS:
        check_own_page(request)
    return session


def check_own_page(request: Request) -> None:
    """
    Require the header of the web interface.

    :raises HTTPException: 403 without it.
    """
    # SameSite=Strict alone would accept a page on another port of this host.
    if HEADER not in request.headers or request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise HTTPException(403, FOREIGN)


def check_owner(request: Request, user_id: int, workspace_id: int) -> None:
    """
    Refuse what a page asks for that was opened by another user of the same browser.

    :raises HTTPException: 401, with a header that tells the page why.
    """
    owner = request.headers.get(OWNER_HEADER)
    if owner is not None and owner != f"{user_id}.{workspace_id}":
        raise HTTPException(401, OTHER_USER, headers={"X-PushMetrics-Reason": "other-user"})


def set_session(request: Request, response: Response, session: str, settings: ServiceSettings) -> None:
    """Set the session cookie, inaccessible to scripts and other sites."""
    response.set_cookie(
        COOKIE,
        session,
        path=_find_path(settings),
        secure=_is_https(request, settings),
        httponly=True,
        samesite="strict",
    )


def clear_session(response: Response, settings: ServiceSettings) -> None:
    """Delete the session cookie."""
    response.delete_cookie(COOKIE, path=_find_path(settings), httponly=True, samesite="strict")


def _find_path(settings: ServiceSettings) -> str:
    return urlsplit(settings.base_url).path + "/"


def _is_https(request: Request, settings: ServiceSettings) -> bool:
    return request.url.scheme == "https" or settings.base_url.startswith("https:")
