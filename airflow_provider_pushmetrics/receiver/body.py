"""Reading a request's body, and never more of it than is allowed."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from airflow_provider_pushmetrics.receiver.refusals import BodyTimeout, BodyTooLarge


async def read_limited_body(request: Request, *, max_bytes: int, timeout_seconds: float) -> bytes:
    """
    Read a whole body that is neither too large nor too slow, whatever its sender declared.

    :raises BodyTooLarge: as soon as it is known; what else arrives is not read.
    :raises BodyTimeout: if it is not complete in time.
    """
    declared = request.headers.get("content-length", "")
    if declared and not (declared.isdecimal() and len(declared) < 20 and int(declared) <= max_bytes):
        raise _build_too_large(max_bytes)
    try:
        async with asyncio.timeout(timeout_seconds):
            return await _read(request, max_bytes)
    except TimeoutError:
        raise BodyTimeout(f"The body did not arrive within {timeout_seconds:g} s.") from None


async def _read(request: Request, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise _build_too_large(max_bytes)
        chunks.append(chunk)
    return b"".join(chunks)


def _build_too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is larger than {max_bytes} bytes.")
