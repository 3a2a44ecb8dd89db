"""Browsers that open a URL of the API are sent to the page that shows the same."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import HTTPException, Request

from airflow_provider_pushmetrics.serving.headers import parse_accept

HTML = "text/html"
JSON = "application/json"


def show_run_as_page(report: str, run_id: str, request: Request) -> None:
    """
    Lead a browser from the outputs of a run to their page; everybody else gets what they ask for.

    :raises HTTPException: 303 with where the page is, relative to the URL, whose path a proxy may have cut.
    """
    if prefers_page(request.headers.get("accept")):
        page = f"../../../../app/reports/{quote(report, safe='')}/runs/{quote(run_id, safe='')}"
        raise HTTPException(303, "See the page", headers={"Location": page, "Vary": "Accept"})


def prefers_page(accept: str | None) -> bool:
    """Return whether HTML is asked for by its name, and rather than JSON."""
    accepted = parse_accept(accept)
    return accepted.get_named_weight(HTML) > accepted.get_weight(JSON)
