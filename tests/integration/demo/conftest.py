from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


@dataclass
class FakeServer:
    """
    A server on the loopback interface that answers what it was told to.

    :param url: Where it is.
    :param answers: The status and the body, by method and path.
    :param failures: How many of the next requests are answered 500.
    :param requests: What was asked: method, path with query, headers, body.
    """

    url: str = ""
    answers: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    failures: int = 0
    requests: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)

    def will_answer(self, method: str, path: str, body: Any, status: int = 200) -> None:
        self.answers[method, path] = (status, body)

    def take(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, Any]:
        self.requests.append((method, path, headers, json.loads(body) if body else None))
        if self.failures:
            self.failures -= 1
            return 500, {"detail": "Database error"}
        return self.answers.get((method, path.partition("?")[0]), (404, {"message": "Not found"}))


@pytest.fixture(name="server")
def start_server() -> Iterator[FakeServer]:
    fake = FakeServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, answer = fake.take(self.command, self.path, dict(self.headers), body)
            is_page = isinstance(answer, bytes)
            content = answer if is_page else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if is_page else "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        fake.url = f"http://127.0.0.1:{listening.server_port}"
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield fake
        listening.shutdown()
        thread.join()
