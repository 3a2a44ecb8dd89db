"""The page, its files, and who is led to it."""

from __future__ import annotations

import re

import pytest

from tests.integration.service.conftest import Api

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "Authorization": ""}


@pytest.mark.parametrize(
    ("path", "way_up"),
    [
        ("", ""),
        ("reports", ""),
        ("reports/1", "../"),
        ("reports/1/runs/5", "../../../"),
        ("no/such/", "../../"),
    ],
)
async def test_every_address_gives_the_page_and_finds_its_files(api: Api, path: str, way_up: str) -> None:
    answer = await api.client.get(f"/app/{path}", headers=BROWSER)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert set(re.findall(r'(?:src|href)="([^#"]*)assets/', answer.text)) == {way_up}


async def test_page_runs_its_own_scripts_only_and_stands_in_no_frame(api: Api) -> None:
    headers = (await api.client.get("/app/")).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert (policy["default-src"], policy["script-src"], policy["style-src"]) == (
        "'none'",
        "'self'",
        "'self'",
    )
    assert (policy["frame-ancestors"], policy["form-action"], policy["base-uri"]) == ("'none'",) * 3
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


async def test_file_that_the_browser_has_is_not_sent_again(api: Api) -> None:
    first = await api.client.get("/app/assets/app.js")
    assert (first.status_code, first.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    again = await api.client.get("/app/assets/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["x-content-type-options"] == "nosniff"


async def test_vendored_module_has_the_type_without_which_no_browser_runs_it(api: Api) -> None:
    answer = await api.client.get("/app/assets/vendored/codemirror.js")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    licenses = await api.client.get("/app/assets/vendored/LICENSE-codemirror.txt")
    assert (licenses.status_code, licenses.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert "Permission is hereby granted" in licenses.text


@pytest.mark.parametrize(
    "name",
    [
        "no.js",
        "vendored",
        "vendored/codemirror.d.ts",
        "..%2Findex.html",
        "%2e%2e/index.html",
    ],
)
async def test_nothing_but_the_files_is_given(api: Api, name: str) -> None:
    answer = await api.client.get(f"/app/assets/{name}")
    assert answer.status_code == 404 or "<!doctype html>" in answer.text


async def test_the_root_leads_to_the_page(api: Api) -> None:
    for path in ("/", "/app"):
        answer = await api.client.get(path)
        assert (answer.status_code, answer.headers["location"]) == (307, "app/")


async def test_browser_is_led_to_the_page_of_a_run_and_programs_get_its_outputs(api: Api) -> None:
    run_id = await api.trigger(1)
    url = f"/api/reports/1/run/{run_id}"
    await api.wait_for(url)
    page = await api.client.get(url, headers=BROWSER)
    assert page.status_code == 303
    assert page.headers["location"] == f"../../../../app/reports/1/runs/{run_id}"
    assert page.headers["vary"] == "Accept"
    for accept in ("*/*", "application/json", ""):
        answer = await api.client.get(url, headers={"Accept": accept})
        assert (answer.status_code, answer.json()["run_id"]) == (200, run_id)
    assert (await api.client.post(url, headers={"Accept": BROWSER["Accept"]})).status_code == 200
