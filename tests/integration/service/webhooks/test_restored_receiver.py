"""A receiver whose inbox was restored from a backup, and the service that sends it again what it has lost."""

from __future__ import annotations

import os
import re
import subprocess
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from airflow_provider_pushmetrics.service.models import Delivery
from airflow_provider_pushmetrics.service.webhooks.event_outbox import put_in_outbox
from tests.fakes.interpreter import SERVER_PYTHON
from tests.fakes.receiver_server import START, ReceiverServer, start_receiver
from tests.integration.service.conftest import Api, read_accepted
from tests.integration.service.webhooks.test_subscriptions import SUBSCRIPTIONS, wait_for_status


def run_receiver_command(name: str, archive: Path, inbox: Path) -> str:
    command = [SERVER_PYTHON, "-c", START, name, str(archive), "--inbox", f"sqlite:///{inbox}"]
    return subprocess.run(command, env=os.environ, check=True, capture_output=True, text=True).stdout


def read_inbox(receiver: ReceiverServer) -> list[dict[str, Any]]:
    with receiver.open_reader() as reader:
        events: list[dict[str, Any]] = reader.get("/events").raise_for_status().json()["events"]
    return [event["body"] for event in events]


async def deliver(api: Api, *reports: int) -> list[int]:
    """Deliver events of reports, which the receiver accepts, and return the ids of their deliveries."""
    with api.parts.database.writing() as session:
        for report in reports:
            put_in_outbox(session, 1, {"event": "report.updated", "report_id": report})
    with api.parts.database.reading() as session:
        ids = list(session.scalars(select(Delivery.id).order_by(Delivery.id.desc()).limit(len(reports))))
    for delivery_id in ids:
        await wait_for_status(api, delivery_id, "delivered")
    return ids


async def test_accepted_events_that_a_restored_inbox_lacks_are_sent_again(api: Api, tmp_path: Path) -> None:
    old, new, archive = tmp_path / "old.db", tmp_path / "new.db", tmp_path / "inbox.tar"
    with start_receiver(f"sqlite:///{old}") as receiver:
        subscription = await api.subscribe(receiver.delivery_url, "report.updated")
        kept = await deliver(api, 1, 2)
        run_receiver_command("backup", archive, old)
        lost = await deliver(api, 3, 4, 5)
        everything = read_inbox(receiver)
        assert len(everything) == 5
    printed = run_receiver_command("restore", archive, new)
    found = re.search(r"after the backup, (\S+), are not in it", printed)
    assert found, printed
    path = f"{SUBSCRIPTIONS}/{subscription['id']}"
    with start_receiver(f"sqlite:///{new}") as receiver:
        read_accepted(await api.client.put(path, json={"url": receiver.delivery_url}))
        assert len(read_inbox(receiver)) == 2
        assert (await api.client.get(f"{path}/resend")).json() == {"count": 0}, "none of them failed"

        since_backup = {"since": found[1], "include_delivered": "true"}
        answer = await api.client.get(f"{path}/resend", params=since_backup)
        assert answer.json() == {"count": 3}
        earlier = (datetime.fromisoformat(found[1]) - timedelta(minutes=5)).isoformat()
        wanted = {"since": earlier, "include_delivered": "true"}
        assert (await api.client.post(f"{path}/resend", params=wanted)).json() == {"count": 5}
        for delivery_id in (*kept, *lost):
            row = await wait_for_status(api, delivery_id, "delivered")
            outcome = "duplicate" if delivery_id in kept else "accepted"
            assert outcome in row["attempts"][1]["answer"]
        assert sorted(map(str, read_inbox(receiver))) == sorted(map(str, everything))


async def test_event_that_was_delivered_late_is_sent_again_although_it_is_older_than_the_backup(
    api: Api, tmp_path: Path
) -> None:
    with start_receiver(f"sqlite:///{tmp_path / 'inbox.db'}") as receiver:
        subscription = await api.subscribe(receiver.delivery_url, "report.updated")
        path = f"{SUBSCRIPTIONS}/{subscription['id']}"
        (delivery_id,) = await deliver(api, 1)
        first = await wait_for_status(api, delivery_id, "delivered")
        read_accepted(await api.client.post(f"/api/v1/webhook_delivery/{delivery_id}/resend"))
        await wait_for_status(api, delivery_id, "delivered")
    wanted = {"since": first["finished_on"], "include_delivered": "true"}
    assert first["created_on"] < first["finished_on"]
    assert (await api.client.get(f"{path}/resend", params=wanted)).json() == {"count": 1}
    later = {**wanted, "since": "2999-01-01"}
    assert (await api.client.get(f"{path}/resend", params=later)).json() == {"count": 0}
