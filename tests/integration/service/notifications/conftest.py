"""A service that is connected to a mail server and to Slack, both on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from airflow_provider_pushmetrics.service.app import build_app
from airflow_provider_pushmetrics.service.notifications.settings import Security, SlackSettings, SmtpSettings
from airflow_provider_pushmetrics.service.runtime import ServiceParts
from tests.fakes.loopback import RawServer, serve_raw
from tests.fakes.mail_server import MailServer, serve_mail_in_thread
from tests.integration.service.conftest import BASE_URL, run_parts


def answer_slack(**body: Any) -> bytes:
    text = json.dumps(body)
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n{text}".encode()


SLACK_OK = answer_slack(ok=True, ts="1")


@dataclass
class Connected:
    """The service, and the servers that it sends to."""

    parts: ServiceParts
    app: FastAPI
    mail: MailServer
    slack: RawServer

    def read_posts(self) -> list[dict[str, Any]]:
        return [json.loads(request.partition(b"\r\n\r\n")[2]) for request in self.slack.requests]


@contextmanager
def connect(data_dir: Path, database_url: str | None, **settings: Any) -> Iterator[Connected]:
    """Run a service that is connected to both servers; more settings as ``run_parts`` takes them."""
    with serve_mail_in_thread() as mail, serve_raw(SLACK_OK) as slack:
        smtp = SmtpSettings("127.0.0.1", "reports@example.com", mail.port, security=Security.NONE)
        token = SlackSettings("xoxb-1234567890-s3cret", f"{slack.url}/api/", timeout_seconds=60)
        own = {"public_url": BASE_URL, "smtp": smtp, "slack": token, **settings}
        with run_parts(data_dir, database_url=database_url, **own) as parts:
            yield Connected(parts, build_app(parts), mail, slack)
