"""
Answers with results, in threads of their own.

The event loop and the threads of other requests go on while a folder or object storage is slow.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Generator
from threading import Lock
from typing import IO

from anyio import CancelScope
from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from airflow_provider_pushmetrics.service.api.conventions.threads import RESULT_THREADS
from airflow_provider_pushmetrics.service.results.encoders.formats import Chunk
from airflow_provider_pushmetrics.service.results.files.base import FoundFile

RESULT_CHUNK_BYTES = 256 * 1024

_RANGE = re.compile(r"bytes=\s*(?:(\d{1,18})\s*-\s*(\d{1,18})?|-\s*(\d{1,18}))\s*\Z", re.ASCII)


class ResultResponse(StreamingResponse):
    """
    An answer with the pieces of a result, which holds no thread of other requests.

    :param chunks: The pieces. They are closed in a thread, also if the client leaves early: closing waits for
        what was read ahead, and in the event loop all other requests would wait, too.
    """

    def __init__(
        self,
        chunks: Generator[Chunk, None, None],
        status_code: int = 200,
        *,
        media_type: str,
        headers: dict[str, str],
    ) -> None:
        super().__init__(self._iterate(), status_code, media_type=media_type, headers=headers)
        self._chunks = chunks
        self._lock = Lock()  # when the server stops, a thread may still read the next piece

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):
                await RESULT_THREADS.run(self._close)

    async def _iterate(self) -> AsyncIterator[Chunk]:
        while (chunk := await RESULT_THREADS.run(self._read_next)) is not None:
            yield chunk

    def _read_next(self) -> Chunk | None:
        with self._lock:
            return next(self._chunks, None)

    def _close(self) -> None:
        with self._lock:
            self._chunks.close()


def read_chunks(file: IO[bytes], size: int | None = None) -> Generator[bytes, None, None]:
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

    It is opened before the answer begins: in a folder it is then read to its end, even if it is deleted.

    :param headers: The headers, with its ``ETag``.
    :raises FileNotFoundError: if it was just deleted.
    """
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
    headers["Content-Length"] = str(size)
    return ResultResponse(read_chunks(file, size), status, media_type=media_type, headers=headers)


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
