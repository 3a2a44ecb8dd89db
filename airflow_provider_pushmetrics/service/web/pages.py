"""The files of the web interface, and the HTML page of all its URLs."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from fastapi import HTTPException, Request, Response

from airflow_provider_pushmetrics.service.api.conventions.lookup import NOT_FOUND
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.results import is_known
from airflow_provider_pushmetrics.service.web.assets import Asset, Assets, load_assets
from airflow_provider_pushmetrics.service.web.bundling import VENDORED
from airflow_provider_pushmetrics.serving.http.headers import parse_accept

router = make_router("/app")

HEADERS = {
    # Scripts come from files only, so that text in HTML could not run even after an escaping error.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}

REVALIDATE = "no-cache"
UNCHANGING = "public, max-age=31536000, immutable"

THEME_COOKIE = "pushmetrics_theme"
"""The reader's choice. The server reads it, so that the first picture of a page has its colors already."""
THEMES = {"light": "light", "dark": "dark"}
SYSTEM_THEME = "light dark"

_VERSION = re.compile(r"[0-9a-f]{16}/")


# Not starlette's StaticFiles: its ETag is the file's time and size, which two versions in reproducible images
# share, so that a browser would keep the old file; it takes the machine's media types; its 304 has no policy.
@router.get("/assets/{path:path}")
def get_asset(path: str, request: Request) -> Response:
    """Serve a script, the style sheet, the icon or a vendored file, below a version or without one."""
    assets = load_assets()
    name = path.removeprefix(f"{assets.version}/")
    is_current = name != path
    # A page that was opened before an update still finds its files, though they may have changed: ours refuse
    # to work with those of another version, and the vendored ones would not.
    found = name if is_current else _VERSION.sub("", path, count=1)
    asset = assets.files.get(found)
    if asset is None or (found.startswith(VENDORED) and not is_current and found != path):
        raise HTTPException(404, NOT_FOUND)
    return _send(asset, request, UNCHANGING if is_current else REVALIDATE)


@router.get("/{path:path}")
def get_page(path: str, request: Request) -> Response:
    """Serve the page; its scripts choose the content by the URL."""
    # Relative, because a proxy may add a prefix to our path.
    way_up = "../" * path.count("/")
    theme = THEMES.get(request.cookies.get(THEME_COOKIE, ""), SYSTEM_THEME)
    headers = {**HEADERS, "Cache-Control": REVALIDATE, "Vary": "Cookie"}
    page = _write_page(load_assets(), way_up, theme)
    return Response(page, media_type="text/html", headers=headers)


def _send(asset: Asset, request: Request, cache_control: str) -> Response:
    is_compressed = parse_accept(request.headers.get("accept-encoding")).get_named_weight("gzip") > 0
    # The two are different bytes, so that their tags differ too.
    etag = f'"{asset.etag}-gzip"' if is_compressed else f'"{asset.etag}"'
    headers = {**HEADERS, "Cache-Control": cache_control, "Vary": "Accept-Encoding", "ETag": etag}
    if is_known(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    if not is_compressed:
        return Response(asset.content, media_type=asset.media_type, headers=headers)
    headers["Content-Encoding"] = "gzip"
    return Response(asset.compressed, media_type=asset.media_type, headers=headers)


def _write_page(assets: Assets, way_up: str, theme: str) -> str:
    page = _load_shell().replace("{assets}", f"{way_up}assets/{assets.version}")
    return page.replace("{theme}", theme)


@cache
def _load_shell() -> str:
    return (files(__package__) / "page" / "index.html").read_text("utf-8")
