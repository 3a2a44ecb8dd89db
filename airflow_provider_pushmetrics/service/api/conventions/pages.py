"""Browsers that open a URL of the API are sent to the page that shows the same."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import HTTPException, Request

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
    """Tell whether HTML is asked for by its name, and rather than JSON."""
    weights = dict(_read_weight(part) for part in reversed((accept or "").split(",", 64)[:64]))
    other = next((weights[name] for name in (JSON, "application/*", "*/*") if name in weights), 0.0)
    return weights.get(HTML, 0.0) > other


def _read_weight(part: str) -> tuple[str, float]:
    name, *options = (piece.strip().lower() for piece in part.split(";"))
    for option in options:
        if option.startswith("q="):
            try:
                return name, float(option[2:])
            except ValueError:
                return name, 0.0
    return name, 1.0
