"""What the pages in Airflow's interface share: their files, and the headers of every response."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import Response

PAGE_FOLDER = Path(__file__).parent / "page"

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
    ),
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}

SHARED_FILES = {
    "page.js": ("page.js", "text/javascript"),
    "page.css": ("page.css", "text/css"),
}


def add_files(app: FastAPI, files: Mapping[str, tuple[str, str]]) -> None:
    """
    Serve the files of a page.

    :param files: The name and the media type of each file, by its path.
    """
    for path, (name, media_type) in files.items():
        app.add_api_route(f"/{path}", _serve_file(name, media_type), methods=["GET"])


def _serve_file(name: str, media_type: str) -> Callable[[], Response]:
    content = (PAGE_FOLDER / name).read_bytes()

    def serve() -> Response:
        return Response(content, media_type=media_type, headers=SECURITY_HEADERS)

    return serve
