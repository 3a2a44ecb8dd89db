"""Responses over plain ASGI, without the overhead of a framework."""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.types import Send

from airflow_provider_pushmetrics.receiver.errors import Refusal


async def send_body(send: Send, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
    """Respond with JSON."""
    raw = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    for name, value in (headers or {}).items():
        raw.append((name.encode("latin-1"), value.encode("latin-1")))
    await send({"type": "http.response.start", "status": status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


async def send_refusal(send: Send, refusal: Refusal) -> None:
    """Respond with the status and the message of a rejection."""
    body = json.dumps({"message": str(refusal)}).encode("ascii")
    await send_body(send, refusal.status_code, body, refusal.headers)
