"""The files of the web interface, and the HTML page of all its URLs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import HTTPException, Request, Response

from airflow_provider_pushmetrics.service.api.conventions.lookup import NOT_FOUND
from airflow_provider_pushmetrics.service.api.conventions.routers import make_router
from airflow_provider_pushmetrics.service.api.results import is_known

router = make_router("/app")

HEADERS = {
    # Scripts come from files only, so that text in HTML could not run even after an escaping error.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    # File names do not change with their content: browsers revalidate each time, and usually get 304.
    "Cache-Control": "no-cache",
}

# Independent of this machine's MIME tables: browsers run modules only with the right type.
MEDIA_TYPES = {
    "js": "text/javascript",
    "json": "application/json",
    "css": "text/css",
    "svg": "image/svg+xml",
    "txt": "text/plain",
}


@dataclass(frozen=True)
class Asset:
    """A file that browsers load."""

    content: bytes
    media_type: str
    etag: str


@router.get("/assets/{name:path}")
def get_asset(name: str, request: Request) -> Response:
    """Serve a script, the style sheet, the icon or a vendored file."""
    asset = _load_assets().get(name)
    if asset is None:
        raise HTTPException(404, NOT_FOUND)
    headers = {**HEADERS, "ETag": asset.etag}
    if is_known(request.headers.get("if-none-match"), asset.etag):
        return Response(status_code=304, headers=headers)
    return Response(asset.content, media_type=asset.media_type, headers=headers)


@router.get("/{path:path}")
def get_page(path: str) -> Response:
    """Serve the page; its scripts choose the content by the URL."""
    # Relative, because a proxy may add a prefix to our path.
    way_up = "../" * path.count("/")
    return Response(_load_shell().replace("{way_up}", way_up), media_type="text/html", headers=HEADERS)


# Not starlette's StaticFiles: its ETag is the file's time and size, which two versions in reproducible images
# share, so that a browser would keep the old file; it takes the machine's media types; its 304 has no policy.
@cache
def _load_assets() -> dict[str, Asset]:
    return dict(_walk(files(__package__) / "page" / "assets", ""))


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, Asset]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif (ending := entry.name.rpartition(".")[2]) in MEDIA_TYPES:
            yield prefix + entry.name, _load_asset(entry.read_bytes(), MEDIA_TYPES[ending])


def _load_asset(content: bytes, media_type: str) -> Asset:
    return Asset(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"')


@cache
def _load_shell() -> str:
    return (files(__package__) / "page" / "index.html").read_text("utf-8")
