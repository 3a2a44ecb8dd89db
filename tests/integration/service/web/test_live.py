"""The events for open pages: runs wake them, and they hold neither a thread nor a database connection."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, aclosing, contextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine
from sqlalchemy.pool import QueuePool

from airflow_provider_pushmetrics.service.runs.run_watch import read_figures
from airflow_provider_pushmetrics.service.runtime import ServiceParts
from airflow_provider_pushmetrics.service.web.live import HEARTBEAT, write_changes
from tests.fakes.service_process import ServiceProcess, run_ready_service
from tests.fakes.waiting import LIMIT_SECONDS, until, wait_until
from tests.integration.service.conftest import Api

PAGES = 30


@pytest.fixture(scope="module", name="service")
def start_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    with run_ready_service(tmp_path_factory.mktemp("live") / "data", "--demo") as service:
        yield service


class OpenPage:
    """Reads the events of one page in a thread."""

    def __init__(self, answer: httpx.Response) -> None:
        self.events = 0
        self._answer = answer
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        for line in self._answer.iter_lines():
            self.events += line.startswith("data: ")

    def wait_for_end(self) -> None:
        self._thread.join(LIMIT_SECONDS)
        assert not self._thread.is_alive()


@contextmanager
def open_page(service: ServiceProcess) -> Iterator[OpenPage]:
    client = httpx.Client(headers=service.client.headers, timeout=LIMIT_SECONDS, trust_env=False)
    with client, client.stream("GET", f"{service.client.base_url}/app/changes") as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-store"
        page = OpenPage(answer)
        yield page
        page.wait_for_end()


def count_threads(service: ServiceProcess) -> int:
    return len(list(Path(f"/proc/{service.process.pid}/task").iterdir()))


@pytest.mark.slow
def test_service_ends_the_streams_of_open_pages_when_it_stops(service: ServiceProcess) -> None:
    assert httpx.get(f"{service.client.base_url}/app/changes", timeout=LIMIT_SECONDS).status_code == 401
    with ExitStack() as stack:
        first = stack.enter_context(open_page(service))
        wait_until(lambda: first.events, "the event at the beginning")
        before = count_threads(service)
        pages = [stack.enter_context(open_page(service)) for _ in range(PAGES)]
        wait_until(lambda: all(page.events for page in pages), "the event of each page")
        assert count_threads(service) - before < PAGES / 2
        seen = [page.events for page in pages]
        service.client.post("/api/v1/report/1/run/noteflow").raise_for_status()
        wait_until(
            lambda: all(page.events > count for page, count in zip(pages, seen, strict=True)),
            "the event of the run on each page",
        )
        assert service.stop() == 0


async def read_changes(parts: ServiceParts) -> AsyncGenerator[str]:
    """Give the version of all runs of each event."""
    async with aclosing(write_changes(parts.run_watch)) as events:
        async for event in events:
            if event != HEARTBEAT:
                yield event.decode().removeprefix("event: runs\ndata: ").rstrip()


async def wait_for_change(changes: AsyncGenerator[str]) -> str:
    async with asyncio.timeout(LIMIT_SECONDS):
        return await anext(changes)


async def test_page_is_woken_by_a_run_its_progress_and_its_end(api: Api) -> None:
    changes = read_changes(api.parts)
    await wait_for_change(changes)  # at the beginning
    run_id = await api.trigger(1)
    status = ""
    while status != "success":  # with a change that is not signaled it would wait here
        await wait_for_change(changes)
        status = (await api.client.get(f"/api/v1/noteflow_run/{run_id}")).json()["result"]["status"]
    await changes.aclose()


async def test_session_has_the_version_of_the_first_event_until_a_run_changes(api: Api) -> None:
    """What a page reads after it has asked for its session is not older than that version."""

    async def read_version() -> str:
        with api.parts.database.reading() as session:
            return read_figures(session).write_version()

    changes = read_changes(api.parts)
    first = await read_version()
    while await wait_for_change(changes) != first:
        pass  # what was seen before the last run had ended
    assert await read_version() == first
    run_id = await api.trigger(1)
    assert await read_version() != first
    versions = {first}
    status = ""
    while status != "success":
        versions.add(await wait_for_change(changes))
        status = (await api.client.get(f"/api/v1/noteflow_run/{run_id}")).json()["result"]["status"]
    assert len(versions) > 1
    await changes.aclose()


def count_borrowed(engine: Engine) -> int:
    pool = engine.pool
    assert isinstance(pool, QueuePool)
    return pool.checkedout()


async def test_waiting_pages_hold_no_connection_to_the_database(api: Api) -> None:
    pages = [read_changes(api.parts) for _ in range(PAGES)]
    await asyncio.gather(*map(wait_for_change, pages))
    assert api.parts.run_watch.count_waiters() == PAGES
    await until(lambda: count_borrowed(api.parts.database.engine) <= 1, "the pages to return connections")
    for page in pages:
        await page.aclose()
    await until(lambda: api.parts.run_watch.count_waiters() == 0, "the pages to leave")
