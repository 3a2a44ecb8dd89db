"""Query results: their formats, and files that are written piece by piece."""

from __future__ import annotations

import errno
import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from airflow_provider_pushmetrics.client.errors import refuse_failed_result
from airflow_provider_pushmetrics.client.protocol import Request, Response
from airflow_provider_pushmetrics.compat import ObjectStoragePath
from airflow_provider_pushmetrics.exceptions import PushMetricsParameterError, PushMetricsProtocolError

log = logging.getLogger(__name__)

FORMATS: Mapping[str, str] = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""The media types of the formats, by file extension."""

FAILED_RESULT_BYTES = 1024 * 1024
"""The JSON of a failed query has no rows, so it is shorter."""

ABANDONED_PART_SECONDS = 3600.0
"""A part to which nothing was written for so long is of a process that is gone: a read times out before."""

LOCAL_PROTOCOLS = ("", "file", "local")

OBJECT_PROTOCOLS = ("s3", "s3a", "s3n", "gs", "gcs", "az", "abfs", "abfss", "adl", "wasb", "wasbs")
"""
The storages whose objects appear at the end of their upload. They cannot rename: they copy and delete, and
``adlfs`` does not wait for the copy.
"""

TRUNCATED_HEADER = "x-pushmetrics-truncated"
_FLAGS = {"true": True, "false": False}
ROW_LIMIT_HEADER = "x-pushmetrics-row-limit"


def get_media_type(file_format: str) -> str:
    """
    Get the media type of a format.

    :raises PushMetricsParameterError: if there is no such format.
    """
    if file_format not in FORMATS:
        raise PushMetricsParameterError(
            f"{file_format!r} is not a result format; the formats are {', '.join(FORMATS)}."
        )
    return FORMATS[file_format]


def refuse_other_format(request: Request, response: Response) -> None:
    """
    Check that a result has the requested format.

    :raises PushMetricsProtocolError: if the server sent another one, which would be misread.
    """
    asked = request.headers["Accept"]
    came = response.headers.get("content-type", asked).partition(";")[0].strip().lower()
    if came not in (asked, "application/octet-stream"):
        raise PushMetricsProtocolError(
            f"{request.describe()} returned {came!r} instead of {asked!r}: the server does not support"
            " that format for the result. Request another one; all servers support JSON."
        )


def refuse_failed_query(request: Request, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """
    Check that a result is not the JSON of a failed query; other formats have none.

    :return: The pieces, also those that were read for it.
    :raises PushMetricsRunFailed: if it is.
    """
    if request.headers["Accept"] != FORMATS["json"]:
        return chunks
    head: list[bytes] = []
    size = 0
    for chunk in chunks:
        head.append(chunk)
        size += len(chunk)
        if size > FAILED_RESULT_BYTES:
            return chain(head, chunks)
    try:
        result = json.loads(b"".join(head))
    except (ValueError, RecursionError):
        result = None
    if isinstance(result, Mapping):
        refuse_failed_result(request, result)
    return iter(head)


@dataclass(frozen=True)
class Truncation:
    """
    Whether a result is complete.

    :param is_truncated: Whether a row limit truncated it; None if the server does not say.
    :param row_limit: The limit; None if the server does not say.
    """

    is_truncated: bool | None = None
    row_limit: int | None = None


def read_truncation(response: Response) -> Truncation:
    """Read from the headers of a result whether it is complete."""
    is_truncated = _FLAGS.get(response.headers.get(TRUNCATED_HEADER, "").strip().lower())
    limit = response.headers.get(ROW_LIMIT_HEADER, "").strip()
    is_number = limit.isascii() and limit.isdigit() and len(limit) <= 18
    return Truncation(is_truncated, int(limit) if is_number else None)


def split_rows(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Split NDJSON into its lines, wherever its pieces begin and end."""
    begun: list[bytes] = []
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for line in ended:
            begun.append(line)
            if row := b"".join(begun).strip():
                yield row
            begun = []
        begun.append(rest)
    if row := b"".join(begun).strip():
        yield row


def show_chunks(chunks: Iterator[bytes], observe: Callable[[bytes], object] | None) -> Iterator[bytes]:
    """Pass each piece to an observer."""
    for chunk in chunks:
        if observe is not None:
            observe(chunk)
        yield chunk


def save_chunks(chunks: Iterator[bytes], target: ObjectStoragePath) -> int:
    """
    Write a file piece by piece, which appears only when it is complete; return its size in bytes.

    :raises OSError: if it cannot be written, or if a storage in which it had to be renamed has another
        number of bytes than were written.
    """
    if target.protocol in OBJECT_PROTOCOLS:
        return _upload_chunks(chunks, target)  # no folder is needed, and mkdir would create a missing bucket
    target.parent.mkdir(parents=True, exist_ok=True)
    _delete_abandoned_parts(target)
    part = target.parent / f".{target.name}.{time.time_ns()}.part"
    try:
        with part.open("wb") as file:
            size: int = sum(file.write(chunk) for chunk in chunks)
        part.rename(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if target.protocol not in LOCAL_PROTOCOLS:
        _check_size(target, size)
    return size


def _upload_chunks(chunks: Iterator[bytes], target: ObjectStoragePath) -> int:
    """Upload an object, which appears at the end of its upload."""
    file = target.fs.open(target.path, "wb")
    try:
        size: int = sum(file.write(chunk) for chunk in chunks)
        file.close()
    except BaseException:
        _cancel_upload(file, target)
        raise
    return size


def _cancel_upload(file: Any, target: ObjectStoragePath) -> None:
    """End an upload without an object."""
    file.forced = True  # otherwise closing it, also by the garbage collector, uploads what has arrived
    try:
        file.discard()
        file.close()
    except Exception as error:  # each library has its own errors, without a common base
        log.warning("the upload of %s was not cancelled: %s", target, type(error).__name__)


def _check_size(target: ObjectStoragePath, size: int) -> None:
    """
    Check a renamed file: some storages rename by a copy, which may not have ended, or lack bytes.

    :raises OSError: if the storage has another number of bytes than were written.
    """
    target.fs.invalidate_cache()
    found = target.fs.size(target.path)
    if found != size:
        raise OSError(
            errno.EIO, f"the storage has {found} of the {size} bytes that were written", str(target)
        )


def _delete_abandoned_parts(target: ObjectStoragePath) -> None:
    """
    Delete the parts of a file that earlier tries left, whose process was killed.

    Only in local folders: in S3, Google Cloud Storage and Azure there are none.
    """
    if target.protocol not in LOCAL_PROTOCOLS:
        return
    name = re.compile(rf"\.{re.escape(target.name)}\.[0-9]+\.part")
    with suppress(OSError):  # a folder of others, in which one may write and not list
        for part in Path(target.parent.path).iterdir():
            if name.fullmatch(part.name):
                with suppress(OSError):  # another process deletes it too
                    if time.time() - part.stat().st_mtime > ABANDONED_PART_SECONDS:
                        part.unlink()
