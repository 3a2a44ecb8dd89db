"""PushMetrics and the receiver, faked at the wire and served over real HTTP, and connections to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.fakes.inbox import READER_TOKEN
from tests.fakes.loopback import LoopbackServer, serve_http
from tests.fakes.pushmetrics import FakePushMetrics
from tests.fakes.receiver_server import READER_TOKEN as REAL_READER_TOKEN
from tests.fakes.receiver_server import ReceiverServer, start_receiver
from tests.fakes.service_process import API_TOKEN, ServiceProcess

Connect = Callable[..., None]
Mode = dict[str, Any]
MODES: list[Mode] = [{"deferrable": False, "poke_interval": 0.01}, {"deferrable": True}]


@pytest.fixture(scope="session")
def server() -> Iterator[LoopbackServer]:
    with serve_http() as server:
        yield server


@pytest.fixture
def pushmetrics(server: LoopbackServer) -> FakePushMetrics:
    fake = FakePushMetrics(server.url)
    server.app = fake.build_app()
    return fake


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch, server: LoopbackServer) -> Connect:
    """Set the default connection, as Airflow finds it outside a task: in the environment."""

    def set_connection(host: str | None = None, password: str | None = None, **extra: Any) -> None:
        connection = {
            "conn_type": "pushmetrics",
            "host": host or server.url,
            "password": password,
            "extra": {name: value for name, value in extra.items() if value is not None},
        }
        monkeypatch.setenv("AIRFLOW_CONN_PUSHMETRICS_DEFAULT", json.dumps(connection))

    return set_connection


@pytest.fixture
def connect_whole(connect: Connect, pushmetrics: FakePushMetrics) -> Connect:
    """Set the default connection with all that there is; None leaves a part out."""

    def set_connection(**changes: Any) -> None:
        parts: dict[str, Any] = {
            "password": pushmetrics.api_token,
            "trigger_tokens": {"1": pushmetrics.trigger_token},
            "receiver_url": f"{pushmetrics.url}/pushmetrics",
            "receiver_token": READER_TOKEN,
        }
        connect(**parts | changes)

    set_connection()
    return set_connection


@pytest.fixture
def whole_connection(connect_whole: Connect) -> None:
    """Set the default connection with all that there is."""
    connect_whole()


@pytest.fixture(params=[{}, {"receiver_url": None, "receiver_token": None}], ids=["receiver", "no-receiver"])
def with_or_without_receiver(
    request: pytest.FixtureRequest, quick_worker: None, connect_whole: Connect
) -> None:
    """Set the default connection with a receiver, and without one; after the fixture that sets it whole."""
    connect_whole(**request.param)


@pytest.fixture(params=MODES, ids=["poking", "deferred"])
def mode(request: pytest.FixtureRequest) -> Mode:
    """How a sensor waits."""
    mode: Mode = request.param
    return mode


@pytest.fixture(params=[False, True], ids=["worker", "deferred"])
def deferrable(request: pytest.FixtureRequest) -> bool:
    """Whether the task waits in the triggerer."""
    is_deferrable: bool = request.param
    return is_deferrable


@pytest.fixture
def quick_worker(monkeypatch: pytest.MonkeyPatch, connect_whole: Connect) -> None:
    """Let the worker report at once, so that a deferred task need not rest; and connect."""
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "-1")
    monkeypatch.setenv("AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME", "0")
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "LocalExecutor")
    connect_whole()


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReceiverServer]:
    """Give a real receiver."""
    inbox = tmp_path_factory.mktemp("receiver") / "inbox.db"
    with start_receiver(f"sqlite:///{inbox}") as receiver:
        yield receiver


@pytest.fixture
def connect_servers(
    connect: Connect, receiver: ReceiverServer, monkeypatch: pytest.MonkeyPatch
) -> Callable[[ServiceProcess], Connect]:
    """Set the default connection to a real service and the real receiver; give what changes parts of it."""
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "-1")
    monkeypatch.setenv("AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME", "0")

    def connect_to(service: ServiceProcess) -> Connect:
        parts: dict[str, Any] = {
            "host": str(service.client.base_url),
            "password": API_TOKEN,
            "trigger_tokens": {"1": service.find_trigger_token()},
            "receiver_url": receiver.url,
            "receiver_token": REAL_READER_TOKEN,
        }

        def set_connection(**changes: Any) -> None:
            connect(**parts | changes)

        set_connection()
        return set_connection

    return connect_to
