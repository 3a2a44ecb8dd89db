"""What senders send to a receiver."""

from __future__ import annotations

import json
import time
from pathlib import Path

from airflow_provider_pushmetrics.signatures import decode_secret, sign
from tests.fakes.receiver_server import SENDER_TOKEN, SOURCE

SIGNING_SECRET: str = json.loads(
    (Path(__file__).parents[1] / "vectors" / "standard_webhooks.json").read_text()
)["secret"]
DELIVERY_URL = f"/webhooks/{SOURCE}?token={SENDER_TOKEN}"
REPORT_RUN = {
    "event": "report.run",
    "report_id": 1,
    "report_name": "Departure delays",
    "workspace_id": 1,
    "workspace_name": "Main Workspace",
    "report_notebook_outputs": "http://127.0.0.1:8090/api/reports/1/run/7",
    "queries": [],
    "timestamp": "2025-06-09T17:11:23+00:00",
}


def build_signed_headers(message_id: str, body: bytes, timestamp: int | None = None) -> dict[str, str]:
    """Sign a body, now unless said otherwise."""
    timestamp = int(time.time()) if timestamp is None else timestamp
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(decode_secret(SIGNING_SECRET), message_id, timestamp, body),
    }
