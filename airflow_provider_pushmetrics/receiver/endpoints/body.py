"""Reading a request's body up to a limit."""

from __future__ import annotations

from typing import TypeVar

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from airflow_provider_pushmetrics.receiver.errors import BodyTooLarge

BodyT = TypeVar("BodyT", bytes, bytearray)


async def read_limited_body(receive: Receive, declared: bytes, *, max_bytes: int) -> bytes:
    """
    Read a whole body up to a limit, whatever its sender declared.

    :param receive: The request's ``receive`` of ASGI.
    :param declared: The header ``Content-Length``; empty if missing.
    :raises BodyTooLarge: as soon as it is known; the rest is not read.
    """
    if declared and not (declared.isdigit() and len(declared) < 20 and int(declared) <= max_bytes):
        raise _build_too_large(max_bytes)
    return await _read(receive, max_bytes)


async def _read(receive: Receive, max_bytes: int) -> bytes:
    message = await _receive_part(receive)
    if not message.get("more_body", False):  # nearly always: the whole body arrives at once
        whole: bytes = message.get("body", b"")
        return _check_size(whole, max_bytes)
    body = bytearray(message.get("body", b""))
    while message.get("more_body", False):
        _check_size(body, max_bytes)
        message = await _receive_part(receive)
        body += message.get("body", b"")
    return bytes(_check_size(body, max_bytes))


async def _receive_part(receive: Receive) -> Message:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message


def _check_size(body: BodyT, max_bytes: int) -> BodyT:
    if len(body) > max_bytes:
        raise _build_too_large(max_bytes)
    return body


def _build_too_large(max_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is larger than {max_bytes} bytes.")
