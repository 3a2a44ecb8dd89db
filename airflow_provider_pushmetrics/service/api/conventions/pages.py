"""Browsers that open a URL of the API are sent to the page that shows the same."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import HTTPException, Request

from airflow_provider_pushmetrics.serving.http.headers import parse_accept

HTML = "text/html"
JSON = "application/json"


def show_run_as_page(report: str, run_id: str, request: Request) -> None:
    """
    Redirect browsers from the outputs of a run to their page; other clients get the outputs.

    :raises HTTPException: 303 with the relative URL of the page, since a proxy may have changed the path.
    """
    if prefers_page(request.headers.get("accept")):
        page = f"../../../../app/reports/{quote(report, safe='')}/runs/{quote(run_id, safe='')}"
        raise HTTPException(303, "See the page", headers={"Location": page, "Vary": "Accept"})


def prefers_page(accept: str | None) -> bool:
    """Return whether HTML is accepted by name, and preferred to JSON."""
    accepted = parse_accept(accept)
    return accepted.get_named_weight(HTML) > accepted.get_weight(JSON)
