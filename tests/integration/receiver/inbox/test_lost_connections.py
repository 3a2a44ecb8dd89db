"""The inbox's connection is lost at every statement of a webhook in turn, before its execution or after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import Engine, select

from airflow_provider_pushmetrics.receiver.app import create_app
from airflow_provider_pushmetrics.receiver.inbox.database import open_engine
from airflow_provider_pushmetrics.receiver.inbox.tables import events
from airflow_provider_pushmetrics.receiver.settings import ReceiverSettings, SourceSettings
from tests.fakes.fault_proxy import FaultProxy, choose_all
from tests.fakes.receiver_server import READER_TOKEN, SENDER_TOKEN, SOURCE

pytestmark = pytest.mark.postgres

RECORDED = {"INSERT INTO", "COMMIT"}
"""What has to be lost at both moments, for this to prove anything."""


def build_body(key: str) -> bytes:
    return f'{{"event": "x", "key": "{key}"}}'.encode()


@dataclass(frozen=True)
class Receiver:
    """
    A receiver behind the proxy.

    :param database: The inbox without the proxy.
    """

    client: httpx.AsyncClient
    database: Engine
    proxy: FaultProxy

    async def deliver(self, key: str) -> httpx.Response:
        """Deliver until it is acknowledged, as a sender does that tries again."""
        url = f"/webhooks/{SOURCE}?token={SENDER_TOKEN}"
        for _ in range(100):
            answer = await self.client.post(url, content=build_body(key))
            if answer.status_code != 503:
                return answer
            await asyncio.sleep(0.05)
        raise AssertionError("it is never acknowledged")

    async def check(self, key: str, answer: httpx.Response) -> None:
        """Check that what was acknowledged is there, and that what is repeated is there once."""
        assert answer.status_code in (200, 202), answer.text
        again = await self.deliver(key)
        assert (again.status_code, again.json()) == (200, {"id": answer.json()["id"], "outcome": "duplicate"})
        with self.database.connect() as connection:
            found = connection.execute(select(events.c.id).where(events.c.body == build_body(key))).all()
        assert [one.id for one in found] == [answer.json()["id"]]


@pytest.fixture
async def receiver(postgres_url: str) -> AsyncIterator[Receiver]:
    with FaultProxy.open(postgres_url) as proxy:
        sources = (SourceSettings(SOURCE, token=SENDER_TOKEN),)
        app = create_app(ReceiverSettings(proxy.url, sources, READER_TOKEN))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
            database = open_engine(postgres_url)
            yield Receiver(client, database, proxy)
            database.dispose()
            await asyncio.to_thread(app.state.runtime.close)


async def test_an_acknowledged_webhook_is_there_once(receiver: Receiver) -> None:
    await receiver.deliver("first")  # it opens the inbox
    receiver.proxy.arm()
    await receiver.deliver("second")
    cuts = list(choose_all(receiver.proxy.disarm()))
    lost = set()
    for cut in cuts:
        key = uuid4().hex
        receiver.proxy.arm(cut)
        answer = await receiver.deliver(key)
        if receiver.proxy.disarm()[cut.statement] >= cut.number:
            lost.add(f"{cut.moment} {cut.statement[-1]}")
        await receiver.check(key, answer)
    for kind in RECORDED:
        for moment in ("before", "after"):
            assert any(one.startswith(f"{moment} {kind}") for one in lost), lost
