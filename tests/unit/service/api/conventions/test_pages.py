"""Who is led from the API's URL of a run to its page, and where to."""

from __future__ import annotations

from urllib.parse import urljoin

import pytest
from fastapi import HTTPException
from starlette.requests import Request

from airflow_provider_pushmetrics.service.api.conventions.pages import prefers_page, show_run_as_page

CHROMIUM = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize("accept", [CHROMIUM, FIREFOX, "text/html", "TEXT/HTML, application/json;q=0.9"])
def test_browser_prefers_the_page(accept: str) -> None:
    assert prefers_page(accept)


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "",
        "*/*",
        "application/json",
        "application/json, text/html;q=0.9",
        "application/json, text/html",
        "text/html, */*",
        "text/html;q=0, */*;q=0",
        "text/html;q=much",
        "text/*",
        "text/csv",
        ",;=,",
    ],
)
def test_program_prefers_what_it_gets(accept: str | None) -> None:
    assert not prefers_page(accept)


def ask_for(report: str, run_id: str, accept: str) -> str:
    request = Request({"type": "http", "headers": [(b"accept", accept.encode())]})
    with pytest.raises(HTTPException) as caught:
        show_run_as_page(report, run_id, request)
    assert caught.value.status_code == 303
    assert caught.value.headers is not None
    return caught.value.headers["Location"]


@pytest.mark.parametrize("root", ["https://host/", "https://host/behind/a/proxy/"])
def test_page_of_a_run_is_found_behind_any_path(root: str) -> None:
    location = ask_for("7", "42", CHROMIUM)
    assert urljoin(f"{root}api/reports/7/run/42", location) == f"{root}app/reports/7/runs/42"


def test_what_is_no_id_stays_a_part_of_the_path() -> None:
    location = ask_for("//evil.example", "..\r\nX: y", CHROMIUM)
    assert location.endswith("app/reports/%2F%2Fevil.example/runs/..%0D%0AX%3A%20y")
