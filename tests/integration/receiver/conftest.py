from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from airflow_provider_pushmetrics.receiver.app import create_app
from airflow_provider_pushmetrics.receiver.inbox.store import Inbox
from airflow_provider_pushmetrics.receiver.settings import ReceiverSettings, SourceSettings
from tests.fakes.receiver_requests import SIGNING_SECRET
from tests.fakes.receiver_server import READER_TOKEN, SENDER_TOKEN, SOURCE

SETTINGS_SOURCES = (
    SourceSettings(SOURCE, token=SENDER_TOKEN),
    SourceSettings("signed", signing_secrets=(SIGNING_SECRET,)),
)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/inbox.db"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def inbox_url(request: pytest.FixtureRequest) -> str:
    """Give the URL of an empty database: the test runs on both kinds."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def inbox(inbox_url: str) -> Iterator[Inbox]:
    inbox = Inbox(inbox_url)
    yield inbox
    inbox.close()


@pytest.fixture
def app(inbox_url: str) -> Iterator[Starlette]:
    """Give a receiver that gets no lifespan events, as if it were mounted."""
    app = create_app(ReceiverSettings(inbox_url, SETTINGS_SOURCES, READER_TOKEN))
    yield app
    app.state.runtime.close()


@pytest.fixture
async def sender(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
        yield client


@pytest.fixture
async def reader(app: Starlette) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {READER_TOKEN}"}
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://receiver", headers=headers) as client:
        yield client
