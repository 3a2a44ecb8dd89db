from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from airflow import configuration
from starlette.applications import Starlette
from starlette.routing import Mount

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError, PushMetricsUnavailableError
from airflow_provider_pushmetrics.plugins.pushmetrics import (
    GIVE_UP_SECONDS,
    INVALID,
    MAX_BUILDING,
    NOT_CONFIGURED,
    RETRY_REQUEST_SECONDS,
    UNREADABLE,
    AssetUpdates,
    LazyReceiver,
    PushMetricsPlugin,
    build_external_views,
    build_fastapi_apps,
    build_middlewares,
    build_receiver,
    update_assets,
)
from tests.fakes.clock import Clock

SCOPE = {"type": "http", "method": "GET", "path": "/pushmetrics/health/live", "headers": []}


async def call(app: Any, scope: dict[str, Any] = SCOPE) -> Sequence[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def build_counting() -> tuple[Callable[[], Any], list[int]]:
    built: list[int] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "inner"})

    def build() -> Any:
        built.append(1)
        return inner

    return build, built


class LoggingServer:
    """A server that logs the query of each request when its response has begun, as uvicorn and Airflow do."""

    def __init__(self, app: Any) -> None:
        self.app = Starlette(routes=[Mount("/pushmetrics", app)])
        self.logged: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_and_log(message: Any) -> None:
            self.logged.append(scope["query_string"])
            await send(message)

        await self.app(scope, receive, send_and_log)


async def test_query_of_a_webhook_is_in_no_access_log_and_reaches_the_receiver() -> None:
    seen: list[bytes] = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["query_string"])
        await send({"type": "inner"})

    server = LoggingServer(LazyReceiver(lambda: inner, hides_query=True))
    await call(server, {**SCOPE, "query_string": b"token=s3cret"})
    assert (seen, server.logged) == ([b"token=s3cret"], [b""])


async def test_query_of_a_webhook_is_in_no_access_log_while_there_is_no_receiver() -> None:
    def fail() -> Any:
        raise PushMetricsConfigurationError("it is not configured")

    server = LoggingServer(LazyReceiver(fail, hides_query=True))
    await call(server, {**SCOPE, "query_string": b"t%6Fken=s3cret"})
    assert server.logged == [b"", b""]


class Backend:
    """A secrets backend that fails, or hangs, until the test lets it answer."""

    def __init__(self, *, hangs: bool = False) -> None:
        self.asked = 0
        self.works = False
        self.answers = threading.Event()
        if not hangs:
            self.answers.set()

    def build(self) -> Any:
        self.asked += 1
        assert self.answers.wait(120)
        if not self.works:
            raise PushMetricsUnavailableError(UNREADABLE)
        return build_counting()[0]()


async def get_status(receiver: LazyReceiver) -> object:
    return (await call(receiver))[0].get("status", 200)


async def test_failing_backend_is_asked_once_every_few_seconds_however_many_requests_come() -> None:
    clock, backend = Clock(), Backend()
    clock.now = 100.0
    receiver = LazyReceiver(backend.build, clock=clock)
    assert set(await asyncio.gather(*(get_status(receiver) for _ in range(100)))) == {503}
    assert await get_status(receiver) == 503
    assert backend.asked == 1
    backend.works = True
    assert await get_status(receiver) == 503
    clock.now += RETRY_REQUEST_SECONDS
    assert await get_status(receiver) == 200
    assert backend.asked == 2


async def test_hanging_backend_takes_few_threads_and_none_of_the_event_loops() -> None:
    clock, backend = Clock(), Backend(hangs=True)
    clock.now = 100.0
    receiver = LazyReceiver(backend.build, patience_seconds=0, clock=clock)
    executor = ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(executor)
    for minute in range(MAX_BUILDING + 2):
        assert set(await asyncio.gather(*(get_status(receiver) for _ in range(20)))) == {503}
        assert backend.asked <= minute + 1
        clock.now += GIVE_UP_SECONDS
    assert await asyncio.to_thread(int, "7") == 7
    assert backend.asked == MAX_BUILDING
    backend.works = True
    backend.answers.set()
    for thread in receiver._threads:
        thread.join(120)
    assert await get_status(receiver) == 200


def test_only_the_receiver_hides_queries() -> None:
    mounted = build_fastapi_apps("3.3.0")
    assert [app["app"]._hides_query for app in mounted] == [True, False, False]


def test_airflow_3_is_told_to_mount_the_receiver() -> None:
    mounted = build_fastapi_apps("3.0.0")
    assert [(app["url_prefix"], app["name"]) for app in mounted] == [
        ("/pushmetrics", "PushMetrics receiver"),
        ("/pushmetrics-events", "PushMetrics events"),
    ]
    assert all(callable(app["app"]) for app in mounted)


def test_menu_gets_the_page_where_airflow_has_such_a_menu() -> None:
    assert build_external_views("2.11.0") == build_external_views("3.0.6") == []
    page, tab = build_external_views("3.1.0")
    assert (page["name"], page["href"]) == ("PushMetrics events", "pushmetrics-events/")
    assert (tab["name"], tab["destination"]) == ("PushMetrics", "task_instance")
    assert tab["href"].startswith("pushmetrics-task/?dag_id={DAG_ID}&")
    assert PushMetricsPlugin.external_views == build_external_views("3.3.2")


def test_airflow_2_mounts_nothing() -> None:
    assert build_fastapi_apps("2.11.0") == []


def test_assets_are_updated_where_the_receiver_runs_in_airflow() -> None:
    assert build_middlewares("2.11.0") == build_middlewares("3.0.6") == []
    (entry,) = build_middlewares("3.1.0")
    assert entry["middleware"] is AssetUpdates


class Work:
    """What is done beside a server, and what became of it."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def __call__(self) -> None:
        self.seen.append("began")
        try:
            await asyncio.Event().wait()
        finally:
            self.seen.append("ended")


async def test_assets_are_updated_from_the_servers_start_to_its_end() -> None:
    work = Work()

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        assert work.seen == ["began"]

    await call(AssetUpdates(serve, work), {"type": "lifespan"})
    await asyncio.sleep(0)
    assert work.seen == ["began", "ended"]


async def test_requests_pass_what_updates_assets() -> None:
    build, _ = build_counting()
    work = Work()
    assert await call(AssetUpdates(build(), work)) == [{"type": "inner"}]
    assert work.seen == []


async def test_a_receiver_that_is_not_configured_updates_nothing() -> None:
    async with asyncio.timeout(20):
        await update_assets()


class Stop(Exception):
    """Ends what would continue forever."""


async def test_a_receiver_that_cannot_be_built_yet_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW__PUSHMETRICS__READER_TOKEN", "r" * 40)
    pauses: list[float] = []
    clock = Clock()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock.now += seconds
        if len(pauses) == 1:
            assert "has no source" in caplog.text
        if len(pauses) == 2:
            monkeypatch.setenv("AIRFLOW__PUSHMETRICS__TOKEN", "t")
            monkeypatch.setenv("AIRFLOW__PUSHMETRICS__KEEP_DAYS", "many")
        if len(pauses) == 3:
            raise Stop

    receiver = LazyReceiver(build_receiver, clock=clock)
    with pytest.raises(Stop):
        await update_assets(receiver, retry_seconds=7.0, sleep=sleep)
    assert pauses == [7.0] * 3
    assert caplog.text.count("has no source") == 1
    assert "keep_days of [pushmetrics] is 'many'" in caplog.text


def test_plugin_has_the_name_that_the_docs_say() -> None:
    assert PushMetricsPlugin.name == "pushmetrics"


async def test_receiver_is_built_once_and_at_the_first_request() -> None:
    build, built = build_counting()
    app = LazyReceiver(build)
    assert built == []
    assert await call(app) == await call(app) == [{"type": "inner"}]
    assert built == [1]


async def test_lifespan_and_websockets_are_left_alone() -> None:
    build, built = build_counting()
    assert await call(LazyReceiver(build), {"type": "websocket"}) == []
    assert built == []


async def test_receiver_without_settings_answers_503_with_the_options_to_set() -> None:
    start, body = await call(LazyReceiver(build_receiver))
    assert start["status"] == 503
    message = json.loads(body["body"])["message"]
    assert message == NOT_CONFIGURED
    for option in ("[pushmetrics]", "receiver_connection", "reader_token", "token", "signing_secrets"):
        assert option in message


async def test_receiver_without_settings_logs_one_line_with_the_options_of_airflow_cfg(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = LazyReceiver(build_receiver)
    for _ in range(5):
        await call(app)
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("airflow_provider")]
    assert "in section [pushmetrics] of airflow.cfg set receiver_connection" in line
    assert "--" not in line


async def test_receiver_with_half_its_settings_logs_why_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW__PUSHMETRICS__READER_TOKEN", "r")
    app = LazyReceiver(build_receiver)
    for _ in range(5):
        start, body = await call(app)
        assert (start["status"], json.loads(body["body"])["message"]) == (503, INVALID)
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("airflow_provider")]
    assert "has no source" in line


async def test_connections_that_cannot_be_read_are_503_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise OSError("password=s3cret")

    monkeypatch.setenv("AIRFLOW__PUSHMETRICS__RECEIVER_CONNECTION", "absent")
    monkeypatch.setattr(configuration, "ensure_secrets_loaded", fail)
    start, body = await call(LazyReceiver(build_receiver))
    assert (start["status"], json.loads(body["body"])["message"]) == (503, UNREADABLE)
    assert "OSError" in caplog.text
    assert "s3cret" not in caplog.text


async def test_receiver_that_gets_its_settings_later_works_then() -> None:
    builders = [build_receiver, build_counting()[0]]

    clock = Clock()
    app = LazyReceiver(lambda: builders.pop(0)(), clock=clock)
    assert (await call(app))[0]["status"] == 503
    clock.now += RETRY_REQUEST_SECONDS
    assert await call(app) == [{"type": "inner"}]


def test_refused_setting_does_not_show_in_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__PUSHMETRICS__READER_TOKEN", "r")
    monkeypatch.setenv("AIRFLOW__PUSHMETRICS__SIGNING_SECRETS", "whsec_broken!")
    with pytest.raises(PushMetricsConfigurationError) as refusal:
        build_receiver()
    assert "broken" not in str(refusal.value)
