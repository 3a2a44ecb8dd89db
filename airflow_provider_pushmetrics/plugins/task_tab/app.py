"""
The tab "PushMetrics" of a task instance: Airflow authenticates every request, and checks the Dag.

Airflow does not authenticate requests to a plugin's app, so the app itself has the checks. The API token of
the task's connection stays in the API server.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Annotated, Any
from urllib.parse import quote

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag, requires_access_view
from airflow.utils.session import create_session
from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import HTTPException
from fastapi.responses import JSONResponse, Response
from sqlalchemy.exc import SQLAlchemyError

from airflow_provider_pushmetrics.client import calls, protocol
from airflow_provider_pushmetrics.client.retry_policy import ONE_ATTEMPT
from airflow_provider_pushmetrics.exceptions import (
    PushMetricsConfigurationError,
    PushMetricsError,
    PushMetricsNotFoundError,
    PushMetricsUnavailableError,
)
from airflow_provider_pushmetrics.hooks.async_client import PushMetricsAsyncClient
from airflow_provider_pushmetrics.plugins.connections import open_client
from airflow_provider_pushmetrics.plugins.pages import SECURITY_HEADERS, SHARED_FILES, add_files
from airflow_provider_pushmetrics.plugins.task_tab.first_rows import fetch_head
from airflow_provider_pushmetrics.plugins.task_tab.kept_run import KeptRun, TaskKey, find_kept_run
from airflow_provider_pushmetrics.plugins.task_tab.run_view import (
    RunReference,
    check_reference,
    fetch_checked_run,
    fetch_view,
    parse_reference,
)
from airflow_provider_pushmetrics.serving.logs import describe_fault
from airflow_provider_pushmetrics.storable import describe_error, make_storable

log = logging.getLogger(__name__)

TASK_FILES = {
    "": ("task.html", "text/html"),
    "task.js": ("task.js", "text/javascript"),
    "task.css": ("task.css", "text/css"),
    **SHARED_FILES,
}
READ_TASK = [
    Depends(requires_access_dag("GET", entity))
    for entity in (DagAccessEntity.TASK_INSTANCE, DagAccessEntity.XCOM, DagAccessEntity.TASK_LOGS)
]
"""The tab shows what a task returned and logged, so it needs the rights to read both."""

TAB_TIMEOUT_SECONDS = 20.0
MAX_TAB_BYTES = 4 * 1024 * 1024
MAX_TAB_REQUESTS = 8
"""How many requests are answered at a time in each process of the API server; others wait."""

TAB_THREADS = 4
SVG = "image/svg+xml"
IMAGE_HEADERS = {
    # An image that is opened by itself is a document of Airflow's origin: it must not run or load anything.
    **SECURITY_HEADERS,
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}


def read_key(
    dag_id: Annotated[str, Query()],
    run_id: Annotated[str, Query()],
    task_id: Annotated[str, Query()],
    map_index: Annotated[int, Query(ge=-1)] = -1,
) -> TaskKey:
    """Read which task instance is shown; ``requires_access_dag`` reads ``dag_id`` too."""
    return TaskKey(dag_id, run_id, task_id, map_index)


Key = Annotated[TaskKey, Depends(read_key)]


def build_task_tab(timeout_seconds: float = TAB_TIMEOUT_SECONDS) -> FastAPI:
    """
    Build the app of the tab.

    :param timeout_seconds: How long PushMetrics may take for a request.
    """
    tab = TaskTab(timeout_seconds)
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(requires_access_view(AccessView.PLUGINS))],
        exception_handlers={PushMetricsError: _answer_error},
    )
    add_files(app, TASK_FILES)
    for path, endpoint in (("/run", tab.get_run), ("/rows", tab.get_rows), ("/chart", tab.get_chart)):
        app.add_api_route(path, endpoint, methods=["GET"], dependencies=READ_TASK)
    return app


class TaskTab:
    """
    The endpoints of the tab's script.

    :param timeout_seconds: How long PushMetrics may take for a request.
    """

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._places = asyncio.Semaphore(MAX_TAB_REQUESTS)
        # Of its own: a database that hangs must not occupy the threads of the whole API server.
        self._threads = ThreadPoolExecutor(TAB_THREADS, "pushmetrics-tab")

    async def get_run(self, key: Key) -> Response:
        """Return the state of the task and its run; a sentence instead of a run that is not there."""
        kept = await self._find(key)
        content: dict[str, Any] = {
            "state": kept.state,
            "try_number": kept.try_number,
            "is_final": kept.is_final,
        }
        reference = _read_reference(kept)
        if reference is None:
            return _answer({**content, "run": None, "message": explain_absence(key, kept)})
        async with self._open(key, kept, reference) as client:
            run = await fetch_view(client, reference)
        return _answer({**content, "run": run})

    async def get_rows(self, key: Key, query_id: Annotated[int | None, Query(ge=0)] = None) -> Response:
        """Return the first rows of a query of the run; of the run's only query if it is a query run."""
        kept, reference = await self._find_reference(key)
        async with self._open(key, kept, reference) as client:
            if reference.query_id is not None:
                url = reference.url
            elif query_id is None:
                raise HTTPException(422, "query_id is missing.")
            else:
                await fetch_checked_run(client, reference)
                base, report = client.settings.base_url, calls.quote_report_id(reference.report_id)
                url = f"{base}/api/reports/{report}/queries/{query_id}/reportRun/{reference.run_id}"
            head = await client.call(fetch_head(client.credentials, url))
            # In a thread: decoding some MiB in the event loop would hold up all of the API server.
            rows = await asyncio.get_running_loop().run_in_executor(self._threads, head.read)
        return _answer(rows)

    async def get_chart(
        self, key: Key, block_uid: Annotated[str, Query(max_length=100)], is_dark: bool = False
    ) -> Response:
        """Return the image of a chart of the run, where PushMetrics draws it."""
        kept, reference = await self._find_reference(key)
        async with self._open(key, kept, reference) as client:
            await fetch_checked_run(client, reference)
            path = f"/app/results/run/{reference.run_id}/{quote(block_uid, safe='')}/chart.svg"
            image = await _fetch_image(client, f"{path}?is_dark={str(is_dark).lower()}")
        return Response(image, media_type=SVG, headers=IMAGE_HEADERS)

    async def _find(self, key: TaskKey) -> KeptRun:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._timeout_seconds):
                kept = await loop.run_in_executor(self._threads, _find_in_airflow, key)
        except (TimeoutError, SQLAlchemyError) as error:
            log.warning("Task instance %s cannot be read: %s", key, type(error).__name__)
            raise PushMetricsUnavailableError(
                "Airflow's database could not be read. Try again later."
            ) from None
        if kept is None:
            raise HTTPException(404, f"There is no task instance {key.task_id!r} in run {key.run_id!r}.")
        return kept

    async def _find_reference(self, key: TaskKey) -> tuple[KeptRun, RunReference]:
        kept = await self._find(key)
        reference = _read_reference(kept)
        if reference is None:
            raise HTTPException(404, explain_absence(key, kept))
        return kept, reference

    @asynccontextmanager
    async def _open(
        self, key: TaskKey, kept: KeptRun, reference: RunReference
    ) -> AsyncIterator[PushMetricsAsyncClient]:
        """Open a client of the task's connection, for a limited time."""
        if kept.conn_id is None:
            raise PushMetricsConfigurationError(
                "the connection of this task is unknown: it is a template, and Airflow no longer keeps its"
                " rendered value, as of older Dag runs."
            )
        try:
            async with (
                asyncio.timeout(self._timeout_seconds),
                self._places,
                open_client(kept.conn_id, max_body_bytes=MAX_TAB_BYTES) as client,
            ):
                check_reference(client, reference)
                yield client
        except TimeoutError:
            raise PushMetricsUnavailableError(
                f"PushMetrics did not answer within {self._timeout_seconds:g} s. Try again later."
            ) from None
        except (PushMetricsError, HTTPException):
            raise
        except Exception as error:  # of any secrets backend, or a bug of ours: the log has it
            log.warning("The run of task instance %s cannot be shown: %s", key, describe_fault(error))
            raise PushMetricsUnavailableError(
                f"the run cannot be shown ({type(error).__name__}): the log of the API server says more."
            ) from None


def _read_reference(kept: KeptRun) -> RunReference | None:
    return None if kept.run_url is None else parse_reference(kept.run_url, kept.report_id)


async def _fetch_image(client: PushMetricsAsyncClient, path: str) -> bytes:
    request = protocol.Request("GET", client.settings.base_url + path, headers={"Accept": SVG})
    response = await client.call(calls.send_authorized(client.credentials, request, ONE_ATTEMPT))
    if response.headers.get("content-type", "").partition(";")[0].strip().lower() != SVG:
        raise PushMetricsNotFoundError(
            "this PushMetrics draws no charts for its API. Open the run in PushMetrics."
        )
    return response.body


def _find_in_airflow(key: TaskKey) -> KeptRun | None:
    with create_session(scoped=False) as session:
        return find_kept_run(session, key)


def explain_absence(key: TaskKey, kept: KeptRun) -> str:
    """Explain why a task instance keeps no run."""
    if kept.conn_id is None:
        return f"Task {key.task_id!r} does not run or wait for a PushMetrics report."
    if kept.is_final:
        return f"Task {key.task_id!r} has ended ({kept.state}) without a run of PushMetrics. See its log."
    return f"Task {key.task_id!r} has no run of PushMetrics yet (state: {kept.state or 'not scheduled'})."


def _answer(content: dict[str, Any]) -> JSONResponse:
    return JSONResponse(make_storable(content), headers=SECURITY_HEADERS)


async def _answer_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, PushMetricsError)  # what it is registered for
    text = describe_error(error)
    return JSONResponse({"message": f"{text[:1].upper()}{text[1:]}"}, 502, headers=SECURITY_HEADERS)
