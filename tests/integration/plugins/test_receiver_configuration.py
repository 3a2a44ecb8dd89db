"""The receiver as Airflow mounts it, and connections that are invalid, deleted, or not found for a while."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from airflow.models.connection import Connection
from airflow.providers_manager import ProvidersManager
from airflow.secrets import BaseSecretsBackend
from starlette.applications import Starlette
from starlette.routing import Mount

from airflow_provider_pushmetrics.plugins.configuration import ReceiverConfiguration, read_options
from airflow_provider_pushmetrics.plugins.connections import KEEP_SECONDS, KeptConnections
from airflow_provider_pushmetrics.plugins.pushmetrics import INVALID, LazyReceiver, build_receiver
from airflow_provider_pushmetrics.receiver.app import create_app
from airflow_provider_pushmetrics.receiver.endpoints.access import Ages
from tests.fakes.airflow_tables import AirflowTables
from tests.fakes.clock import Clock

ALWAYS = Ages(refresh=0.0, wait=0.0)
"""Each request reads the connections again."""


@pytest.fixture(name="tables_url", params=["sqlite"])
def copy_one_kind(sqlite_with_tables: Path) -> str:
    """Have an Airflow whose database has no connection; its kind does not matter here."""
    return f"sqlite:///{sqlite_with_tables}"


@pytest.fixture(autouse=True)
def set_inbox(tables: AirflowTables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__PUSHMETRICS__INBOX", f"sqlite:///{tmp_path}/inbox.db")


def set_options(monkeypatch: pytest.MonkeyPatch, **options: str) -> None:
    for name, value in options.items():
        monkeypatch.setenv(f"AIRFLOW__PUSHMETRICS__{name.upper()}", value)


def set_connection(monkeypatch: pytest.MonkeyPatch, connection_id: str, password: str, **extra: Any) -> None:
    connection = {"conn_type": "generic", "password": password, "extra": extra}
    monkeypatch.setenv(f"AIRFLOW_CONN_{connection_id.upper()}", json.dumps(connection))


class Visitor:
    """Sends webhooks to a mounted receiver, and reads from it."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def deliver(self, source: str, token: str) -> int:
        url = f"/pushmetrics/webhooks/{source}?token={token}"
        return (await self.client.post(url, json={"event": "report.run"})).status_code

    async def read(self, token: str) -> httpx.Response:
        return await self.client.get(
            "/pushmetrics/cursor", headers={"authorization": f"Bearer {token}"}, follow_redirects=False
        )


@asynccontextmanager
async def visit(app: Any) -> AsyncIterator[Visitor]:
    transport = httpx.ASGITransport(Starlette(routes=[Mount("/pushmetrics", app)]))
    async with httpx.AsyncClient(transport=transport, base_url="http://airflow") as client:
        yield Visitor(client)


@pytest.fixture(name="visitor")
async def visit_mounted() -> AsyncIterator[Visitor]:
    """Visit the receiver that this Airflow mounts; it is built at the first request."""
    receiver = LazyReceiver(build_receiver)
    async with visit(receiver) as visitor:
        yield visitor
    if receiver._app is not None:
        (await receiver.get_app()).state.runtime.close()  # type: ignore[attr-defined]


async def test_an_invalid_source_is_left_out_from_the_start_and_the_others_deliver(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, visitor: Visitor
) -> None:
    sources = [{"name": "ops", "token": "o", "networks": ["10.0.0.1/8"]}, {"name": "sales", "token": "s"}]
    set_connection(monkeypatch, "receives", "r", token="t", sources=sources)
    set_options(monkeypatch, receiver_connection="receives")
    assert await visitor.deliver("pushmetrics", "t") == 202
    assert await visitor.deliver("sales", "s") == 202
    assert await visitor.deliver("ops", "o") == 401
    assert (await visitor.read("r")).status_code == 200
    assert "10.0.0.1/8 has host bits set" in caplog.text


async def test_of_two_sources_of_one_name_the_first_counts_from_the_start_and_the_other_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, visitor: Visitor
) -> None:
    set_connection(monkeypatch, "one", "1", source="same")
    set_connection(monkeypatch, "two", "2", source="same")
    set_options(monkeypatch, reader_token="r", source_connections="one,two")
    assert await visitor.deliver("same", "1") == 202
    assert await visitor.deliver("same", "2") == 401
    assert "a source is named 'same', as one before it" in caplog.text


@pytest.mark.parametrize(
    ("password", "extra", "reason"),
    [
        ("r", {"token": "t", "networks": ["x"]}, "has a network that is none"),
        ("r", {"token": "t", "keep_days": "many"}, "keep_days of the connection 'receives' is 'many'"),
        ("", {"token": "t"}, "the receiver has no reader token"),
        ("r", {}, "the receiver has no source"),
    ],
)
async def test_a_receiver_that_is_set_up_wrongly_does_not_say_that_nothing_is_set(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    visitor: Visitor,
    password: str,
    extra: dict[str, Any],
    reason: str,
) -> None:
    set_connection(monkeypatch, "receives", password, **extra)
    set_options(monkeypatch, receiver_connection="receives")
    answer = await visitor.read("r")
    assert (answer.status_code, answer.json()["message"]) == (503, INVALID)
    assert "not configured" not in INVALID
    assert reason in caplog.text


@pytest.mark.parametrize("name", ["token", "reader_token", "signing_secrets"])
async def test_a_command_that_fails_is_503_and_names_the_option_once_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, visitor: Visitor, name: str
) -> None:
    ProvidersManager().initialize_providers_configuration()  # as the API server does when it starts
    set_options(monkeypatch, **{"token": "t", "reader_token": "r", f"{name}_cmd": "false"})
    monkeypatch.delenv(f"AIRFLOW__PUSHMETRICS__{name.upper()}", raising=False)
    for _ in range(3):
        answer = await visitor.read("r")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
        assert "cannot be read now" in answer.json()["message"]
    assert caplog.text.count(f"option {name} of [pushmetrics] cannot be read") == 1
    assert "Traceback" not in caplog.text


class FileBackend(BaseSecretsBackend):
    """A secrets backend whose connections are in a file; it says of a failure that there is no connection."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = Path(path)

    def get_connection(self, conn_id: str, team_name: str | None = None) -> Connection | None:
        found = json.loads(self.path.read_text("utf-8")).get(conn_id)
        return None if found is None else Connection(conn_id=conn_id, **found)


class Secrets:
    """What the backend has now."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, Any] = {
            "receives": {"conn_type": "generic", "password": "r", "extra": json.dumps({"token": "t"})},
            "sales": {"conn_type": "generic", "password": "s"},
        }
        self.write(*self.rows)

    def write(self, *names: str) -> None:
        self.path.write_text(json.dumps({name: self.rows[name] for name in names}), "utf-8")


@pytest.fixture(name="secrets")
def use_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Secrets:
    secrets = Secrets(tmp_path / "secrets.json")
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND", f"{__name__}.FileBackend")
    monkeypatch.setenv("AIRFLOW__SECRETS__BACKEND_KWARGS", json.dumps({"path": str(secrets.path)}))
    set_options(monkeypatch, receiver_connection="receives", source_connections="sales")
    return secrets


@pytest.fixture(name="clock")
def make_clock() -> Clock:
    return Clock()


@pytest.fixture(name="running")
async def run(secrets: Secrets, clock: Clock) -> AsyncIterator[Visitor]:
    """Visit a receiver that reads its connections at each request."""
    configuration = ReceiverConfiguration(read_options(), KeptConnections(clock))
    app = create_app(configuration.build_settings(), configuration.read_access, ages=ALWAYS)
    async with visit(app) as visitor:
        yield visitor
    app.state.runtime.close()


async def test_a_backend_that_says_not_found_for_a_moment_rejects_nobody(
    secrets: Secrets, clock: Clock, running: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    secrets.write()
    for _ in range(3):
        assert await running.deliver("pushmetrics", "t") in (200, 202)
        assert await running.deliver("sales", "s") in (200, 202)
        assert (await running.read("r")).status_code == 200
        clock.now += KEEP_SECONDS / 3
    assert "does not find the connection 'receives' any more" in caplog.text
    secrets.write(*secrets.rows)
    assert await running.deliver("sales", "s") == 200
    secrets.write()
    clock.now += KEEP_SECONDS - 1  # the time counts from the new failure
    assert await running.deliver("sales", "s") == 200


async def test_a_connection_that_is_deleted_in_a_backend_counts_for_a_minute_and_the_other_goes_on(
    secrets: Secrets, clock: Clock, running: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    secrets.rows["receives"]["password"] = "new"
    secrets.write("receives")
    assert await running.deliver("sales", "s") == 202
    assert (await running.read("new")).status_code == 200
    clock.now += KEEP_SECONDS
    assert await running.deliver("sales", "s") == 401
    assert await running.deliver("pushmetrics", "t") == 202
    assert "'sales' of option source_connections does not exist" in caplog.text


async def test_an_older_connection_elsewhere_does_not_count_while_the_backend_may_fail(
    monkeypatch: pytest.MonkeyPatch, secrets: Secrets, clock: Clock, running: Visitor
) -> None:
    set_connection(monkeypatch, "sales", "left from before")
    secrets.write("receives")
    assert await running.deliver("sales", "left from before") == 401
    assert await running.deliver("sales", "s") == 202
    clock.now += KEEP_SECONDS
    assert await running.deliver("sales", "left from before") == 200


@pytest.fixture(name="by_environment")
async def run_by_environment(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Any:
    """Visit a receiver whose connection is in the environment, and whose options have older tokens."""
    set_connection(monkeypatch, "receives", "r", token="t")
    set_options(monkeypatch, receiver_connection="receives", token="older", reader_token="older")
    configuration = ReceiverConfiguration(read_options())
    app = create_app(configuration.build_settings(), configuration.read_access, ages=ALWAYS)
    async with visit(app) as visitor:
        yield visitor
    app.state.runtime.close()


async def test_a_deleted_connection_of_the_receiver_is_logged_and_older_tokens_do_not_count(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, by_environment: Visitor
) -> None:
    assert await by_environment.deliver("pushmetrics", "t") == 202
    monkeypatch.delenv("AIRFLOW_CONN_RECEIVES")
    for token in ("t", "older"):
        assert await by_environment.deliver("pushmetrics", token) == 401
    for token in ("r", "older"):
        assert (await by_environment.read(token)).status_code == 401
    assert "'receives' of option receiver_connection does not exist" in caplog.text
