"""The page, its files, and who is led to it."""

from __future__ import annotations

import re

import pytest

from airflow_provider_pushmetrics.service.web.assets import load_assets
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


@pytest.mark.parametrize(
    ("cookie", "scheme"), [("dark", "dark"), ("light", "light"), ('"><script>', "light dark")]
)
async def test_page_begins_in_the_colors_that_its_reader_has_chosen(
    api: Api, cookie: str, scheme: str
) -> None:
    answer = await api.client.get("/app/reports", headers={"Cookie": f"pushmetrics_theme={cookie}"})
    assert f'<html lang="en" data-theme="{scheme}">' in answer.text
    assert f'<meta name="color-scheme" content="{scheme}">' in answer.text
    assert (answer.headers["cache-control"], answer.headers["vary"]) == ("no-cache", "Cookie")


# --- the files ----------------------------------------------------------------------------------------------


async def list_files(api: Api) -> list[str]:
    """List the files that the page names."""
    page = (await api.client.get("/app/")).text
    return re.findall(r'(?:src|href)="(assets/[^"]+)"', page)


async def test_files_of_the_page_stay_in_the_browser_for_they_have_other_names_once_they_change(
    api: Api,
) -> None:
    names = await list_files(api)
    assert [name.rpartition("/")[2] for name in names] == ["icon.svg", "app.css", "app.js"]
    for name in names:
        answer = await api.client.get(f"/app/{name}")
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("prefix", ["", "0123456789abcdef/"])
async def test_file_without_a_version_or_of_another_one_is_asked_for_each_time(api: Api, prefix: str) -> None:
    answer = await api.client.get(f"/app/assets/{prefix}bundles/app.js")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")


async def test_files_find_each_other_by_relative_paths_below_a_version(api: Api) -> None:
    _, _, entry = await list_files(api)
    text = (await api.client.get(f"/app/{entry}")).text
    later = re.findall(r'import\("\./([\w-]+\.js)"\)', text)
    assert "reports-report.js" in later
    for name in later:
        bundle = await api.client.get(f"/app/{entry.rpartition('/')[0]}/{name}")
        assert (bundle.status_code, bundle.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
        assert bundle.text.startswith('import { $modules, $version } from "./app.js";')
    source_map = await api.client.get(f"/app/{entry}.map")
    assert (source_map.status_code, source_map.headers["content-type"]) == (200, "application/json")
    for source in source_map.json()["sources"]:
        answer = await api.client.get(f"/app/{entry.rpartition('/')[0]}/{source}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/javascript; charset=utf-8")


async def test_file_that_the_browser_has_is_not_sent_again(api: Api) -> None:
    first = await api.client.get("/app/assets/app.js")
    assert (first.status_code, first.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    again = await api.client.get("/app/assets/app.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["x-content-type-options"] == "nosniff"
    assert again.headers["vary"] == "Accept-Encoding"


async def test_page_that_was_open_during_an_update_gets_no_vendored_file_of_another_version(api: Api) -> None:
    """Its own code may not fit to it: the page says that it must be loaded again."""
    old = "/app/assets/0123456789abcdef/"
    assert (await api.client.get(f"{old}vendored/vega.js")).status_code == 404
    assert (await api.client.get(f"{old}bundles/app.css")).status_code == 200
    current = f"/app/assets/{load_assets().version}/"
    assert (await api.client.get(f"{current}vendored/vega.js")).status_code == 200


@pytest.mark.parametrize(
    ("accepted", "is_compressed"),
    [
        ("gzip", True),
        ("gzip, deflate, br, zstd", True),
        ("br;q=1.0, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("gzip;q=nan", False),
        ("x-gzipped", False),
        ("br", False),
        ("identity", False),
        ("", False),
    ],
)
async def test_file_is_compressed_for_those_who_accept_that(
    api: Api, accepted: str, is_compressed: bool
) -> None:
    plain = await api.client.get(
        "/app/assets/vendored/codemirror.js", headers={"Accept-Encoding": "identity"}
    )
    answer = await api.client.get("/app/assets/vendored/codemirror.js", headers={"Accept-Encoding": accepted})
    assert answer.content == plain.content  # httpx expands what is compressed
    assert answer.headers.get("content-encoding") == ("gzip" if is_compressed else None)
    assert answer.headers["vary"] == "Accept-Encoding"
    assert (int(answer.headers["content-length"]) < len(plain.content) / 2) == is_compressed
    assert (answer.headers["etag"] != plain.headers["etag"]) == is_compressed


async def test_compressed_file_is_another_one_than_the_plain_file(api: Api) -> None:
    """A cache that had one of them for the other's tag would give browsers what they cannot read."""
    path = "/app/assets/bundles/app.js"
    packed = await api.client.get(path, headers={"Accept-Encoding": "gzip"})
    tag = packed.headers["etag"]
    plain = await api.client.get(path, headers={"Accept-Encoding": "identity", "If-None-Match": tag})
    assert (plain.status_code, plain.content) == (200, packed.content)
    again = await api.client.get(path, headers={"Accept-Encoding": "gzip", "If-None-Match": tag})
    assert (again.status_code, again.headers["etag"]) == (304, tag)


async def test_vendored_module_has_the_type_without_which_no_browser_runs_it(api: Api) -> None:
    answer = await api.client.get("/app/assets/vendored/codemirror.js")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    licenses = await api.client.get("/app/assets/vendored/LICENSE-codemirror.txt")
    assert (licenses.status_code, licenses.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert "Permission is hereby granted" in licenses.text


@pytest.mark.parametrize("version", ["", "{current}/", "0123456789abcdef/", "{current}/{current}/"])
@pytest.mark.parametrize(
    "name",
    [
        "",
        "no.js",
        "vendored",
        "vendored/codemirror.d.ts",
        "..%2Findex.html",
        "%2e%2e/index.html",
        "bundles/..%2Fapp.js",
        "bundles/%2e%2e%2f%2e%2e%2findex.html",
        "%2Fetc%2Fpasswd",
        "app.js%00",
    ],
)
async def test_nothing_but_the_files_is_given(api: Api, version: str, name: str) -> None:
    current = (await list_files(api))[0].split("/")[1]
    answer = await api.client.get(f"/app/assets/{version.format(current=current)}{name}")
    assert answer.status_code == 404 or "<!doctype html>" in answer.text
    assert "immutable" not in answer.headers["cache-control"]


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
    assert page.headers["vary"] == "Accept, Accept-Encoding"
    for accept in ("*/*", "application/json", ""):
        answer = await api.client.get(url, headers={"Accept": accept})
        assert (answer.status_code, answer.json()["run_id"]) == (200, run_id)
    assert (await api.client.post(url, headers={"Accept": BROWSER["Accept"]})).status_code == 200
