"""
The receiver in Airflow's API server: ``/pushmetrics/webhooks/{source}`` and all its other endpoints.

Airflow imports this module in every process, so it imports nothing that only the receiver needs; the API
server builds the receiver at the first request. Without settings, requests return an explanation.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from concurrent.futures import Future
from typing import Any

from airflow import __version__ as airflow_version
from airflow.plugins_manager import AirflowPlugin

from airflow_provider_pushmetrics.exceptions import (
    PushMetricsConfigurationError,
    PushMetricsError,
    PushMetricsMissingExtraError,
    PushMetricsUnavailableError,
)

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_LOGGED = 20
"""How many different logged reasons are remembered."""

URL_PREFIX = "/pushmetrics"
PAGE_PREFIX = "/pushmetrics-events"
TAB_PREFIX = "/pushmetrics-task"
TAB_QUERY = "dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}&map_index={MAP_INDEX}"
"""Airflow replaces these; it leaves ``{MAP_INDEX}`` if the task is not mapped, and 3.1 encodes nothing."""

RETRY_BUILD_SECONDS = 60.0
RETRY_REQUEST_SECONDS = 3.0
"""How long requests get the last failure: each attempt asks every secrets backend."""

PATIENCE_SECONDS = 10.0
GIVE_UP_SECONDS = 60.0
"""After this another attempt may begin beside one that hangs."""

MAX_BUILDING = 3
NOT_CONFIGURED = (
    "The PushMetrics receiver is not configured: in section [pushmetrics] of airflow.cfg set"
    " receiver_connection, or reader_token and one of token, signing_secrets and source_connections"
    " (or AIRFLOW__PUSHMETRICS__RECEIVER_CONNECTION and so on)."
)
INVALID = (
    "The configuration of the PushMetrics receiver is invalid or incomplete; the log of the API server says"
    " why."
)
UNREADABLE = "The configuration of the PushMetrics receiver cannot be read now. Try again later."


class LazyReceiver:
    """
    The receiver's ASGI app, built at the first request.

    :param build: Builds it, or raises PushMetricsConfigurationError with a message that anybody may read.
    :param hides_query: Hide the query from the server, which may log it with a sender's token.
    :param patience_seconds: How long a request waits.
    :param clock: Returns monotonic seconds.
    """

    def __init__(
        self,
        build: Callable[[], AsgiApp],
        *,
        hides_query: bool = False,
        patience_seconds: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._build = build
        self._hides_query = hides_query
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._app: AsgiApp | None = None
        self._building: Future[None] | None = None
        self._retry_at = 0.0
        self._failure: Exception | None = None
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._logged: set[str] = set()

    async def get_app(self) -> AsgiApp:
        """
        Get the app; build it if necessary.

        :raises PushMetricsError: if it cannot be built.
        """
        if self._app is not None:
            return self._app
        building = self._begin()
        await asyncio.wait({asyncio.wrap_future(building)}, timeout=self._patience_seconds)
        if self._app is not None:
            return self._app
        if self._failure is None or not building.done():
            raise PushMetricsUnavailableError(UNREADABLE)
        raise self._failure.with_traceback(None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request to the receiver, or respond with 503 and the reason."""
        if scope["type"] != "http":
            return
        if self._hides_query:
            # In place: the access logs of uvicorn and of Airflow read it when the response has begun.
            scope, served = {**scope}, scope
            served["query_string"] = b""
        try:
            app = await self.get_app()
        except PushMetricsError as error:
            self.log_once(error)
            await _answer_unavailable(send, str(error))
            return
        await app(scope, receive, send)

    def log_once(self, error: PushMetricsError) -> None:
        """Log why there is no receiver, once, although every request fails in the same way."""
        line = f"{error} ({error.__cause__})" if error.__cause__ else str(error)
        if line not in self._logged and len(self._logged) < MAX_LOGGED:
            self._logged.add(line)
            log.warning("%s", line)

    def _begin(self) -> Future[None]:
        """Begin to build it in a thread of its own, unless one does, or has failed a moment ago."""
        with self._lock:
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            may_begin = self._clock() >= self._retry_at and len(self._threads) < MAX_BUILDING
            if self._building is None or may_begin:
                self._building = Future()
                self._retry_at = self._clock() + GIVE_UP_SECONDS
                thread = threading.Thread(target=self._build_once, args=(self._building,), daemon=True)
                thread.name = "pushmetrics-build"
                thread.start()
                self._threads.append(thread)
            return self._building

    def _build_once(self, building: Future[None]) -> None:
        try:
            app = self._build()
            self._app = self._app or app
        except Exception as error:  # raised in each request that waits
            self._failure = error
            with self._lock:
                if building is self._building:
                    self._retry_at = self._clock() + RETRY_REQUEST_SECONDS
        finally:
            building.set_result(None)


def describe_missing_receiver(version: str = airflow_version) -> str:
    """Describe that the extra is missing, and how to install it into this Airflow or beside it."""
    from airflow_provider_pushmetrics.cli import advise_install, find_version

    way_out = advise_install("receiver", version, find_version("sqlalchemy"))
    return f"The PushMetrics receiver is not installed in this Airflow. {way_out}"


def build_receiver() -> AsgiApp:
    """
    Build the receiver from Airflow's configuration.

    :raises PushMetricsConfigurationError: if the extra is not installed, or the section is missing,
        incomplete or invalid.
    :raises PushMetricsUnavailableError: if a command or a secrets backend fails.
    """
    try:
        from airflow_provider_pushmetrics.plugins.configuration import (
            ReceiverConfiguration,
            is_configured,
            read_options,
        )
        from airflow_provider_pushmetrics.receiver.app import create_app
        from airflow_provider_pushmetrics.serving.logs import describe_fault
    except ImportError as error:
        raise PushMetricsMissingExtraError(describe_missing_receiver()) from error
    try:
        options = read_options()
    except PushMetricsUnavailableError as error:
        raise PushMetricsUnavailableError(UNREADABLE) from error
    if not is_configured(options):
        raise PushMetricsConfigurationError(NOT_CONFIGURED)
    configuration = ReceiverConfiguration(options)
    try:
        settings = configuration.build_settings()
        return create_app(settings, configuration.read_access if configuration.has_connections else None)
    except PushMetricsConfigurationError as error:
        raise PushMetricsConfigurationError(INVALID) from error
    except Exception as error:  # of any secrets backend, at the first request
        raise PushMetricsUnavailableError(UNREADABLE) from PushMetricsError(describe_fault(error))


def build_events_page() -> AsgiApp:
    """
    Build the page "PushMetrics events", on the inbox that the receiver of this process has open.

    :raises PushMetricsConfigurationError: if the extra is not installed, or Airflow's authentication cannot
        be imported. No page is safer than an unprotected one.
    """
    try:
        from airflow_provider_pushmetrics.plugins.events_page import build_page
    except ImportError as error:
        log.warning("The page of PushMetrics events cannot be imported: %s", error)
        raise PushMetricsMissingExtraError(describe_missing_receiver()) from None

    async def get_runtime() -> Any:
        app: Any = await RECEIVER.get_app()
        return await app.state.runtime.get()

    return build_page(get_runtime)


def build_tab() -> AsgiApp:
    """
    Build the tab of a task instance.

    :raises PushMetricsError: if Airflow's check of permissions cannot be imported.
    """
    try:
        from airflow_provider_pushmetrics.plugins.task_tab.app import build_task_tab
    except ImportError as error:  # Airflow's tables and checks are not a public interface
        log.warning("The tab of PushMetrics cannot be imported: %s", error)
        raise PushMetricsConfigurationError("This Airflow cannot show the tab of PushMetrics.") from None
    return build_task_tab()


RECEIVER = LazyReceiver(build_receiver, hides_query=True)
"""The receiver of this process; the page uses its open inbox."""


async def update_assets(
    receiver: LazyReceiver | None = None,
    *,
    retry_seconds: float = RETRY_BUILD_SECONDS,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """
    Update assets by their rules; return at once if the receiver is not configured or not installed.

    :param receiver: The receiver; by default that of this process.
    :param retry_seconds: The delay after a failure: a secrets backend may be unavailable when the server
        starts.
    :param sleep: Waits.
    """
    receiver = receiver or RECEIVER
    while True:
        try:
            if not await asyncio.to_thread(is_receiver_wanted):
                receiver.log_once(PushMetricsConfigurationError(NOT_CONFIGURED))
                return
            app: Any = await receiver.get_app()
            from airflow_provider_pushmetrics.plugins.asset_updates import AssetUpdater

            break
        except (PushMetricsMissingExtraError, ImportError) as error:
            log.warning("This API server updates no PushMetrics assets: %s", error)
            return
        except PushMetricsError as error:
            receiver.log_once(error)
        except Exception as error:  # of any backend of Airflow's configuration
            log.warning("This API server updates no PushMetrics assets yet: %s", type(error).__name__)
        await sleep(retry_seconds)
    await AssetUpdater(app.state.runtime.get).run()


def is_receiver_wanted() -> bool:
    """Return whether Airflow's configuration names a reader token or a connection for the receiver."""
    from airflow_provider_pushmetrics.plugins.configuration import is_configured, read_options

    return is_configured(read_options())


async def check_missed_events() -> None:
    """Queue Dags again whose asset events the scheduler has missed; returns if it misses none."""
    try:
        from airflow_provider_pushmetrics.plugins.dag_run_queue import overlooks_events
        from airflow_provider_pushmetrics.plugins.missed_events import MissedEventsCheck
    except ImportError as error:  # Airflow's tables are not a public interface
        log.warning("This API server does not check which PushMetrics events have started no Dag: %s", error)
        return
    if overlooks_events():
        await MissedEventsCheck().run()


async def follow_events() -> None:
    """Run the background work of the API server, until cancelled."""
    await asyncio.gather(update_assets(), check_missed_events())


class AssetUpdates:
    """
    Middleware of Airflow's API server that updates assets from its start to its end.

    A mounted app is not notified when the server starts; middleware is. Requests pass unchanged.

    :param app: The next app.
    :param work: The background work.
    """

    def __init__(self, app: AsgiApp, work: Callable[[], Coroutine[Any, Any, None]] = follow_events) -> None:
        self._app = app
        self._work = work

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the background work as long as the server."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        task = asyncio.create_task(self._work())
        try:
            await self._app(scope, receive, send)
        finally:
            task.cancel()


async def _answer_unavailable(send: Send, message: str) -> None:
    body = json.dumps({"message": message}).encode("ascii")
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode("ascii")),
        (b"retry-after", b"60"),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _read_version(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def build_fastapi_apps(version: str) -> list[dict[str, Any]]:
    """Build the apps that Airflow mounts; none in Airflow 2, where the receiver runs separately."""
    if _read_version(version) < (3, 0):
        return []
    apps = [
        {"app": RECEIVER, "url_prefix": URL_PREFIX, "name": "PushMetrics receiver"},
        {"app": LazyReceiver(build_events_page), "url_prefix": PAGE_PREFIX, "name": "PushMetrics events"},
    ]
    if _read_version(version) >= (3, 1):
        apps.append({"app": LazyReceiver(build_tab), "url_prefix": TAB_PREFIX, "name": "PushMetrics task"})
    return apps


def build_middlewares(version: str) -> list[dict[str, Any]]:
    """Build the middleware of the whole API server; the receiver runs in it from 3.1 on."""
    if _read_version(version) < (3, 1):
        return []
    return [{"middleware": AssetUpdates, "name": "PushMetrics asset updates"}]


def build_external_views(version: str) -> list[dict[str, Any]]:
    """Build the entries of Airflow's menu, which supports them from 3.1 on."""
    if _read_version(version) < (3, 1):
        return []
    # Without a leading slash: the URL is relative to where Airflow is mounted.
    href = f"{PAGE_PREFIX.removeprefix('/')}/"
    return [
        {
            "name": "PushMetrics events",
            "href": href,
            "destination": "nav",
            "category": "browse",
            "url_route": "pushmetrics-events",
        },
        {
            "name": "PushMetrics",
            "href": f"{TAB_PREFIX.removeprefix('/')}/?{TAB_QUERY}",
            "destination": "task_instance",
            "url_route": "pushmetrics",
        },
    ]


class PushMetricsPlugin(AirflowPlugin):
    """Mounts the receiver under ``/pushmetrics`` in Airflow's API server, and adds its page to the menu."""

    name = "pushmetrics"
    fastapi_apps = build_fastapi_apps(airflow_version)
    fastapi_root_middlewares = build_middlewares(airflow_version)
    external_views = build_external_views(airflow_version)
