"""The reference service and a receiver in this process, on databases that outlive them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from airflow_provider_pushmetrics.receiver.settings import ReceiverSettings, SourceSettings
from airflow_provider_pushmetrics.service.app import build_app
from airflow_provider_pushmetrics.service.runtime import ServiceParts, assemble
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.testing.servers import run_receiver
from tests.fakes.loopback import serve_http
from tests.fakes.postgres import make_database
from tests.fakes.receiver_server import READER_TOKEN, SENDER_TOKEN, SOURCE
from tests.fakes.service_process import API_TOKEN
from tests.fakes.service_reports import TRIGGER_TOKEN
from tests.fakes.waiting import LIMIT_SECONDS, wait_until

SECRET_KEY = "a-secret-key-of-the-tests-0123456789"


@dataclass(frozen=True)
class Place:
    """
    Where servers keep what they store.

    :param folder: The data folder of the service.
    :param service_url: The database of the service.
    :param inbox_url: The inbox of the receiver.
    """

    folder: Path
    service_url: str
    inbox_url: str


@contextmanager
def make_place(kind: str, folder: Path, server_url: str | None) -> Iterator[Place]:
    """
    Make empty databases.

    :param server_url: The server on which they are made, for PostgreSQL.
    """
    data_dir = folder / "service"
    (data_dir / "sources").mkdir(parents=True)
    (data_dir / "sources" / "empty.sqlite").touch()
    if kind == "sqlite":
        yield Place(data_dir, f"sqlite:///{data_dir}/service.db", f"sqlite:///{folder}/inbox.db")
        return
    assert server_url is not None
    with make_database(server_url) as service_url, make_database(server_url) as inbox_url:
        yield Place(data_dir, service_url, inbox_url)


@dataclass(frozen=True)
class Servers:
    """Servers that run."""

    parts: ServiceParts = field(repr=False)
    client: httpx.Client
    receiver: httpx.Client

    @property
    def receiver_url(self) -> str:
        """The base URL of the receiver."""
        return str(self.receiver.base_url).rstrip("/")

    @property
    def connection(self) -> str:
        """The connection to them, in the JSON form of Airflow."""
        return json.dumps(
            {
                "conn_type": "pushmetrics",
                "host": str(self.client.base_url),
                "password": API_TOKEN,
                "extra": {
                    "trigger_tokens": {"1": TRIGGER_TOKEN},
                    "receiver_url": self.receiver_url,
                    "receiver_token": READER_TOKEN,
                },
            }
        )

    @property
    def delivery_url(self) -> str:
        """Where webhooks are delivered."""
        return f"{self.receiver_url}/webhooks/{SOURCE}?token={SENDER_TOKEN}"

    def trigger(self, **parameters: Any) -> int:
        """Trigger the report, and give its run."""
        answer = self.client.post(f"/api/v1/report/1/webhook?token={TRIGGER_TOKEN}", json=parameters)
        assert answer.is_success, answer.text
        return int(answer.json()["run_id"])

    def wait_for_run(self, run_id: int) -> Any:
        """Wait for the end of a run, and give its outputs."""

        def look() -> Any:
            answer = self.client.get(f"/api/reports/1/run/{run_id}").raise_for_status()
            return answer.json() if answer.status_code == 200 else None

        return wait_until(look, f"the end of run {run_id}")

    def list_events(self, **query: Any) -> list[dict[str, Any]]:
        """List events of the inbox."""
        answer = self.receiver.get("/events", params={"after": 0, **query}).raise_for_status()
        events: list[dict[str, Any]] = answer.json()["events"]
        return events


@contextmanager
def run_inbox(place: Place) -> Iterator[str]:
    """Run the receiver until the end of the block, and give its URL."""
    source = SourceSettings(SOURCE, token=SENDER_TOKEN)
    with run_receiver(ReceiverSettings(place.inbox_url, (source,), READER_TOKEN)) as url:
        yield url


@contextmanager
def run_servers(place: Place, receiver_url: str, *, executes: bool = True) -> Iterator[Servers]:
    """
    Run the service until the end of the block, beside a receiver.

    :param executes: Whether runs are executed; otherwise they stay pending.
    """
    with serve_http() as server:
        settings = ServiceSettings(
            place.folder,
            database_url=place.service_url if place.service_url.startswith("postgresql") else None,
            public_url=server.url,
            bootstrap_token=API_TOKEN,
            secret_keys=(SECRET_KEY,),
            executes=executes,
            allow_private_endpoints=True,
            keep_days=0,  # the runs of a dump are older each day
            shutdown_seconds=120,
        )
        parts = assemble(settings)
        parts.start()
        server.app = build_app(parts)
        try:
            with (
                open_client(server.url, API_TOKEN) as client,
                open_client(receiver_url, READER_TOKEN) as receiver,
            ):
                yield Servers(parts, client, receiver)
        finally:
            assert parts.stop()


def open_client(url: str, token: str) -> httpx.Client:
    """Open a client with a Bearer token."""
    headers = {"Authorization": f"Bearer {token}"}
    # Less than the server's 5 s: it would close a connection just when it is used again.
    limits = httpx.Limits(keepalive_expiry=2)
    return httpx.Client(base_url=url, headers=headers, timeout=LIMIT_SECONDS, limits=limits, trust_env=False)
