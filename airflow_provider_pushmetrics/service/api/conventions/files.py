"""
Answers with results, in threads of their own.

The event loop and the threads of other requests go on while a folder or object storage is slow.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO

from fastapi import Request, Response
from fastapi.responses import FileResponse, StreamingResponse

from airflow_provider_pushmetrics.service.api.conventions.threads import RESULT_THREADS
from airflow_provider_pushmetrics.service.results.encoders.formats import Chunk
from airflow_provider_pushmetrics.service.results.files.base import FoundFile

RESULT_CHUNK_BYTES = 256 * 1024

_RANGE = re.compile(r"bytes=\s*(?:(\d{1,18})\s*-\s*(\d{1,18})?|-\s*(\d{1,18}))\s*\Z", re.ASCII)


async def iterate_in_result_threads(chunks: Iterator[Chunk]) -> AsyncIterator[Chunk]:
    """Iterate over the pieces of a result, without holding a thread of other requests."""
    while (chunk := await RESULT_THREADS.run(lambda: next(chunks, None))) is not None:
        yield chunk


def read_chunks(file: IO[bytes], size: int | None = None) -> Iterator[bytes]:
    """
    Read a file from where it is, and close it.

    :param size: How many bytes; by default all.
    """
    with file:
        while chunk := file.read(RESULT_CHUNK_BYTES if size is None else min(RESULT_CHUNK_BYTES, size)):
            size = None if size is None else size - len(chunk)
            yield chunk


def answer_file(request: Request, found: FoundFile, media_type: str, headers: dict[str, str]) -> Response:
    """
    Answer with a file, or with the range of it that the request wants.

    :param headers: The headers, with its ``ETag``.
    """
    if isinstance(found.source, Path):
        return FileResponse(found.source, media_type=media_type, headers=headers)
    headers = {**headers, "Accept-Ranges": "bytes"}
    wanted = find_range(request, found.size, headers["ETag"])
    if wanted is None:
        start, size, status = 0, found.size, 200
    elif not wanted:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{found.size}"})
    else:
        start, size, status = wanted.start, len(wanted), 206
        headers["Content-Range"] = f"bytes {start}-{start + size - 1}/{found.size}"
    file = found.open()
    file.seek(start)
    body = iterate_in_result_threads(read_chunks(file, size))
    headers["Content-Length"] = str(size)
    return StreamingResponse(body, status, media_type=media_type, headers=headers)


def find_range(request: Request, size: int, etag: str) -> range | None:
    """
    Find the bytes that a request wants: https://www.rfc-editor.org/rfc/rfc9110#section-14.

    :return: An empty range if the file has none of them; None for the whole file, also if the request wants
        several ranges, or another version.
    """
    found = _RANGE.match(request.headers.get("range", ""))
    if found is None or request.method != "GET" or request.headers.get("if-range", etag) != etag:
        return None
    first, last, suffix = (None if text is None else int(text) for text in found.groups())
    if suffix is not None:
        return range(max(0, size - suffix), size)
    if first is None or (last is not None and last < first):
        return None
    return range(min(first, size), size if last is None else min(last + 1, size))
