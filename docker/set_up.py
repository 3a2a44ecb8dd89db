"""
Introduce the service to the rest, once both are up: docker compose runs this and waits for its end.

It makes a trigger of report 1 with the token that Airflow's connection names, and subscribes the receiver to
the reports' runs. Running it again changes nothing but a token that was replaced, of the trigger and of the
subscription that it made: what a user has disabled stays so, and so do triggers and headers of users. A
report that was deleted is not missed. The variable of a token may end in ``_FILE`` and name a file.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import chain, count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

REPORT_ID = 1
TIMEOUT_SECONDS = 30
PAGE_SIZE = 100
"""The rows that are read at a time; the service sends no more."""

NAME = "docker compose"
EVENT = "report.run"
"""What the receiver subscribes to."""

MARK = {"made_by": NAME}
"""In the details of the trigger that was made here; users add when its recipients are notified."""


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
        return self._read(self._send(method, path, body), method, path)

    def _send(self, method: str, path: str, body: Any = None) -> requests.Response:
        return self._session.request(
            method, self._base_url + path, json=body, timeout=TIMEOUT_SECONDS, allow_redirects=False
        )

    def _read(self, answer: requests.Response, method: str, path: str) -> Any:
        if not 200 <= answer.status_code < 300:
            sys.exit(f"the service answered {answer.status_code} to {method} {path}")
        return answer.json()["result"]

    def find(self, path: str) -> Any:
        """Read what may have been deleted; None if it is not there."""
        answer = self._send("GET", path)
        return None if answer.status_code == requests.codes.not_found else self._read(answer, "GET", path)

    def list_rows(self, path: str) -> Iterator[Any]:
        """Read all rows of a list, page by page."""
        for page in count():
            rows = self.call("GET", f"{path}?q=(page:{page},page_size:{PAGE_SIZE})")
            yield from rows
            if len(rows) < PAGE_SIZE:
                return

    def set_trigger_token(self, token: str) -> None:
        """Make a trigger of the report with this token, or change the one made before; unless one has it."""
        if self.find(f"/api/v1/report/{REPORT_ID}") is None:
            sys.stdout.write(
                f"report {REPORT_ID} does not exist: the connection's trigger token is not used\n"
            )
            return
        listed = [
            self.call("GET", f"/api/v1/webhook/{row['id']}") for row in self.list_rows("/api/v1/webhook/")
        ]
        own = [trigger for trigger in listed if trigger["report_id"] == REPORT_ID]
        if token in [trigger["token"] for trigger in own]:
            return
        made = [trigger for trigger in own if is_made_here(trigger["details"])]
        if made:
            self.call("PUT", f"/api/v1/webhook/{made[0]['id']}", {"token": token})
        else:
            self.call("POST", "/api/v1/webhook/", {"report_id": REPORT_ID, "token": token, "details": MARK})

    def subscribe(self, url: str, token: str) -> None:
        """Have the reports' runs announced to this URL; the subscription of an earlier set-up is changed."""
        headers = {"Authorization": f"Bearer {token}"}
        row = find_subscription(list(self.list_rows("/api/v1/webhook_subscription/")), url)
        if row is not None:
            place = {"url": url, "headers": {**list_kept_headers(row, url), **headers}}
            self.call("PUT", f"/api/v1/webhook_subscription/{row['id']}", place)
            return
        wanted = {"name": NAME, "events": [EVENT], "active": True, "url": url, "headers": headers}
        self.call("POST", "/api/v1/webhook_subscription/", wanted)


def is_made_here(details: str | None) -> bool:
    """Return whether a trigger's details have the mark of an earlier set-up."""
    try:
        known = json.loads(details or "{}")
    except ValueError:
        return False
    return isinstance(known, dict) and known.items() >= MARK.items()


def find_subscription(rows: Sequence[Any], url: str) -> Any:
    """Find the subscription of an earlier set-up by its name; one that was renamed, by its URL and event."""
    named = (row for row in rows if row["name"] == NAME)
    renamed = (row for row in rows if row["url"].partition("?")[0] == url and EVENT in row["events"])
    return next(chain(named, renamed), None)


def list_kept_headers(subscription: Any, url: str) -> dict[str, str]:
    """
    List the other headers that a user set, as the service shows them: "***" keeps a value.

    They belong to the host: for another one the service does not keep them.
    """
    if urlsplit(subscription["url"])[:2] != urlsplit(url)[:2]:
        return {}
    shown: dict[str, str] = subscription["headers"]
    return {name: value for name, value in shown.items() if name.lower() != "authorization"}


def read_secret(name: str) -> str:
    """Read a secret of the environment, or of the file that it names."""
    file = os.environ.get(f"{name}_FILE")
    return Path(file).read_text("utf-8").strip() if file else os.environ[name]


def main() -> None:
    """Read the environment and do it."""
    service = Service(os.environ["SERVICE_URL"], read_secret("PUSHMETRICS_API_TOKEN"))
    service.set_trigger_token(read_secret("PUSHMETRICS_TRIGGER_TOKEN"))
    receiver, token = os.environ["RECEIVER_URL"].rstrip("/"), read_secret("PUSHMETRICS_WEBHOOK_TOKEN")
    service.subscribe(f"{receiver}/webhooks/pushmetrics", token)


if __name__ == "__main__":
    main()
