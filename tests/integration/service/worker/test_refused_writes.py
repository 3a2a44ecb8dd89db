"""PostgreSQL accepts no writes for some time, as around a failover: nothing is lost, failed or done twice."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError

from airflow_provider_pushmetrics.service.models import OutgoingMessage, Run
from airflow_provider_pushmetrics.service.storage.database import POOL_SIZE
from tests.fakes.postgres import make_read_only
from tests.fakes.service_reports import TRIGGER_TOKEN, MadeReport, make_report, sql
from tests.fakes.waiting import until, until_async
from tests.integration.service.conftest import open_client
from tests.integration.service.notifications.conftest import Connected, connect

pytestmark = pytest.mark.postgres


@pytest.fixture
def connected(tmp_path: Path, postgres_url: str) -> Iterator[Connected]:
    with connect(tmp_path, postgres_url, worker_lease_seconds=2.0) as connected:
        yield connected


@pytest.fixture
async def client(connected: Connected) -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(connected.app, raises=False) as client:
        yield client


def make(connected: Connected, **blocks: Any) -> MadeReport:
    parts = connected.parts
    return make_report(parts.database, parts.cipher, parts.settings.data_dir, "sqlite", **blocks)


async def call(client: httpx.AsyncClient, report: MadeReport) -> httpx.Response:
    return await client.post(f"/api/v1/report/{report.id}/webhook", params={"token": TRIGGER_TOKEN})


def is_refused(connected: Connected) -> bool:
    try:
        with connected.parts.database.writing() as session:
            session.execute(update(Run).values(error=None))
    except DBAPIError as error:
        return "read-only" in str(error)
    return False


async def test_mail_that_was_sent_is_not_sent_again_because_its_record_was_refused(
    connected: Connected, client: httpx.AsyncClient, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    mail = ("email", {"to_": "ann@example.com", "subject": "s", "value": "v"})
    report = make(connected, tell=mail)
    connected.mail.is_holding = True
    assert (await call(client, report)).status_code == 200
    await until(lambda: connected.mail.held or None, "the mail")
    with make_read_only(postgres_url):
        # The connections that it ended are replaced.
        await until(lambda: all(is_refused(connected) for _ in range(POOL_SIZE)) or None, "all connections")
        connected.mail.is_holding = False
        await until(lambda: re.search("work (waits|failed)", caplog.text), "a refused record")
    assert "work failed" not in caplog.text

    def find_sent() -> list[OutgoingMessage]:
        with connected.parts.database.reading() as session:
            return list(session.scalars(select(OutgoingMessage).where(OutgoingMessage.status == "sent")))

    (message,) = await until(find_sent, "the record")
    assert (message.attempt_count, len(connected.mail.taken)) == (1, 1)


async def test_calls_are_answered_503_and_then_accepted_without_a_restart(
    connected: Connected, client: httpx.AsyncClient, postgres_url: str
) -> None:
    report = make(connected, query=sql("SELECT 7 AS n"))
    with make_read_only(postgres_url):
        refused = await call(client, report)
        assert (refused.status_code, "retry-after" in refused.headers) == (503, True), refused.text

    async def is_accepted() -> bool:
        answer = await call(client, report)
        assert answer.status_code in (200, 503), answer.text
        return answer.status_code == 200

    await until_async(is_accepted)

    def find_ended() -> list[str]:
        with connected.parts.database.reading() as session:
            return list(session.scalars(select(Run.status).where(Run.finished_on.is_not(None))))

    assert await until(find_ended, "the run") == ["success"]
