"""
Introduce the service to the rest, once both are up: docker compose runs this and waits for its end.

It gives report 1's trigger the token that Airflow's connection names, and subscribes the receiver to the
report's runs. Running it again changes nothing. The variable of a token may end in ``_FILE`` and name a file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import requests

REPORT_ID = 1
TIMEOUT_SECONDS = 30
NAME = "docker compose"


class Service:
    """
    The PushMetrics service's API.

    :param base_url: Where it is.
    :param api_token: An API token.
    """

    def __init__(self, base_url: str, api_token: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {api_token}"

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request, and return the ``result`` of its answer; an error never holds a token."""
        answer = self._session.request(
            method, self._base_url + path, json=body, timeout=TIMEOUT_SECONDS, allow_redirects=False
        )
        if not 200 <= answer.status_code < 300:
            sys.exit(f"the service answered {answer.status_code} to {method} {path}")
        return answer.json()["result"]

    def set_trigger_token(self, token: str) -> None:
        """Give the report's trigger this token, and enable it."""
        listed = [
            self.call("GET", f"/api/v1/webhook/{row['id']}") for row in self.call("GET", "/api/v1/webhook/")
        ]
        for trigger in listed:
            if trigger["report_id"] == REPORT_ID:
                self.call("PUT", f"/api/v1/webhook/{trigger['id']}", {"token": token, "active": True})
                return
        self.call("POST", "/api/v1/webhook/", {"report_id": REPORT_ID, "token": token, "active": True})

    def subscribe(self, url: str) -> None:
        """Have the reports' runs announced to this URL; the subscription of an earlier set-up is changed."""
        wanted = {"name": NAME, "url": url, "events": ["report.run"], "active": True}
        for row in self.call("GET", "/api/v1/webhook_subscription/"):
            if row["name"] == NAME:
                self.call("PUT", f"/api/v1/webhook_subscription/{row['id']}", wanted)
                return
        self.call("POST", "/api/v1/webhook_subscription/", wanted)


def read_secret(name: str) -> str:
    """Read a secret of the environment, or of the file that it names."""
    file = os.environ.get(f"{name}_FILE")
    return Path(file).read_text("utf-8").strip() if file else os.environ[name]


def main() -> None:
    """Read the environment and do it."""
    service = Service(os.environ["SERVICE_URL"], read_secret("PUSHMETRICS_API_TOKEN"))
    service.set_trigger_token(read_secret("PUSHMETRICS_TRIGGER_TOKEN"))
    receiver, token = os.environ["RECEIVER_URL"].rstrip("/"), read_secret("PUSHMETRICS_WEBHOOK_TOKEN")
    service.subscribe(f"{receiver}/webhooks/pushmetrics?token={token}")


if __name__ == "__main__":
    main()
