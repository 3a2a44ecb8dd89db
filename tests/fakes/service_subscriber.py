"""A subscriber to events: a real HTTP server on loopback that remembers what it was sent."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from airflow_provider_pushmetrics.service.models import Subscription
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher
from airflow_provider_pushmetrics.signatures import decode_secret, generate_secret, verify


@dataclass(frozen=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event

    def verify(self, secret: str) -> str:
        """Check the signature, as any receiver of the Standard Webhooks scheme does."""
        return verify(
            [decode_secret(secret)],
            message_id=self.headers["webhook-id"].encode(),
            timestamp=self.headers["webhook-timestamp"].encode(),
            signatures=self.headers["webhook-signature"].encode(),
            body=self.body,
            now=time.time(),
        )


@dataclass
class Subscriber:
    """
    What the server was sent, and what it answers.

    :param statuses: The answers to give, one after the other; the last one forever.
    :param headers: Sent with every answer.
    :param answer: The body of every answer.
    :param before_answer: Done after a request has come, and before it is answered.
    """

    url: str
    statuses: list[int] = field(default_factory=lambda: [202])
    headers: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    before_answer: Callable[[], object] = lambda: None
    answer: bytes = b"ok"

    def wait_for(self, is_wanted: Callable[[Received], bool], timeout_seconds: float = 120.0) -> Received:
        """Wait for a request, among those that came and those that come."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            found = next((one for one in list(self.received) if is_wanted(one)), None)
            if found is not None:
                return found
            assert time.monotonic() < deadline, f"not among {[one.body for one in self.received]}"
            time.sleep(0.01)

    def wait_for_run(self, event: str, run_id: int, timeout_seconds: float = 120.0) -> Received:
        """Wait for the event of a run."""
        key = "report_notebook_outputs" if event == "report.run" else "query_result"
        return self.wait_for(
            lambda one: one.event["event"] == event and one.event[key].endswith(f"/run/{run_id}"),
            timeout_seconds,
        )


@contextmanager
def listen() -> Iterator[Subscriber]:
    """Listen on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            subscriber.received.append(Received(self.path, headers, body))
            subscriber.before_answer()
            statuses = subscriber.statuses
            self.send_response(statuses.pop(0) if len(statuses) > 1 else statuses[0])
            for name, value in subscriber.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(subscriber.answer)))
            self.end_headers()
            self.wfile.write(subscriber.answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    subscriber = Subscriber(f"http://127.0.0.1:{server.server_port}/hook")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield subscriber
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def add_subscription(database: Database, cipher: Cipher, url: str, *events: str) -> int:
    """Add an active subscription to the first workspace, and give its id."""
    with database.writing() as session:
        subscription = Subscription(
            workspace_id=1,
            name="s",
            url=url,
            events=list(events),
            secret_encrypted=cipher.encrypt(generate_secret()),
        )
        session.add(subscription)
        session.flush()
        return subscription.id
